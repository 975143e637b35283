"""ECN, CNPs and paced sending of a queue pair with congestion control (IBTA annex A17.9)."""

from __future__ import annotations

import itertools
import random

import pytest

from stacks.congestion import Ack, Controller, Dcqcn, Flow, Loss
from stacks.rdma import CongestionConfig, DeviceConfig, QpAttributes, QpState, QpType, WrOpcode
from stacks.runtime import LocalError
from tests.stacks.rdma.hand import ACK, FIRST_PSN, HOSTS, MTU, PEER_QPN, ROCE_PORT, SEQUENCE, HandRig
from tests.stacks.rdma.rig import Rig
from tests.stacks.rdma.traffic import MEMORY_BYTES, Traffic
from transports.datagram import ECN_CE, ECN_ECT0, ECN_NOT_ECT
from transports.simulation import Impairments, Packet
from wire.roce import Bth, Opcode
from wire.roce.flow_icrc import FlowIcrc

MBPS, GBPS = 1_000_000, 1_000_000_000
HEADERS = 28 + 16
"""IPv4, UDP, BTH and ICRC around a packet's payload."""
both_ways = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


class Recorder(Controller):
    """Keeps what it was told; sends at `rate_bps`."""

    def __init__(self, flow: Flow, rate_bps: int | None = None, window_bytes: int | None = None) -> None:
        self.flow = flow
        self.rate_bps = rate_bps
        self.window_bytes = window_bytes
        self.notifications: list[int] = []
        self.sent_bytes = 0
        self.acked_bytes = 0
        self.losses: list[bool] = []

    def handle_sent(self, length_bytes: int, now: int) -> None:
        self.sent_bytes += length_bytes

    def handle_ack(self, ack: Ack, now: int) -> None:
        self.acked_bytes += ack.acked_bytes
        assert ack.inflight_bytes >= 0

    def handle_loss(self, loss: Loss, now: int) -> None:
        self.losses.append(loss.is_timeout)
        assert loss.lost_bytes > 0

    def handle_notification(self, now: int) -> None:
        self.notifications.append(now)


def controlled(
    controller: object = "dcqcn", *, shortcuts: bool = True, burst_bytes: int = 65_000, cnp_interval_ns: int = 50_000
) -> DeviceConfig:
    congestion = CongestionConfig(
        controller=controller,  # type: ignore[arg-type]
        line_rate_bps=10 * GBPS,
        burst_bytes=burst_bytes,
        cnp_interval_ns=cnp_interval_ns,
    )
    return DeviceConfig(shortcuts=shortcuts, congestion=congestion)


def marked_send(rig: HandRig, psn: int, ecn: int = ECN_CE) -> None:
    rig.end.recv(psn, 0, 64)
    rig.put(rig.packet(Opcode.RC_SEND_ONLY, payload=b"data", psn=psn), ecn=ecn)


# The notification point


@both_ways
def test_a_marked_data_packet_is_taken_and_answered_with_a_cnp_and_an_ack(shortcuts: bool) -> None:
    """A17.9.3: the CNP goes to the queue pair that sent the packet, with BECN, PSN 0 and 16 bytes of zeros."""
    rig = HandRig(config=controlled(shortcuts=shortcuts))
    marked_send(rig, FIRST_PSN)
    cnp, ack = rig.received()
    assert (cnp.bth.opcode, cnp.bth.becn, cnp.bth.dest_qp, cnp.bth.psn) == (Opcode.CNP, 1, PEER_QPN, 0)
    assert (cnp.bth.pkey, cnp.bth.ack_req, cnp.bth.pad_count, bytes(cnp.payload)) == (0xFFFF, 0, 0, bytes(16))
    assert ack.bth.opcode == Opcode.RC_ACKNOWLEDGE
    assert rig.completed() == [(FIRST_PSN, "SUCCESS")]
    counters = rig.end.device.counters
    assert (counters.np_ecn_marked_roce_packets, counters.np_cnp_sent) == (1, 1)


def test_the_cnp_has_the_bytes_of_a_connectx_and_a_good_icrc() -> None:
    """Its BTH in the capture of scapy's test suite, but for the destination: 8100ffff 40...... 00000000."""
    rig = HandRig(config=controlled())
    rig.end.recv(1, 0, 64)
    rig.put(rig.packet(Opcode.RC_SEND_ONLY, payload=b"data"), ecn=ECN_CE)
    burst = rig.peer.receive()
    assert burst is not None
    cnp = bytes(burst.view)
    assert cnp[:12].hex() == f"8100ffff40{PEER_QPN:06x}00000000"
    assert len(cnp) == 32
    flow = FlowIcrc((HOSTS[1], ROCE_PORT), (HOSTS[0], ROCE_PORT))
    assert int.from_bytes(cnp[-4:], "little") == flow.icrc(cnp)
    assert burst.ecn == ECN_ECT0


