"""What is compared on a fabric: a controller with its constants, and how switches mark for it.

The settings are those of the HPCC authors' simulator (run.py) for the fabric's rates: thresholds, increments and the
least rate are proportional to the rate of a link, times are as they are.

    dcqcn, timely             no window
    dcqcn-window, ...         with a window of rate * T
    dctcp                     in hardware: begins with a bandwidth-delay product in congestion avoidance
    hpcc                      eta 95 %, maxStage 0, W_AI for 100 flows, telemetry in every packet
    swift                     not in that comparison; its target is set for this fabric
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from stacks.congestion import (
    ControllerFactory,
    Dcqcn,
    Dctcp,
    DctcpParameters,
    Flow,
    Hpcc,
    HpccParameters,
    Swift,
    SwiftParameters,
    Timely,
    TimelyParameters,
)
from stacks.congestion.dcqcn_presets import hpcc_vendor
from stacks.congestion.rate_window import with_window
from stacks.lab.fabric.config import FabricConfig
from stacks.runtime import LocalError


@dataclass(frozen=True, slots=True)
class Scheme:
    """factory: of the controllers. kmin_bytes, kmax_bytes: where ports mark, for a link of 25 Gbit/s and in proportion
    to others'. pmax_1000: see `RampMarking`. cnp_interval_ns: of receivers, 0 for no CNPs. has_telemetry: packets carry
    it.
    """

    factory: ControllerFactory
    kmin_bytes: int = 1 << 50
    kmax_bytes: int = 1 << 50
    pmax_1000: int = 1000
    cnp_interval_ns: int = 0
    has_telemetry: bool = False


def scheme(name: str, config: FabricConfig) -> Scheme:
    """The scheme called `name` on such a fabric; LocalError, naming those that exist, for any other."""
    make = SCHEMES.get(name)
    if make is None:
        raise LocalError(f"no scheme is called {name!r}: there are {', '.join(SCHEMES)}")
    return make(config)


def _dcqcn(config: FabricConfig) -> Scheme:
    parameters = replace(hpcc_vendor(config.host_rate_bps), minimum_bps=config.host_rate_bps // 100)
    return _ramp(lambda flow: Dcqcn(flow, parameters))


def _ramp(factory: ControllerFactory) -> Scheme:
    return Scheme(factory, 100_000, 400_000, 200, cnp_interval_ns=4_000)


def _dcqcn_window(config: FabricConfig) -> Scheme:
    return _ramp(with_window(_dcqcn(config).factory))


def _timely(config: FabricConfig) -> Scheme:
    rate_bps = config.host_rate_bps
    parameters = TimelyParameters(
        additive_bps=max(1, rate_bps // 1000), segment_bytes=0, minimum_bps=rate_bps // 100, hai_below_low=True
    )
    return Scheme(lambda flow: Timely(flow, parameters))


def _timely_window(config: FabricConfig) -> Scheme:
    return Scheme(with_window(_timely(config).factory))


def _dctcp(config: FabricConfig) -> Scheme:
    parameters = DctcpParameters(slow_start=False, maximum_bytes=config.bdp_bytes)
    return Scheme(lambda flow: Dctcp(flow, parameters), 75_000, 75_000)


def _hpcc(config: FabricConfig) -> Scheme:  # noqa: ARG001  # all of it follows from the flow
    parameters = HpccParameters(max_stage=0, flows=100)
    return Scheme(lambda flow: Hpcc(flow, parameters), has_telemetry=True)


def _swift(config: FabricConfig) -> Scheme:
    target_ns = config.base_rtt_ns + config.base_rtt_ns // 2
    parameters = SwiftParameters(base_target_ns=target_ns, hop_ns=0, fs_range_ns=2 * config.base_rtt_ns)

    def make(flow: Flow) -> Swift:
        return Swift(flow, parameters)

    return Scheme(make)


SCHEMES: Mapping[str, Callable[[FabricConfig], Scheme]] = {
    "dcqcn": _dcqcn,
    "dcqcn-window": _dcqcn_window,
    "timely": _timely,
    "timely-window": _timely_window,
    "dctcp": _dctcp,
    "hpcc": _hpcc,
    "swift": _swift,
}
