"""Several devices that write to one through a switch: what PFC alone does, and what DCQCN adds (SIGCOMM 2015)."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from stacks.congestion import Controller, Dcqcn, DcqcnParameters, Flow
from stacks.rdma import (
    AddressVector,
    CongestionConfig,
    DeviceConfig,
    QpAttributes,
    QpState,
    WcStatus,
    WrOpcode,
)
from tests.stacks.rdma.rig import FULL_ACCESS, End, make_end
from transports.simulation import EcnRamp, Network, Simulation, Switch, SwitchConfig

GBPS = 1_000_000_000
RATE = 10 * GBPS
MTU = 1024


def connect(end: End, peer: End, timeout: int = 16) -> None:
    end.qp.modify(QpAttributes(state=QpState.INIT, pkey_index=0, port=1, access=FULL_ACCESS))
    end.qp.modify(
        QpAttributes(
            state=QpState.RTR, av=AddressVector(destination=peer.device.address[0]), path_mtu=MTU,
            dest_qpn=peer.qp.number, rq_psn=0, max_dest_rd_atomic=1, min_rnr_timer=1,
        )
    )  # fmt: skip
    end.qp.modify(
        QpAttributes(state=QpState.RTS, timeout=timeout, retry_cnt=7, rnr_retry=7, sq_psn=0, max_qp_rd_atomic=1)
    )


class Incast:
    """`count` senders, each with a queue pair of its own to one receiver, and the switch between."""

    def __init__(
        self,
        count: int,
        config: SwitchConfig,
        congestion: CongestionConfig,
        seed: int = 1,
        *,
        timeout: int = 16,
        recovery: str = "go-back-n",
    ) -> None:
        self.simulation = Simulation(seed)
        network = Network(self.simulation)
        target = f"192.0.2.{count + 1}"
        sources = [f"192.0.2.{number}" for number in range(1, count + 1)]
        device_config = DeviceConfig(congestion=congestion, recovery=recovery)
        self.senders = [
            make_end(network, host, seed=seed + number, config=device_config, memory_bytes=1 << 21)
            for number, host in enumerate(sources)
        ]
        self.receiver = make_end(network, target, seed=seed + 99, config=device_config, memory_bytes=1 << 21)
        self.switch = Switch(network, config, [*sources, target])
        receiver = self.receiver
        for sender in self.senders:
            receiver.qp = receiver.pd.create_qp(send_cq=receiver.cq, recv_cq=receiver.cq)
            connect(sender, receiver, timeout)
            connect(receiver, sender, timeout)

    def write(self, sender: End, length: int) -> None:
        """One RDMA WRITE."""
        mr = self.receiver.mr
        sender.send(1, WrOpcode.RDMA_WRITE, 0, length, remote_address=mr.address, rkey=mr.rkey)

    def write_all(self, length: int) -> int:
        """A WRITE from each sender at once; the time until all have completed, in nanoseconds."""
        start_ns = self.simulation.now
        for sender in self.senders:
            self.write(sender, length)

        def is_done() -> bool:
            return all(sender.completions or sender.poll() for sender in self.senders)

        self.simulation.run_until(is_done, timeout_ns=10 * GBPS)
        assert all(sender.completions[0].status is WcStatus.SUCCESS for sender in self.senders)
        return self.simulation.now - start_ns

    def counted(self, name: str) -> int:
        """A counter of all senders."""
        return sum([sender.device.counters.snapshot()[name] for sender in self.senders])


LOSSLESS = SwitchConfig(
    rate_bps=RATE, xoff_bytes=60_000, xon_bytes=30_000,
    marking=EcnRamp(kmin_bytes=20_000, kmax_bytes=80_000, pmax=0.1),
)  # fmt: skip
DCQCN = CongestionConfig(controller="dcqcn", line_rate_bps=RATE, burst_bytes=MTU)


@dataclass
class Outcome:
    """Of one incast."""

    pauses: int
    dropped: int
    resent: int
    peak_bytes: int
    duration_ns: int


def incast(congestion: CongestionConfig, config: SwitchConfig = LOSSLESS, seed: int = 1) -> Outcome:
    rig = Incast(4, config, congestion, seed)
    duration_ns = rig.write_all(1 << 20)
    return Outcome(
        rig.switch.pause_frames,
        rig.switch.dropped,
        rig.counted("rcvd_seq_err") + rig.counted("completer_retry_err"),
        rig.switch.ports[rig.receiver.device.address[0]].downlink.peak_bytes,
        duration_ns,
    )


@pytest.mark.slow
def test_dcqcn_keeps_the_queue_short_so_that_pfc_pauses_less_and_nothing_is_lost() -> None:
    alone, together = incast(CongestionConfig()), incast(DCQCN)
    assert alone.dropped == together.dropped == alone.resent == together.resent == 0
    assert alone.pauses > 4 * max(1, together.pauses)
    assert together.peak_bytes <= alone.peak_bytes
    # 4 MiB at 10 Gbit/s take 3.5 ms at least, headers included.
    ideal_ns = 4 * (1 << 20) * (MTU + 44) // MTU * 8 * GBPS // RATE
    assert ideal_ns <= alone.duration_ns < ideal_ns * 11 // 10
    assert together.duration_ns < 3 * ideal_ns


@pytest.mark.slow
def test_without_pfc_the_same_incast_loses_packets_and_recovers() -> None:
    lossy = SwitchConfig(rate_bps=RATE, buffer_bytes=100_000)
    outcome = incast(CongestionConfig(), lossy)
    assert outcome.pauses == 0
    assert outcome.dropped > 0
    assert outcome.resent > 0


@pytest.mark.slow
def test_an_incast_repeats_to_the_nanosecond_for_a_seed() -> None:
    assert incast(DCQCN, seed=5) == incast(DCQCN, seed=5)


def jain(values: list[int]) -> float:
    """Jain's fairness index."""
    return sum(values) ** 2 / (len(values) * sum([value * value for value in values]))


@pytest.mark.slow
def test_two_flows_of_which_one_was_throttled_before_converge_to_a_fair_share() -> None:
    """Section 3.3: who has the higher rate gets the same cuts, and who has the lower one recovers as far."""
    controllers: list[Dcqcn] = []
    # A byte counter that expires often: fewer milliseconds to simulate.
    parameters = DcqcnParameters(additive_bps=40_000_000, byte_counter_bytes=150_000)

    def make(flow: Flow) -> Controller:
        controllers.append(Dcqcn(flow, parameters))
        return controllers[-1]

    rig = Incast(2, LOSSLESS, CongestionConfig(controller=make, line_rate_bps=RATE, burst_bytes=MTU))
    first, second = controllers[0], controllers[2]
    for _ in range(3):
        first.handle_notification(0)
    assert jain([first.rate_bps, second.rate_bps]) < 0.65
    for sender in rig.senders:
        for _ in range(20):
            rig.write(sender, 1 << 20)
    shares = []
    for _ in range(8):
        before = [sender.device.counters.sent_pkts for sender in rig.senders]
        rig.simulation.run_for(2_000_000)
        shares.append(
            [sender.device.counters.sent_pkts - count for sender, count in zip(rig.senders, before, strict=True)]
        )
    assert jain(shares[-1]) > 0.95
    assert jain(shares[-2]) > 0.95
    packets = sum(shares[-1])
    # The link is used: 2 ms at 10 Gbit/s are 2340 packets.
    assert packets > 0.7 * 2_000_000 * RATE // (8 * GBPS) // (MTU + 44)
    assert rig.switch.dropped == 0