def test_cnps_of_a_queue_pair_are_an_interval_apart() -> None:
    rig = HandRig(config=controlled(cnp_interval_ns=350_000))
    for number in range(8):
        marked_send(rig, FIRST_PSN + number)
    # A packet each 100 us: the first, fifth (400 us) and no other, since the ninth never came.
    assert rig.end.device.counters.np_cnp_sent == 2
    assert rig.end.device.counters.np_ecn_marked_roce_packets == 8


def test_duplicates_and_packets_behind_a_gap_count_as_well() -> None:
    """The network was congested, whatever becomes of the packet."""
    rig = HandRig(config=controlled())
    marked_send(rig, FIRST_PSN + 3)
    assert [packet.bth.opcode for packet in rig.received()] == [Opcode.CNP, Opcode.RC_ACKNOWLEDGE]


@pytest.mark.parametrize("ecn", [ECN_NOT_ECT, ECN_ECT0, 1])
def test_without_ce_there_is_no_cnp(ecn: int) -> None:
    rig = HandRig(config=controlled())
    marked_send(rig, FIRST_PSN, ecn)
    assert rig.answers() == [(ACK, FIRST_PSN)]
    assert rig.end.device.counters.np_cnp_sent == 0


def test_a_marked_acknowledgement_is_no_reason_for_a_cnp() -> None:
    """Nobody paces acknowledgements."""
    rig = HandRig(config=controlled())
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    rig.received()
    aeth = bytes([ACK, 0, 0, 1])
    bth = Bth(opcode=Opcode.RC_ACKNOWLEDGE, pkey=0xFFFF, dest_qp=rig.end.qp.number, psn=FIRST_PSN)
    rig.put(rig.seal(bth.encode() + aeth), ecn=ECN_CE)
    assert rig.completed() == [(1, "SUCCESS")]
    assert rig.received() == []


def test_a_cnp_is_never_answered_with_a_cnp() -> None:
    rig = HandRig(config=controlled())
    rig.put(rig.packet(Opcode.CNP, payload=bytes(16), psn=0, ack=False), ecn=ECN_CE)
    assert rig.received() == []
    assert rig.end.device.counters.rp_cnp_handled == 1


