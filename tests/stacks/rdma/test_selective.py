"""Selective repeat: what is kept, what is sent again, and how little of it (IRN, SIGCOMM 2018, section 3.1)."""

from __future__ import annotations

import random

import pytest

from stacks.rdma import CongestionConfig, DeviceConfig, QpState, QpType, SendFlags, SendWr, WrOpcode
from stacks.runtime import LocalError
from tests.stacks.rdma.hand import ACK, FIRST_PSN, MTU, ROCE_PORT, SEQUENCE, HandRig, psns, reth
from tests.stacks.rdma.rig import HOSTS, Rig
from tests.stacks.rdma.traffic import MEMORY_BYTES, Traffic
from transports.datagram import Burst
from transports.simulation import Impairments, Packet
from wire.roce import Aeth, Bth, Opcode

both_ways = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])
DATA_OPCODES = range(0x0C)


def selective(*, shortcuts: bool = True, **fields: object) -> DeviceConfig:
    return DeviceConfig(shortcuts=shortcuts, recovery="selective", **fields)  # type: ignore[arg-type]


def send_only(rig: HandRig, psn: int, payload: bytes = b"data") -> bytes:
    return rig.packet(Opcode.RC_SEND_ONLY, payload=payload, psn=psn)


def naks(rig: HandRig) -> list[tuple[int, int, int, int]]:
    """Syndrome, AckReq, and distances of PSN and MSN field from the first PSN, of all acknowledgements."""
    return [
        (aeth.syndrome, packet.bth.ack_req, packet.bth.psn - FIRST_PSN & 0xFFFFFF, aeth.msn - FIRST_PSN & 0xFFFFFF)
        for packet in rig.received()
        if (aeth := packet.find(Aeth)) is not None
    ]


def tell(rig: HandRig, expected: int, arrived: int) -> None:
    """A NAK that says that everything before `expected` is there, and `arrived` too; as distances."""
    bth = Bth(
        opcode=Opcode.RC_ACKNOWLEDGE, ack_req=1, pkey=0xFFFF, dest_qp=rig.end.qp.number,
        psn=FIRST_PSN + expected & 0xFFFFFF,
    )  # fmt: skip
    aeth = Aeth(syndrome=SEQUENCE, msn=FIRST_PSN + arrived & 0xFFFFFF)
    rig.put(rig.seal(bth.encode() + aeth.encode()))


# The responder


@both_ways
def test_early_packets_are_kept_named_one_by_one_and_executed_in_their_turn(shortcuts: bool) -> None:
    rig = HandRig(config=selective(shortcuts=shortcuts))
    for number in range(4):
        rig.end.recv(number, number * 64, 64)
    for number in (2, 1, 3):
        rig.put(send_only(rig, FIRST_PSN + number, bytes([number]) * 4))
    assert naks(rig) == [(SEQUENCE, 1, 0, 2), (SEQUENCE, 1, 0, 1), (SEQUENCE, 1, 0, 3)]
    assert rig.completed() == []
    rig.put(send_only(rig, FIRST_PSN, b"\0\0\0\0"))
    assert rig.answers() == [(ACK, FIRST_PSN + 3 & 0xFFFFFF)]
    assert rig.completed() == [(number, "SUCCESS") for number in range(4)]
    assert [rig.end.memory[number * 64] for number in range(4)] == [0, 1, 2, 3]


def test_a_message_of_several_packets_is_put_together_from_any_order() -> None:
    rig = HandRig(config=selective())
    content = random.Random(1).randbytes(4 * MTU)
    parts = [content[at : at + MTU] for at in range(0, len(content), MTU)]
    opcodes = [Opcode.RC_WRITE_FIRST, Opcode.RC_WRITE_MIDDLE, Opcode.RC_WRITE_MIDDLE, Opcode.RC_WRITE_LAST]
    for index in (3, 1, 2, 0):
        headers = (reth(rig, 100, len(content)),) if index == 0 else ()
        rig.put(rig.packet(opcodes[index], *headers, payload=parts[index], psn=FIRST_PSN + index, ack=index == 3))
    assert rig.end.memory[100 : 100 + len(content)] == content
    assert naks(rig)[-1][:3] == (ACK, 0, 3)


