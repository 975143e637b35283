"""How congestion is handled: by which controller, at which line rate, with how many CNPs."""

from __future__ import annotations

from dataclasses import dataclass

from stacks.congestion import ControllerFactory, controller_factory
from stacks.runtime import LocalError


@dataclass(frozen=True, slots=True, kw_only=True)
class CongestionConfig:
    """Congestion control of a device's queue pairs.

    controller: `"none"`, a name that `stacks.congestion` knows (`"dcqcn"`), or a factory; a queue pair may be created
        with another one. line_rate_bps: where every flow starts, and what it never exceeds.
    burst_bytes: what may leave at once; small for a simulation, large where a timer is late. cnp_interval_ns: at most
        one CNP in this time for each queue pair (A17.9.3 leaves the time open; 50 us is common); 0 for one a marked
        packet, which is the echo that DCTCP and Prague count. initial_window_packets: of algorithms with a window.

    LocalError for a controller that nobody knows, or quantities that make no sense.
    """

    controller: str | ControllerFactory = "none"
    line_rate_bps: int = 25_000_000_000
    burst_bytes: int = 65_000
    cnp_interval_ns: int = 50_000
    initial_window_packets: int = 10

    def __post_init__(self) -> None:
        factory_of(self.controller)
        if min(self.line_rate_bps, self.burst_bytes, self.initial_window_packets) < 1 or self.cnp_interval_ns < 0:
            raise LocalError(
                "line_rate_bps, burst_bytes and initial_window_packets must be above 0, cnp_interval_ns not negative"
            )


def factory_of(controller: str | ControllerFactory) -> ControllerFactory | None:
    """What makes the controllers that were asked for; None for "none", LocalError for an unknown name."""
    if not isinstance(controller, str):
        return controller
    if controller == "hpcc":
        raise LocalError("hpcc needs telemetry from switches, which RoCE packets do not carry here: choose another")
    return None if controller == "none" else controller_factory(controller)
