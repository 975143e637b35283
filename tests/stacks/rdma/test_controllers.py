"""Every congestion controller runs on queue pairs: bulk writes through a switch arrive, and use and share the link."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from stacks.congestion import CONTROLLERS, ControllerFactory, Timely, TimelyParameters, controller_factory
from stacks.rdma import CongestionConfig, DeviceConfig, WcStatus
from stacks.rdma.congestion.queue_pair import ControlledQp
from stacks.runtime import LocalError
from tests.stacks.rdma.rig import End
from tests.stacks.rdma.test_incast import GBPS, Incast
from transports.simulation import EcnRamp, SwitchConfig

RATE = 10 * GBPS
WIRE_BYTES = 1024 + 44
BASE_RTT_NS = 9_814
"""Of one packet on an idle path: four wires of 2 us, two packets and two acknowledgements at 10 Gbit/s."""
STEP_BYTES = 30_000
SWITCH = SwitchConfig(
    rate_bps=RATE, delay_ns=2_000, buffer_bytes=150_000,
    marking=EcnRamp(kmin_bytes=STEP_BYTES, kmax_bytes=STEP_BYTES + 1, pmax=1.0),
)  # fmt: skip


@dataclass
class Outcome:
    """Of two flows, in the second half of a run. shares: of the link's capacity."""

    shares: list[float]
    rig: Incast

    @property
    def used(self) -> float:
        return self.shares[0] + self.shares[1]


def controlled(sender: End) -> ControlledQp:
    assert isinstance(sender.qp, ControlledQp)
    return sender.qp


def bulk(
    factory: ControllerFactory, *, cnp_interval_ns: int = 50_000, run_ns: int = 6_000_000, recovery: str = "go-back-n"
) -> Outcome:
    """Long writes from two senders to one receiver."""
    congestion = CongestionConfig(
        controller=factory, line_rate_bps=RATE, burst_bytes=2 * WIRE_BYTES, cnp_interval_ns=cnp_interval_ns
    )
    # A timeout of 1 ms: a lost tail is only found by it.
    rig = Incast(2, SWITCH, congestion, timeout=8, recovery=recovery)
    for sender in rig.senders:
        for _ in range(run_ns * RATE // (8 * GBPS) // (1 << 20) + 1):
            rig.write(sender, 1 << 20)
    rig.simulation.run_for(run_ns // 2)
    queue_pairs = [controlled(sender) for sender in rig.senders]
    before = [qp.delivery.delivered_bytes for qp in queue_pairs]
    rig.simulation.run_for(run_ns // 2)
    capacity = run_ns // 2 * RATE // (8 * GBPS)
    shares = [(qp.delivery.delivered_bytes - start) / capacity for qp, start in zip(queue_pairs, before, strict=True)]
    for sender in rig.senders:
        sender.poll()
        assert all(completion.status is WcStatus.SUCCESS for completion in sender.completions)
    assert min(qp.delivery.min_rtt_ns for qp in queue_pairs) == pytest.approx(BASE_RTT_NS, rel=0.01)
    return Outcome(shares, rig)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ("reno", "cubic", "bbr1", "bbr3") if name in CONTROLLERS])
def test_those_that_ignore_marks_fill_the_link(name: str) -> None:
    """Selective repeat sends again what a full queue dropped; the flows go on and neither starves."""
    outcome = bulk(controller_factory(name), run_ns=12_000_000, recovery="selective")
    assert outcome.used > 0.8, outcome.shares
    assert min(outcome.shares) > 0.05, outcome.shares


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dctcp", "prague"])
def test_with_a_cnp_for_every_mark_dctcp_and_prague_count_them(name: str) -> None:
    """A CNP a marked packet is the echo that RoCE has: the queue stays near K, and nothing is dropped."""
    outcome = bulk(controller_factory(name), cnp_interval_ns=0)
    assert outcome.used > 0.95
    assert min(outcome.shares) > 0.4
    assert outcome.rig.switch.dropped == 0
    # Beyond the first rounds, K + a window's growth.
    bound_ns = 2 * STEP_BYTES * 8 * GBPS // RATE
    assert max(controlled(sender).delivery.srtt_ns for sender in outcome.rig.senders) < bound_ns


@pytest.mark.slow
def test_swift_holds_the_delay_at_its_target() -> None:
    outcome = bulk(controller_factory("swift"))
    assert outcome.used > 0.95
    assert min(outcome.shares) > 0.4
    for sender in outcome.rig.senders:
        qp = controlled(sender)
        assert qp.delivery.srtt_ns == pytest.approx(qp.controller.variables()["target_ns"], rel=0.15)


@pytest.mark.slow
def test_timely_follows_round_trip_times_and_drops_nothing() -> None:
    parameters = TimelyParameters(additive_bps=100_000_000)
    outcome = bulk(lambda flow: Timely(flow, parameters), run_ns=12_000_000)
    assert outcome.used > 0.7
    assert min(outcome.shares) > 0.2
    assert outcome.rig.switch.dropped == 0


@pytest.mark.slow
def test_dcqcn_follows_cnps_and_drops_nothing() -> None:
    outcome = bulk(controller_factory("dcqcn"))
    assert outcome.used > 0.8
    assert min(outcome.shares) > 0.2
    assert outcome.rig.switch.dropped == 0


def test_hpcc_is_refused_since_roce_packets_carry_no_telemetry() -> None:
    with pytest.raises(LocalError, match="telemetry"):
        CongestionConfig(controller="hpcc")
    with pytest.raises(LocalError, match="initial_window_packets"):
        DeviceConfig(congestion=CongestionConfig(initial_window_packets=0))