def test_an_early_packet_that_finds_no_receive_in_its_turn_is_asked_for_again() -> None:
    """IBTA 9.7.5.2.8: RNR NAK with its PSN; it is no longer kept."""
    rig = HandRig(config=selective())
    rig.end.recv(0, 0, 64)
    rig.put(send_only(rig, FIRST_PSN + 1), send_only(rig, FIRST_PSN))
    assert rig.answers()[-1] == (0x21, FIRST_PSN + 1)
    rig.end.recv(1, 0, 64)
    rig.put(send_only(rig, FIRST_PSN + 1))
    assert rig.completed() == [(0, "SUCCESS"), (1, "SUCCESS")]


def test_an_early_read_is_not_kept_but_reported_as_a_gap() -> None:
    rig = HandRig(config=selective())
    rig.put(rig.packet(Opcode.RC_READ_REQUEST, reth(rig, 0, 16), psn=FIRST_PSN + 1))
    assert naks(rig) == [(SEQUENCE, 0, 0, -FIRST_PSN & 0xFFFFFF)]


def test_a_packet_too_far_ahead_is_dropped_and_reported_as_a_gap() -> None:
    rig = HandRig(config=selective())
    rig.put(send_only(rig, FIRST_PSN + 1025))
    assert [answer[:3] for answer in naks(rig)] == [(SEQUENCE, 0, 0)]
    rig.put(send_only(rig, FIRST_PSN + 1024))
    assert naks(rig) == [(SEQUENCE, 1, 0, 1024)]


def test_an_early_packet_that_is_longer_than_the_path_mtu_allows_is_not_kept() -> None:
    """It will be refused in its turn (IBTA 9.7.4.1.6), so a peer cannot have much of it kept."""
    rig = HandRig(config=selective())
    rig.put(rig.packet(Opcode.RC_SEND_ONLY, payload=bytes(MTU + 24), psn=FIRST_PSN + 1))
    assert [answer[:3] for answer in naks(rig)] == [(SEQUENCE, 0, 0)]


def test_a_flood_of_one_early_packet_is_answered_no_more_often_than_there_may_be_early_ones() -> None:
    rig = HandRig(config=selective(shortcuts=False))
    packet = send_only(rig, FIRST_PSN + 1)
    device = rig.end.device
    for _ in range(1500):
        device.handle_burst(Burst(memoryview(packet), len(packet), (HOSTS[0], ROCE_PORT), device.address), 0)
    count = 0
    while device.poll_transmit(0) is not None:
        count += 1
    assert count == 1024


def test_an_early_packet_that_came_twice_is_executed_once() -> None:
    rig = HandRig(config=selective())
    for number in range(3):
        rig.end.recv(number, 0, 64)
    early = send_only(rig, FIRST_PSN + 1)
    rig.put(early, early, send_only(rig, FIRST_PSN), early)
    assert rig.completed() == [(0, "SUCCESS"), (1, "SUCCESS")]


def test_a_reset_forgets_what_was_kept() -> None:
    rig = HandRig(config=selective())
    rig.put(send_only(rig, FIRST_PSN + 1))
    rig.end.qp.destroy()
    rig.end.qp = rig.end.pd.create_qp(send_cq=rig.end.cq, recv_cq=rig.end.cq)
    rig.received()
    rig.connect(7, {})
    for number in range(3):
        rig.end.recv(number, 0, 64)
    rig.put(send_only(rig, FIRST_PSN))
    assert rig.completed() == [(0, "SUCCESS")]


# The requester


def posted_sends(rig: HandRig, count: int) -> None:
    for number in range(count):
        rig.end.send(number, WrOpcode.SEND, 0, 4)
    assert psns(rig.received()) == list(range(count))


@both_ways
def test_only_the_holes_are_sent_again_each_once(shortcuts: bool) -> None:
    rig = HandRig(config=selective(shortcuts=shortcuts))
    posted_sends(rig, 8)
    tell(rig, 1, 3)
    assert psns(rig.received()) == [1, 2]
    tell(rig, 1, 6)
    assert psns(rig.received()) == [4, 5]
    tell(rig, 2, 5)
    assert rig.received() == []
    assert rig.completed() == [(0, "SUCCESS"), (1, "SUCCESS")]
    rig.acknowledge(FIRST_PSN + 7 & 0xFFFFFF)
    assert [wr_id for wr_id, _ in rig.completed()] == list(range(2, 8))