@both_ways
def test_a_queue_pair_without_congestion_control_only_counts(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    marked_send(rig, FIRST_PSN)
    rig.put(rig.packet(Opcode.CNP, payload=bytes(16), psn=0, ack=False))
    assert rig.answers() == [(ACK, FIRST_PSN)]
    counters = rig.end.device.counters
    assert (counters.np_ecn_marked_roce_packets, counters.np_cnp_sent) == (1, 0)
    assert (counters.rp_cnp_handled, counters.rp_cnp_ignored) == (0, 1)
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    rig.simulation.run_for(10_000_000)
    burst = rig.peer.receive()
    assert burst is not None
    assert burst.ecn == ECN_NOT_ECT


# The reaction point


def recorders(rig: Rig, **options: int | None) -> dict[str, Recorder]:
    """Connect with a `Recorder` at either end."""
    made: dict[str, Recorder] = {}
    for name, end in (("left", rig.left), ("right", rig.right)):

        def make(flow: Flow, name: str = name) -> Recorder:
            made[name] = Recorder(flow, **options)
            return made[name]

        end.qp.destroy()
        end.qp = end.pd.create_qp(send_cq=end.cq, recv_cq=end.cq, congestion=make)
    rig.connect()
    return made


def departures(rig: Rig, source: str) -> list[tuple[int, Packet]]:
    """Fills up with what leaves `source` from now on."""
    sent: list[tuple[int, Packet]] = []

    def record(now: int, event: str, packet: Packet) -> None:
        if event == "sent" and packet.source[0] == source:
            sent.append((now, packet))

    rig.network.trace = record
    return sent


def write(rig: Rig, length: int, wr_id: int = 1) -> None:
    rig.left.send(wr_id, WrOpcode.RDMA_WRITE, 0, length, remote_address=rig.right.mr.address, rkey=rig.right.mr.rkey)


def test_a_cnp_halves_the_rate_of_dcqcn_at_first() -> None:
    rig = Rig(config=controlled("none"), connect=False)
    made: list[Dcqcn] = []

    def make(flow: Flow) -> Dcqcn:
        made.append(Dcqcn(flow))
        return made[-1]

    rig.left.qp = rig.left.pd.create_qp(send_cq=rig.left.cq, recv_cq=rig.left.cq, congestion=make)
    rig.right.qp = rig.right.pd.create_qp(send_cq=rig.right.cq, recv_cq=rig.right.cq, congestion="dcqcn")
    rig.connect()

    def mark_first(packet: Packet) -> list[Packet]:
        if packet.ecn == ECN_ECT0 and packet.payload[0] != Opcode.CNP and not rig.left.device.counters.rp_cnp_handled:
            packet.ecn = ECN_CE
        return [packet]

    rig.network.hook = mark_first
    write(rig, 4096)
    rig.run(40_000)
    assert rig.left.device.counters.rp_cnp_handled == 1
    assert rig.right.device.counters.np_cnp_sent == 1
    assert (made[0].rate_bps, made[0].target_bps) == (5 * GBPS, 10 * GBPS)


@both_ways
def test_data_leaves_at_the_rate_of_its_controller(shortcuts: bool) -> None:
    """Each packet when the rate has earned it, headers included."""
    rig = Rig(config=controlled("none", shortcuts=shortcuts, burst_bytes=1), memory_bytes=1 << 16)
    recorders(rig, rate_bps=100 * MBPS)
    sent = departures(rig, rig.left.device.address[0])
    write(rig, 1024 * 20)
    rig.run_until_completed(rig.left, 1)
    assert rig.right.memory[: 1024 * 20] == rig.left.memory[: 1024 * 20]
    times = [now for now, packet in sent]
    # The first packet carries a RETH, 16 bytes more than the bucket holds: a debt that the second waits for.
    packet_ns = (1024 + HEADERS) * 80
    assert times[1] - times[0] == packet_ns + 16 * 80
    assert [after - before for before, after in itertools.pairwise(times[1:])] == [packet_ns] * 18


def test_bursts_are_as_long_as_configured() -> None:
    rig = Rig(config=controlled("none", burst_bytes=5000), memory_bytes=1 << 16)
    recorders(rig, rate_bps=100 * MBPS)
    sent = departures(rig, rig.left.device.address[0])
    write(rig, 1024 * 30)
    rig.run_until_completed(rig.left, 1)
    # Four packets of 1040 bytes fit into 5000; the first burst has a full bucket before it, and its debt behind it.
    sizes = [sum(now == time for now, _ in sent) for time in sorted({now for now, _ in sent})]
    assert max(sizes[1:]) == 4
    assert sizes[0] <= 8
    total_ns = sent[-1][0] - sent[0][0]
    earned_bytes = total_ns * 100 * MBPS // (8 * GBPS)
    carried = sum(len(packet.payload) + 28 for _, packet in sent)
    assert earned_bytes <= carried <= earned_bytes + 2 * 5000


def test_data_is_marked_as_ecn_capable_and_acknowledgements_are_not() -> None:
    """A17.9.1."""
    rig = Rig(config=controlled())
    sent: list[Packet] = []
    rig.network.trace = lambda _now, event, packet: sent.append(packet) if event == "sent" else None
    write(rig, 5000)
    rig.left.send(2, WrOpcode.RDMA_READ, 8192, 5000, remote_address=rig.right.mr.address, rkey=rig.right.mr.rkey)
    rig.run_until_completed(rig.left, 2)
    for packet in sent:
        expected = ECN_NOT_ECT if packet.payload[0] == Opcode.RC_ACKNOWLEDGE else ECN_ECT0
        assert packet.ecn == expected


@both_ways
def test_responses_to_a_read_are_paced_by_the_side_that_sends_them(shortcuts: bool) -> None:
    rig = Rig(config=controlled("none", shortcuts=shortcuts, burst_bytes=1), memory_bytes=1 << 16)
    made = recorders(rig, rate_bps=100 * MBPS)
    sent = departures(rig, rig.right.device.address[0])
    rig.left.send(1, WrOpcode.RDMA_READ, 0, 1024 * 10, remote_address=rig.right.mr.address, rkey=rig.right.mr.rkey)
    rig.run_until_completed(rig.left, 1)
    assert len(sent) == 10
    assert sent[-1][0] - sent[0][0] >= 9 * (1024 + HEADERS) * 80
    assert made["right"].sent_bytes == 10 * (1024 + HEADERS) + 2 * 4


def test_acknowledgements_pass_the_gate_while_data_waits() -> None:
    rig = HandRig(config=controlled("none", burst_bytes=1))
    rig.end.qp.destroy()
    rig.end.qp = rig.end.pd.create_qp(
        send_cq=rig.end.cq, recv_cq=rig.end.cq, congestion=lambda flow: Recorder(flow, rate_bps=1 * MBPS)
    )
    rig.connect(7, {})
    for number in (1, 2):
        rig.end.send(number, WrOpcode.SEND, 0, MTU)
    rig.end.recv(9, 0, 64)
    rig.put(rig.packet(Opcode.RC_SEND_ONLY, payload=b"data"))
    assert [packet.bth.opcode for packet in rig.received()] == [Opcode.RC_SEND_ONLY, Opcode.RC_ACKNOWLEDGE]
    # 300 bytes at 1 Mbit/s.
    rig.wait(2_400_000)
    assert [packet.bth.psn for packet in rig.received()] == [FIRST_PSN + 1]


def test_a_faster_rate_opens_the_gate_earlier() -> None:
    class Jump(Recorder):
        """From 1 Mbit/s to 1 Gbit/s at 200 us."""

        def handle_timeout(self, now: int) -> None:
            if now >= 200_000:
                self.rate_bps = GBPS

        def poll_deadline(self) -> int | None:
            return None if self.rate_bps == GBPS else 200_000

    rig = Rig(config=controlled("none", burst_bytes=1), connect=False)
    for end in rig.ends:
        end.qp = end.pd.create_qp(send_cq=end.cq, recv_cq=end.cq, congestion=lambda flow: Jump(flow, 1 * MBPS))
    rig.connect()
    sent = departures(rig, rig.left.device.address[0])
    write(rig, 2048)
    rig.run(1_000_000)
    assert [now for now, _ in sent] == [0, 200_000 + (1084 * 8 * GBPS - 200_000 * MBPS) // GBPS]


def test_a_controller_is_told_what_was_sent_acknowledged_and_lost() -> None:
    rig = Rig(config=controlled("none"), memory_bytes=1 << 16)
    made = recorders(rig)
    dropped: list[Packet] = []

    def drop_third(packet: Packet) -> list[Packet]:
        if packet.payload[0] == Opcode.RC_WRITE_MIDDLE and not dropped:
            dropped.append(packet)
            return []
        return [packet]

    rig.network.hook = drop_third
    write(rig, 1024 * 8)
    rig.run_until_completed(rig.left, 1)
    left = made["left"]
    # Everything counts with its headers, as on the wire.
    assert left.flow.packet_bytes == 1024 + HEADERS
    assert left.acked_bytes == (1024 + HEADERS) * 8
    assert left.losses == [False]
    assert left.sent_bytes == (1024 + HEADERS) * 15 + 16
    assert made["right"].acked_bytes == 0


def test_a_loss_that_only_a_timer_found_says_so() -> None:
    rig = Rig(config=controlled("none"))
    made = recorders(rig)
    rig.network.hook = lambda packet: [] if rig.simulation.now < 1_000_000 else [packet]
    write(rig, 100)
    rig.run_until_completed(rig.left, 1)
    assert made["left"].losses == [True]


def test_a_window_of_the_controller_bounds_what_is_in_flight() -> None:
    rig = Rig(config=controlled("none"), impairments=Impairments(delay_ns=100_000), memory_bytes=1 << 16)
    recorders(rig, window_bytes=3 * (1024 + HEADERS))
    sent = departures(rig, rig.left.device.address[0])
    write(rig, 1024 * 9)
    rig.run(150_000)
    assert len(sent) == 3
    rig.run_until_completed(rig.left, 1)


# Life and configuration


def test_every_connection_gets_a_fresh_controller_and_a_reset_leaves_no_timer() -> None:
    made: list[Recorder] = []

    def make(flow: Flow) -> Recorder:
        made.append(Recorder(flow, rate_bps=1 * MBPS))
        return made[-1]

    rig = HandRig(config=controlled("none", burst_bytes=1))
    rig.end.qp.destroy()
    rig.end.qp = rig.end.pd.create_qp(send_cq=rig.end.cq, recv_cq=rig.end.cq, congestion=make)
    rig.connect(7, {})
    for number in range(3):
        rig.end.send(number, WrOpcode.SEND, 0, MTU)
    assert len(rig.received()) == 1
    assert rig.end.device.poll_deadline() is not None
    rig.end.qp.modify(QpAttributes(state=QpState.RESET))
    assert rig.end.device.poll_deadline() is None
    rig.connect(7, {})
    assert len(made) == 2
    rig.end.qp.modify(QpAttributes(state=QpState.ERR))
    assert rig.end.device.poll_deadline() is None


def test_a_cnp_before_a_sequence_nak_changes_nothing_about_recovery() -> None:
    rig = HandRig(config=controlled())
    for number in (1, 2):
        rig.end.send(number, WrOpcode.SEND, 0, 4)
    rig.received()
    rig.put(rig.packet(Opcode.CNP, payload=bytes(16), psn=0, ack=False))
    rig.acknowledge(FIRST_PSN, SEQUENCE)
    assert [packet.bth.psn for packet in rig.received()] == [FIRST_PSN, FIRST_PSN + 1]


def test_the_choice_of_a_queue_pair_overrides_that_of_the_device() -> None:
    rig = Rig(config=controlled(), connect=False)
    rig.left.qp = rig.left.pd.create_qp(send_cq=rig.left.cq, recv_cq=rig.left.cq, congestion="none")
    rig.connect()
    sent = departures(rig, rig.left.device.address[0])
    write(rig, 100)
    rig.run_until_completed(rig.left, 1)
    assert [packet.ecn for _, packet in sent] == [ECN_NOT_ECT]


def test_what_nobody_knows_is_refused() -> None:
    with pytest.raises(LocalError, match="no congestion controller is called 'vegas'"):
        CongestionConfig(controller="vegas")
    with pytest.raises(LocalError, match="must be above 0"):
        CongestionConfig(burst_bytes=0)
    rig = HandRig()
    with pytest.raises(LocalError, match="called 'vegas'"):
        rig.end.pd.create_qp(send_cq=rig.end.cq, recv_cq=rig.end.cq, congestion="vegas")
    with pytest.raises(LocalError, match="queue pairs"):
        rig.end.pd.create_qp(QpType.UD, send_cq=rig.end.cq, recv_cq=rig.end.cq, congestion="dcqcn")


def test_a_read_of_marked_responses_is_answered_with_cnps_by_its_requester() -> None:
    rig = Rig(config=controlled())
    rng = random.Random(1)

    def mark(packet: Packet) -> list[Packet]:
        if packet.ecn == ECN_ECT0 and rng.random() < 0.5:
            packet.ecn = ECN_CE
        return [packet]

    rig.network.hook = mark
    rig.left.send(1, WrOpcode.RDMA_READ, 0, 50_000, remote_address=rig.right.mr.address, rkey=rig.right.mr.rkey)
    rig.run_until_completed(rig.left, 1)
    rig.run(1_000_000)
    assert rig.left.device.counters.np_cnp_sent > 0
    assert rig.right.device.counters.rp_cnp_handled == rig.left.device.counters.np_cnp_sent


@pytest.mark.slow
@both_ways
@pytest.mark.parametrize("network", [Impairments(), Impairments(loss=0.02, reordering=0.02, duplication=0.02)])
def test_mixed_operations_under_marks_and_loss_arrive_exactly_once(network: Impairments, shortcuts: bool) -> None:
    config = controlled(shortcuts=shortcuts, burst_bytes=8000)
    rig = Rig(seed=3, impairments=network, memory_bytes=MEMORY_BYTES, min_rnr_timer=8, timeout=9, config=config)
    rng = random.Random(3)

    def mark(packet: Packet) -> list[Packet]:
        if packet.ecn == ECN_ECT0 and rng.random() < 0.1:
            packet.ecn = ECN_CE
        return [packet]

    rig.network.hook = mark
    traffic = Traffic(rig, 3)
    for _ in range(150):
        for side in traffic.sides:
            side.post_receive()
            traffic.post_random(side)
        traffic.run(side.draw(200_000))
    traffic.finish()
    for side in traffic.sides:
        counters = side.end.device.counters
        assert side.end.qp.state is QpState.RTS
        assert counters.np_cnp_sent > 10
        assert counters.rp_cnp_handled > 10


def test_a_marked_write_of_several_packets_is_placed_whole() -> None:
    """A marked burst goes the long way, among unmarked ones that take the short one."""
    rig = Rig(config=controlled(), path_mtu=256)

    def mark(packet: Packet) -> list[Packet]:
        packet.ecn = ECN_CE if packet.ecn == ECN_ECT0 and packet.index % 7 == 3 else packet.ecn
        return [packet]

    rig.network.hook = mark
    rig.left.memory[:20_000] = random.Random(5).randbytes(20_000)
    write(rig, 20_000)
    rig.run_until_completed(rig.left, 1)
    assert rig.right.memory[:20_000] == rig.left.memory[:20_000]