def test_new_requests_follow_the_repair_with_the_next_psn() -> None:
    rig = HandRig(config=selective())
    posted_sends(rig, 4)
    tell(rig, 0, 2)
    assert psns(rig.received()) == [0, 1]
    rig.end.send(9, WrOpcode.SEND, 0, 4)
    assert psns(rig.received()) == [4]


def test_after_a_timeout_everything_that_is_not_known_to_have_arrived_is_sent_again() -> None:
    """IBTA 9.9.2.1.2: the timer asks for more than the NAKs told of."""
    rig = HandRig(config=selective())
    posted_sends(rig, 5)
    tell(rig, 1, 2)
    assert psns(rig.received()) == [1]
    rig.wait(10_000_000)
    assert psns(rig.received())[:3] == [1, 3, 4]


def test_a_plain_sequence_nak_of_a_responder_that_goes_back_sends_everything_again() -> None:
    rig = HandRig(config=selective())
    posted_sends(rig, 4)
    rig.acknowledge(FIRST_PSN + 1, SEQUENCE)
    assert psns(rig.received()) == [1, 2, 3]


def test_with_a_read_outstanding_recovery_is_go_back_n_but_for_what_arrived() -> None:
    rig = HandRig(config=selective())
    posted_sends(rig, 4)
    rig.end.send(7, WrOpcode.RDMA_READ, 0, 4, remote_address=0, rkey=1)
    assert psns(rig.received()) == [4]
    tell(rig, 1, 3)
    assert psns(rig.received()) == [1, 2, 4]


@pytest.mark.parametrize(("expected", "arrived"), [(9, 10), (-3, 2), (0, 90), (0, -1), (2, 2)])
def test_naks_about_what_was_never_sent_change_nothing(expected: int, arrived: int) -> None:
    rig = HandRig(config=selective())
    posted_sends(rig, 4)
    tell(rig, expected, arrived)
    assert rig.received() == []
    assert rig.end.qp.state is QpState.RTS
    rig.acknowledge(FIRST_PSN + 3 & 0xFFFFFF)
    assert len(rig.completed()) == 4


def test_repairs_without_progress_use_up_the_retries() -> None:
    """IBTA 9.9.2.1.2: none allowed, so the first loss ends the queue pair."""
    rig = HandRig(config=selective(), retry_cnt=0)
    posted_sends(rig, 3)
    tell(rig, 0, 1)
    assert rig.completed() == [(0, "RETRY_EXC_ERR"), (1, "WR_FLUSH_ERR"), (2, "WR_FLUSH_ERR")]


# Both


def resent(network: Impairments, recovery: tuple[str, str], *, shortcuts: bool = True, seed: int = 1) -> int:
    """Data packets sent more than once while 4 MiB are written; the memory must be right."""
    rig = Rig(
        seed=seed, impairments=network, memory_bytes=1 << 20, timeout=10, connect=False,
        config=DeviceConfig(shortcuts=shortcuts),
    )  # fmt: skip
    for end, choice in zip(rig.ends, recovery, strict=True):
        end.qp = end.pd.create_qp(send_cq=end.cq, recv_cq=end.cq, recovery=choice)
    rig.connect()
    sent: list[int] = []

    def record(_now: int, event: str, packet: Packet) -> None:
        if event == "sent" and packet.payload[0] in DATA_OPCODES:
            sent.append(int.from_bytes(packet.payload[9:12], "big"))

    rig.network.trace = record
    rig.left.memory[:] = random.Random(seed).randbytes(1 << 20)
    mr = rig.right.mr
    for number in range(4):
        rig.left.send(number, WrOpcode.RDMA_WRITE, 0, 1 << 20, remote_address=mr.address, rkey=mr.rkey)
    rig.run_until_completed(rig.left, 4)
    assert [wc.status.name for wc in rig.left.completions] == ["SUCCESS"] * 4
    assert rig.right.memory == rig.left.memory
    return len(sent) - len(set(sent))


@pytest.mark.slow
@both_ways
def test_at_one_percent_loss_less_than_a_third_of_what_go_back_n_sends_again_is_enough(shortcuts: bool) -> None:
    network = Impairments(loss=0.01, delay_ns=50_000, rate_bps=10_000_000_000)
    back = resent(network, ("go-back-n", "go-back-n"), shortcuts=shortcuts)
    repeated = resent(network, ("selective", "selective"), shortcuts=shortcuts)
    # 4096 packets, of which about 41 are lost.
    assert 20 < repeated < 120
    assert repeated < back // 3


@pytest.mark.slow
@pytest.mark.parametrize("recovery", [("selective", "go-back-n"), ("go-back-n", "selective")])
def test_either_end_works_with_a_peer_that_goes_back_n(recovery: tuple[str, str]) -> None:
    assert resent(Impairments(loss=0.02, delay_ns=50_000), recovery) > 0


BAD = {
    "0 %": Impairments(),
    "1 %": Impairments(loss=0.01, duplication=0.01, reordering=0.01, corruption=0.01, jitter_ns=5_000),
    "10 %": Impairments(loss=0.1, duplication=0.1, reordering=0.1, corruption=0.02, jitter_ns=50_000),
    "half reordered": Impairments(reordering=0.5, duplication=0.3),
}


@pytest.mark.slow
@both_ways
@pytest.mark.parametrize("network", BAD)
@pytest.mark.parametrize("seed", range(2))
def test_mixed_operations_arrive_exactly_once_and_in_order(network: str, shortcuts: bool, seed: int) -> None:
    sweep(network, selective(shortcuts=shortcuts), seed, rounds=150)


@pytest.mark.slow
def test_mixed_operations_under_congestion_control_and_selective_repeat() -> None:
    congestion = CongestionConfig(controller="dcqcn", line_rate_bps=10_000_000_000)
    sweep("1 %", selective(congestion=congestion), 1, rounds=150)


@pytest.mark.long
@both_ways
@pytest.mark.parametrize("network", BAD)
@pytest.mark.parametrize("seed", range(20))
def test_mixed_operations_of_many_seeds(network: str, shortcuts: bool, seed: int) -> None:
    sweep(network, selective(shortcuts=shortcuts), seed, rounds=600)


def sweep(network: str, config: DeviceConfig, seed: int, *, rounds: int) -> None:
    """Random operations of either side, checked one by one."""
    rig = Rig(
        seed=seed, impairments=BAD[network], memory_bytes=MEMORY_BYTES, min_rnr_timer=8, timeout=7, config=config,
        tells_identification=True,
    )  # fmt: skip
    traffic = Traffic(rig, seed)
    for _ in range(rounds):
        for side in traffic.sides:
            for _ in range(side.draw(5)):
                traffic.post_random(side)
            for _ in range(side.draw(5)):
                side.post_receive()
        traffic.run(side.draw(200_000))
    traffic.finish()
    for side in traffic.sides:
        assert side.end.qp.state is QpState.RTS


def test_a_local_operation_alone_in_the_queue_is_no_matter_of_the_rate() -> None:
    rig = HandRig(config=DeviceConfig(congestion=CongestionConfig(controller="dcqcn")))
    window = rig.end.pd.reg_mr(bytearray(64), 7)
    rig.end.qp.post_send(SendWr(1, WrOpcode.LOCAL_INV, (), SendFlags.SIGNALED, invalidate_rkey=window.rkey))
    rig.end.host.wake()
    rig.received()
    assert len(rig.completed()) == 1


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(LocalError, match="recovery is 'go-back-n' or 'selective', not 'sack'"):
        DeviceConfig(recovery="sack")
    rig = HandRig()
    with pytest.raises(LocalError, match="not 'sack'"):
        rig.end.pd.create_qp(send_cq=rig.end.cq, recv_cq=rig.end.cq, recovery="sack")
    with pytest.raises(LocalError, match="UC queue pairs have no selective repeat"):
        rig.end.pd.create_qp(QpType.UC, send_cq=rig.end.cq, recv_cq=rig.end.cq, recovery="selective")
