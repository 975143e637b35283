"""What both halves of a queue pair do when packets are lost, repeated or late (IBTA 9.7.5, 9.9.2)."""

from __future__ import annotations

import sys

import pytest

from stacks.rdma import AsyncEventType, QpAttributes, QpState, SendFlags, WrOpcode
from stacks.rdma.enums import RNR_TIMER_NS, ack_timeout_ns
from tests.stacks.rdma.hand import ACK, FIRST_PSN, MTU, NAK, RNR_NAK, HandRig
from transports.datagram import Burst
from wire.roce import Aeth, AtomicAckEth, AtomicEth, Opcode, Reth, RocePacket
from wire.seqnum import psn_add

HERE = FIRST_PSN
FULL = bytes(MTU)
SEQUENCE = NAK | 0
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


def psns(packets: list[RocePacket]) -> list[int]:
    """PSNs as distances from the first one."""
    return [packet.bth.psn - HERE & 0xFFFFFF for packet in packets]


def reth(rig: HandRig, offset: int, length: int) -> Reth:
    return Reth(va=rig.end.mr.address + offset, rkey=rig.end.mr.rkey, length=length)


# The responder


@each_way
def test_a_gap_is_reported_once_with_the_first_missing_psn(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    for number in range(6):
        rig.end.recv(number, 0, 64)
    rig.request(Opcode.RC_SEND_ONLY)
    rig.psn += 1
    for _ in range(3):
        rig.request(Opcode.RC_SEND_ONLY)
    assert rig.answers() == [(ACK, HERE), (SEQUENCE, HERE + 1)]
    # The gap closes, a second one opens.
    rig.request(Opcode.RC_SEND_ONLY, psn=HERE + 1)
    rig.request(Opcode.RC_SEND_ONLY, psn=HERE + 3)
    rig.request(Opcode.RC_SEND_ONLY, psn=HERE + 4)
    assert rig.answers() == [(ACK, HERE + 1), (SEQUENCE, HERE + 2 & 0xFFFFFF)]
    assert rig.end.device.counters.out_of_seq_request == 5
    assert rig.end.device.counters.send_seq_err == 2
    assert len(rig.completed()) == 2


def test_only_packets_that_ask_are_acknowledged_and_one_answers_for_all() -> None:
    rig = HandRig()
    for number in range(4):
        rig.end.recv(number)
    packets = [rig.packet(Opcode.RC_SEND_ONLY, psn=HERE + number, ack=number in (1, 2)) for number in range(4)]
    rig.put(*packets)
    assert rig.answers() == [(ACK, psn_add(HERE, 3))]
    rig.request(Opcode.RC_SEND_ONLY, psn=HERE + 4, ack=False)
    assert rig.answers() == [(RNR_NAK | 1, psn_add(HERE, 4))]


def test_duplicate_sends_and_writes_are_acknowledged_again_and_not_executed() -> None:
    rig = HandRig()
    rig.end.recv(1, 64, 64)
    rig.end.recv(2, 128, 64)
    rig.request(Opcode.RC_SEND_ONLY, payload=b"once")
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 0, 4), payload=b"once")
    rig.received()
    rig.request(Opcode.RC_SEND_ONLY, payload=b"more", psn=HERE)
    assert rig.answers() == [(ACK, HERE + 1)]
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 0, 4), payload=b"more", psn=HERE + 1)
    assert rig.answers() == [(ACK, HERE + 1)]
    assert (rig.end.memory[:4], rig.end.memory[64:68], rig.end.memory[128:132]) == (b"once", b"once", bytes(4))
    assert rig.completed() == [(1, "SUCCESS")]
    assert rig.end.device.counters.duplicate_request == 2


def test_duplicate_read_request_is_replayed_with_what_the_memory_then_holds() -> None:
    rig = HandRig()
    rig.end.memory[: 3 * MTU] = b"a" * 3 * MTU
    rig.request(Opcode.RC_READ_REQUEST, reth(rig, 0, 3 * MTU))
    assert psns(rig.received()) == [0, 1, 2]
    rig.end.memory[: 3 * MTU] = b"b" * 3 * MTU
    rig.request(Opcode.RC_READ_REQUEST, reth(rig, MTU, 2 * MTU), psn=HERE + 1)
    packets = rig.received()
    assert psns(packets) == [1, 2]
    assert [packet.bth.opcode for packet in packets] == [Opcode.RC_READ_RESPONSE_FIRST, Opcode.RC_READ_RESPONSE_LAST]
    assert b"".join(packet.payload for packet in packets) == b"b" * 2 * MTU
    assert packets[0].find(Aeth) == Aeth(syndrome=ACK, msn=1)


def test_a_duplicate_read_request_outside_of_what_was_asked_is_dropped() -> None:
    rig = HandRig()
    rig.request(Opcode.RC_READ_REQUEST, reth(rig, 0, 3 * MTU))
    rig.psn += 2
    rig.received()
    other = rig.end.pd.reg_mr(bytearray(3 * MTU), 7)
    for wrong in (
        reth(rig, 0, 3 * MTU + 1),
        reth(rig, MTU, MTU),
        Reth(va=other.address, rkey=other.rkey, length=MTU),
    ):
        rig.request(Opcode.RC_READ_REQUEST, wrong, psn=HERE)
    rig.request(Opcode.RC_READ_REQUEST, reth(rig, 2 * MTU, 2 * MTU), psn=HERE + 2)
    rig.request(Opcode.RC_READ_REQUEST, reth(rig, -MTU, MTU), psn=HERE - 1)
    rig.request(Opcode.RC_READ_REQUEST, psn=HERE)
    assert rig.received() == []
    rig.end.mr.dereg()
    rig.request(Opcode.RC_READ_REQUEST, reth(rig, 0, 3 * MTU), psn=HERE)
    assert rig.received() == []
    assert rig.end.qp.state is QpState.RTS


def test_a_read_of_nothing_is_replayed_too() -> None:
    rig = HandRig()
    nothing = Reth(va=1, rkey=2, length=0)
    rig.request(Opcode.RC_READ_REQUEST, nothing)
    rig.request(Opcode.RC_READ_REQUEST, nothing, psn=HERE)
    assert psns(rig.received()) == [0, 0]


def test_duplicate_atomics_are_answered_from_memory_and_executed_once() -> None:
    rig = HandRig(max_dest_rd_atomic=2)
    for number in range(3):
        request = AtomicEth(va=rig.end.mr.address, rkey=rig.end.mr.rkey, swap_add=10)
        rig.request(Opcode.RC_FETCH_ADD, request)
        rig.received()
        rig.request(Opcode.RC_FETCH_ADD, request, psn=HERE + number)
        (again,) = rig.received()
        assert again.find(AtomicAckEth) == AtomicAckEth(original=10 * number)
    assert int.from_bytes(rig.end.memory[:8], sys.byteorder) == 30
    # The first is no longer remembered: max_dest_rd_atomic is 2.
    rig.request(Opcode.RC_FETCH_ADD, request, psn=HERE)
    assert rig.received() == []
    rig.request(Opcode.RC_FETCH_ADD, request, psn=HERE + 1)
    assert len(rig.received()) == 1


@pytest.mark.parametrize("kind", ["READ", "atomic"])
def test_a_late_duplicate_takes_no_resource_from_what_the_requester_may_ask(kind: str) -> None:
    rig = HandRig(max_dest_rd_atomic=2)
    mr, device = rig.end.mr, rig.end.device

    def request(number: int) -> bytes:
        if kind == "READ":
            return rig.packet(Opcode.RC_READ_REQUEST, reth(rig, 0, 4), psn=HERE + number)
        return rig.packet(Opcode.RC_FETCH_ADD, AtomicEth(va=mr.address, rkey=mr.rkey), psn=HERE + number)

    rig.put(request(0))
    assert len(rig.received()) == 1
    # The first is answered; a duplicate of it arrives just before the two that may then be out.
    for packet in (request(0), request(1), request(2)):
        device.handle_burst(Burst(memoryview(packet), len(packet), rig.peer.address, device.address), 0)
    rig.end.host.wake()
    assert psns(rig.received()) == [0, 1, 2]
    assert rig.end.qp.state is QpState.RTS


def test_answers_leave_in_the_order_of_their_requests() -> None:
    rig = HandRig()
    rig.end.recv(1)
    rig.put(
        rig.packet(Opcode.RC_WRITE_ONLY, reth(rig, 0, 4), payload=b"abcd", psn=HERE),
        rig.packet(Opcode.RC_READ_REQUEST, reth(rig, 0, 2 * MTU), psn=HERE + 1),
        rig.packet(Opcode.RC_FETCH_ADD, AtomicEth(va=rig.end.mr.address, rkey=rig.end.mr.rkey), psn=HERE + 3),
        rig.packet(Opcode.RC_SEND_ONLY, psn=HERE + 4),
    )
    assert [(packet.bth.opcode, packet.bth.psn - HERE & 0xFFFFFF) for packet in rig.received()] == [
        (Opcode.RC_READ_RESPONSE_FIRST, 1), (Opcode.RC_READ_RESPONSE_LAST, 2), (Opcode.RC_ATOMIC_ACKNOWLEDGE, 3),
        (Opcode.RC_ACKNOWLEDGE, 4),
    ]  # fmt: skip


def test_the_msn_counts_messages_and_reads_at_their_request() -> None:
    rig = HandRig()
    rig.end.recv(1, 0, 2 * MTU)
    seen = []
    for request in (
        lambda: rig.request(Opcode.RC_SEND_FIRST, payload=FULL),
        lambda: rig.request(Opcode.RC_SEND_LAST, payload=b"x"),
        lambda: rig.request(Opcode.RC_READ_REQUEST, reth(rig, 0, 4)),
        lambda: rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 0, 0)),
    ):
        request()
        seen += [aeth.msn for packet in rig.received() if (aeth := packet.find(Aeth))]
    assert seen == [0, 1, 2, 3]


def test_a_first_packet_in_rtr_is_told_once() -> None:
    rig = HandRig()
    told = []
    end = rig.end
    end.qp.modify(QpAttributes(state=QpState.RESET))
    end.qp.on_established = told.append
    rig.connect(15, {})
    assert told == []
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 0, 0))
    assert told == []
    end.qp.modify(QpAttributes(state=QpState.RESET))
    modify = QpAttributes(state=QpState.INIT, pkey_index=0, port=1, access=15)
    end.qp.modify(modify)
    connected = HandRig()
    rtr = {name: value for name, value in connected.end.qp.attributes.items() if name in RTR_NAMES}
    end.qp.modify(QpAttributes(state=QpState.RTR, **rtr))  # type: ignore[arg-type]
    for number in range(2):
        rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 0, 0), psn=HERE + number)
    assert told == [end.qp]
    assert [syndrome for syndrome, _ in rig.answers()] == [ACK, ACK, ACK]


RTR_NAMES = ("av", "path_mtu", "dest_qpn", "rq_psn", "max_dest_rd_atomic", "min_rnr_timer")


# The requester


def posted(
    rig: HandRig, count: int, opcode: WrOpcode = WrOpcode.SEND, size: int = 4, **fields: int
) -> list[RocePacket]:
    """Post `count` requests numbered from 1, and take what leaves."""
    for number in range(1, count + 1):
        rig.end.send(number, opcode, 0, size, **fields)
    return rig.received()


def test_one_acknowledgement_completes_everything_before_it_across_the_wrap() -> None:
    rig = HandRig()
    assert psns(posted(rig, 4)) == [0, 1, 2, 3]
    rig.acknowledge(psn_add(HERE, 2))
    assert rig.completed() == [(1, "SUCCESS"), (2, "SUCCESS"), (3, "SUCCESS")]
    rig.acknowledge(psn_add(HERE, 1))
    rig.acknowledge(psn_add(HERE, 2))
    assert rig.completed() == []
    rig.acknowledge(psn_add(HERE, 3))
    assert rig.completed() == [(4, "SUCCESS")]


def test_an_acknowledgement_of_what_was_never_sent_is_dropped() -> None:
    rig = HandRig()
    posted(rig, 2)
    rig.acknowledge(HERE + 2)
    rig.acknowledge(HERE + 0x500000)
    rig.acknowledge(HERE + 2, SEQUENCE)
    assert rig.completed() == []
    assert rig.received() == []
    assert rig.end.device.counters.duplicate_response == 3
    rig.acknowledge(HERE + 1)
    assert len(rig.completed()) == 2


@each_way
def test_a_sequence_nak_sends_again_from_its_psn_and_its_repetition_does_not(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    posted(rig, 4)
    rig.acknowledge(HERE + 1, SEQUENCE)
    assert psns(rig.received()) == [1, 2, 3]
    rig.acknowledge(HERE + 1, SEQUENCE)
    assert rig.received() == []
    assert rig.completed() == [(1, "SUCCESS")]
    rig.acknowledge(psn_add(HERE, 3))
    assert rig.completed() == [(2, "SUCCESS"), (3, "SUCCESS"), (4, "SUCCESS")]
    assert rig.end.device.counters.rcvd_seq_err == 2


def test_silence_is_answered_with_retries_and_then_with_retry_exceeded() -> None:
    rig = HandRig(timeout=8, retry_cnt=3)
    posted(rig, 2)
    for _ in range(3):
        assert rig.received() == []
        rig.wait(ack_timeout_ns(8))
        assert psns(rig.received()) == [0, 1]
    rig.wait(ack_timeout_ns(8))
    assert rig.completed() == [(1, "RETRY_EXC_ERR"), (2, "WR_FLUSH_ERR")]
    assert rig.end.qp.state is QpState.ERR
    assert rig.end.device.counters.retry_exceeded_err == 1
    assert rig.end.device.counters.completer_retry_err == 4
    assert rig.end.device.poll_deadline() is None


def test_progress_refills_the_retries() -> None:
    rig = HandRig(timeout=8, retry_cnt=1)
    posted(rig, 3)
    for number in range(3):
        rig.wait(ack_timeout_ns(8))
        assert rig.received()
        rig.acknowledge(psn_add(HERE, number))
    assert [status for _, status in rig.completed()] == ["SUCCESS"] * 3


def test_a_timeout_of_zero_waits_for_ever() -> None:
    rig = HandRig(timeout=0)
    posted(rig, 1)
    rig.wait(10**13)
    assert rig.received() == []
    assert rig.completed() == []


def test_sequence_naks_use_up_the_retries_when_nothing_gets_through() -> None:
    rig = HandRig(timeout=8, retry_cnt=0)
    posted(rig, 1)
    rig.acknowledge(HERE, SEQUENCE)
    assert rig.completed() == [(1, "RETRY_EXC_ERR")]


@pytest.mark.parametrize(
    ("syndrome", "status"),
    [
        (NAK | 1, "REM_INV_REQ_ERR"),
        (NAK | 2, "REM_ACCESS_ERR"),
        (NAK | 3, "REM_OP_ERR"),
        (NAK | 9, "BAD_RESP_ERR"),
        (0x40, "BAD_RESP_ERR"),
    ],
)
def test_a_nak_ends_its_request_and_flushes_the_rest_in_order(syndrome: int, status: str) -> None:
    rig = HandRig()
    rig.end.recv(9)
    for number in range(1, 5):
        rig.end.send(number, WrOpcode.SEND, 0, 4, flags=0)
    rig.received()
    rig.acknowledge(HERE + 1, syndrome)
    assert rig.completed() == [(2, status), (3, "WR_FLUSH_ERR"), (4, "WR_FLUSH_ERR"), (9, "WR_FLUSH_ERR")]
    assert rig.end.qp.state is QpState.ERR


@pytest.mark.parametrize("code", [1, 14, 31])
def test_an_rnr_nak_is_waited_out_for_the_time_that_it_names(code: int) -> None:
    rig = HandRig(timeout=0)
    posted(rig, 3)
    rig.acknowledge(HERE + 1, RNR_NAK | code)
    started = rig.simulation.now - 100_000 + 10_000
    assert rig.completed() == [(1, "SUCCESS")]
    if RNR_TIMER_NS[code] > 200_000:
        rig.wait(started + RNR_TIMER_NS[code] - rig.simulation.now - 1)
        assert rig.peer.receive() is None
    rig.wait(100_000)
    assert psns(rig.received()) == [1, 2]


def test_rnr_naks_use_up_their_own_retries() -> None:
    rig = HandRig(rnr_retry=2, retry_cnt=0, timeout=0)
    posted(rig, 1)
    for _ in range(2):
        rig.acknowledge(HERE, RNR_NAK | 1)
        assert psns(rig.received()) == [0]
    rig.acknowledge(HERE, RNR_NAK | 1)
    assert rig.completed() == [(1, "RNR_RETRY_EXC_ERR")]
    assert rig.end.device.counters.retry_rnr_exceeded_err == 1


def test_an_rnr_retry_of_seven_never_ends() -> None:
    rig = HandRig(rnr_retry=7, timeout=0)
    posted(rig, 1)
    for _ in range(50):
        rig.acknowledge(HERE, RNR_NAK | 1)
        assert psns(rig.received()) == [0]


def test_an_acknowledgement_or_nak_during_an_rnr_wait_does_not_stop_the_queue() -> None:
    # A duplicate of the refused packet may have found a receive: its ACK overtakes the wait.
    for syndrome in (ACK, SEQUENCE):
        rig = HandRig(timeout=0)
        posted(rig, 2)
        rig.acknowledge(HERE, RNR_NAK | 16)
        rig.acknowledge(HERE, syndrome)
        rig.wait(RNR_TIMER_NS[16])
        assert psns(rig.received())[-1:] == [1]
        rig.acknowledge(HERE + 1)
        assert rig.completed() == [(1, "SUCCESS"), (2, "SUCCESS")]


@pytest.mark.parametrize("overtake", [False, True])
def test_an_acknowledgement_after_a_rewind_skips_what_it_covers(overtake: bool) -> None:
    rig = HandRig(timeout=0)
    for number in range(1, 4):
        rig.end.send(number, WrOpcode.SEND, 0, 2 * MTU)
    assert len(rig.received()) == 6
    rig.acknowledge(HERE, RNR_NAK | 16)
    rig.acknowledge(psn_add(HERE, 2 if overtake else 3))
    rig.wait(RNR_TIMER_NS[16])
    assert psns(rig.received()) == ([3, 4, 5] if overtake else [4, 5])
    rig.acknowledge(psn_add(HERE, 5))
    assert [status for _, status in rig.completed()] == ["SUCCESS"] * 3


# READs and atomics


def read_back(rig: HandRig, first: int, count: int, *, at: int = 0, of: int | None = None) -> None:
    """Answer READ packets first..first+count-1, of a message of `of` packets from `at` on."""
    of = count if of is None else of
    for number in range(first, first + count):
        is_first, is_last = number == at, number == at + of - 1
        if is_first:
            opcode = Opcode.RC_READ_RESPONSE_ONLY if is_last else Opcode.RC_READ_RESPONSE_FIRST
        else:
            opcode = Opcode.RC_READ_RESPONSE_LAST if is_last else Opcode.RC_READ_RESPONSE_MIDDLE
        headers = () if opcode == Opcode.RC_READ_RESPONSE_MIDDLE else (Aeth(syndrome=ACK),)
        rig.respond(opcode, psn_add(HERE, number), *headers, payload=bytes([65 + number]) * MTU)


def test_a_lost_read_response_is_asked_for_again_from_the_first_missing_packet() -> None:
    rig = HandRig(timeout=0)
    (request,) = posted(rig, 1, WrOpcode.RDMA_READ, 5 * MTU, remote_address=1000, rkey=7)
    assert request.find(Reth) == Reth(va=1000, rkey=7, length=5 * MTU)
    read_back(rig, 0, 2, of=5)
    read_back(rig, 3, 2, of=5)
    (again,) = rig.received()
    assert psns([again]) == [2]
    assert again.find(Reth) == Reth(va=1000 + 2 * MTU, rkey=7, length=3 * MTU)
    read_back(rig, 2, 3, at=2, of=3)
    assert rig.completed() == [(1, "SUCCESS")]
    assert rig.end.memory[: 5 * MTU] == b"".join(bytes([65 + number]) * MTU for number in range(5))


def test_an_acknowledgement_past_a_read_means_that_its_response_was_lost() -> None:
    rig = HandRig(timeout=0)
    rig.end.send(1, WrOpcode.RDMA_READ, 0, MTU)
    rig.end.send(2, WrOpcode.SEND, 0, 4)
    assert psns(rig.received()) == [0, 1]
    rig.acknowledge(HERE + 1)
    assert rig.completed() == []
    assert psns(rig.received()) == [0, 1]
    rig.acknowledge(HERE + 1)
    assert rig.received() == []
    read_back(rig, 0, 1)
    rig.acknowledge(HERE + 1)
    assert rig.completed() == [(1, "SUCCESS"), (2, "SUCCESS")]


def test_responses_that_nobody_waits_for_are_dropped() -> None:
    rig = HandRig(timeout=0)
    read_back(rig, 0, 1)
    posted(rig, 1)
    read_back(rig, 0, 1)
    rig.respond(Opcode.RC_ATOMIC_ACKNOWLEDGE, HERE, Aeth(syndrome=ACK), AtomicAckEth())
    rig.respond(Opcode.RC_ACKNOWLEDGE, HERE)
    assert rig.completed() == []
    assert rig.end.qp.state is QpState.RTS
    assert rig.end.memory[:MTU] == FULL


READ_LIES = {
    "too short": lambda rig: rig.respond(Opcode.RC_READ_RESPONSE_FIRST, HERE, Aeth(), payload=FULL[1:]),
    "last too early": lambda rig: rig.respond(Opcode.RC_READ_RESPONSE_LAST, HERE, Aeth(), payload=FULL),
    "only": lambda rig: rig.respond(Opcode.RC_READ_RESPONSE_ONLY, HERE, Aeth(), payload=FULL),
    "middle below the MTU": lambda rig: rig.respond(Opcode.RC_READ_RESPONSE_MIDDLE, HERE, payload=FULL[1:]),
    "without an AETH": lambda rig: rig.respond(Opcode.RC_READ_RESPONSE_FIRST, HERE),
    "an atomic's": lambda rig: rig.respond(Opcode.RC_ATOMIC_ACKNOWLEDGE, HERE, Aeth(), AtomicAckEth()),
}


@pytest.mark.parametrize("lie", READ_LIES)
def test_a_read_response_that_does_not_fit_its_request_is_a_bad_response(lie: str) -> None:
    rig = HandRig(timeout=0)
    posted(rig, 2, WrOpcode.RDMA_READ, 2 * MTU)
    READ_LIES[lie](rig)
    assert rig.completed() == [(1, "BAD_RESP_ERR"), (2, "WR_FLUSH_ERR")]


def test_kinds_of_response_are_not_taken_for_each_other() -> None:
    rig = HandRig(timeout=0)
    posted(rig, 1, WrOpcode.RDMA_READ, 8)
    rig.respond(Opcode.RC_ATOMIC_ACKNOWLEDGE, HERE, Aeth(), AtomicAckEth(original=1))
    assert rig.completed() == [(1, "BAD_RESP_ERR")]
    rig = HandRig(timeout=0)
    posted(rig, 1, WrOpcode.ATOMIC_FETCH_AND_ADD, 8)
    rig.respond(Opcode.RC_READ_RESPONSE_ONLY, HERE, Aeth(), payload=bytes(8))
    assert rig.completed() == [(1, "BAD_RESP_ERR")]
    rig = HandRig(timeout=0)
    posted(rig, 1, WrOpcode.ATOMIC_FETCH_AND_ADD, 8)
    rig.respond(Opcode.RC_ATOMIC_ACKNOWLEDGE, HERE, Aeth())
    assert rig.completed() == [(1, "BAD_RESP_ERR")]


def test_an_atomic_whose_answer_is_lost_is_asked_for_again_unchanged() -> None:
    rig = HandRig(timeout=8)
    first = posted(rig, 2, WrOpcode.ATOMIC_CMP_AND_SWP, 8, remote_address=64, rkey=5, compare_add=1, swap=2)
    rig.respond(Opcode.RC_ATOMIC_ACKNOWLEDGE, HERE + 1, Aeth(), AtomicAckEth(original=6))
    again = rig.received()
    assert [packet.encode() for packet in again] == [packet.encode() for packet in first]
    assert first[0].find(AtomicEth) == AtomicEth(va=64, rkey=5, swap_add=2, compare=1)
    rig.respond(Opcode.RC_ATOMIC_ACKNOWLEDGE, HERE, Aeth(), AtomicAckEth(original=1))
    rig.respond(Opcode.RC_ATOMIC_ACKNOWLEDGE, HERE, Aeth(), AtomicAckEth(original=1))
    assert rig.completed() == [(1, "SUCCESS")]
    assert int.from_bytes(rig.end.memory[:8], sys.byteorder) == 1


def test_a_response_completes_the_requests_before_it() -> None:
    rig = HandRig(timeout=0)
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    rig.end.send(2, WrOpcode.RDMA_READ, 0, MTU)
    rig.received()
    read_back(rig, 1, 1, at=1)
    assert rig.completed() == [(1, "SUCCESS"), (2, "SUCCESS")]


def test_no_more_reads_are_out_than_negotiated_and_others_do_not_overtake() -> None:
    rig = HandRig(timeout=0, max_qp_rd_atomic=2)
    for number in range(1, 5):
        rig.end.send(number, WrOpcode.RDMA_READ if number < 4 else WrOpcode.SEND, 0, 4)
    assert psns(rig.received()) == [0, 1]
    rig.respond(Opcode.RC_READ_RESPONSE_ONLY, HERE, Aeth(), payload=bytes(4))
    assert psns(rig.received()) == [2, 3]


@pytest.mark.parametrize("flags", [SendFlags.SIGNALED, SendFlags.SIGNALED | SendFlags.FENCE])
def test_a_fence_waits_for_the_reads_before_it(flags: int) -> None:
    rig = HandRig(timeout=0)
    rig.end.send(1, WrOpcode.RDMA_READ, 0, 4)
    rig.end.send(2, WrOpcode.SEND, 0, 4, flags=flags)
    fenced = flags & SendFlags.FENCE
    assert psns(rig.received()) == ([0] if fenced else [0, 1])
    rig.end.memory[:4] = b"old."
    rig.respond(Opcode.RC_READ_RESPONSE_ONLY, HERE, Aeth(), payload=b"new.")
    packets = rig.received()
    assert [packet.payload for packet in packets] == ([b"new."] if fenced else [])


def test_a_long_read_is_asked_for_in_pieces_no_longer_than_the_window() -> None:
    rig = HandRig(timeout=0, max_qp_rd_atomic=16, memory_bytes=1 << 19)
    packets = 1500
    rig.end.send(1, WrOpcode.RDMA_READ, 0, packets * MTU)
    asked = rig.received()
    piece = asked[0].find(Reth)
    assert piece is not None
    assert len(asked) == 1
    window = piece.length // MTU
    assert window < 500
    done = 0
    while not (statuses := rig.completed()):
        count = min(window, packets - done)
        read_back_quietly(rig, done, count)
        done += count
        for request in rig.received():
            reth = request.find(Reth)
            assert reth is not None
            assert psns([request]) == [done]
            window = -(-reth.length // MTU)
    assert statuses == [(1, "SUCCESS")]
    assert done == packets


def read_back_quietly(rig: HandRig, first: int, count: int) -> None:
    """All packets of one piece at once."""
    packets = []
    for number in range(first, first + count):
        is_first, is_last = number == first, number == first + count - 1
        if is_first:
            opcode = Opcode.RC_READ_RESPONSE_ONLY if is_last else Opcode.RC_READ_RESPONSE_FIRST
        else:
            opcode = Opcode.RC_READ_RESPONSE_LAST if is_last else Opcode.RC_READ_RESPONSE_MIDDLE
        headers = () if opcode == Opcode.RC_READ_RESPONSE_MIDDLE else (Aeth(syndrome=ACK),)
        packets.append(rig.packet(opcode, *headers, payload=FULL, psn=psn_add(HERE, number), ack=False))
    rig.put(*packets)


# States


def test_sends_are_held_while_the_queue_is_drained_and_leave_with_rts() -> None:
    rig = HandRig()
    rig.end.qp.modify(QpAttributes(state=QpState.SQD))
    assert posted(rig, 2) == []
    rig.request(Opcode.RC_WRITE_ONLY, reth(rig, 0, 4), payload=b"abcd")
    assert rig.answers() == [(ACK, HERE)]
    rig.end.qp.modify(QpAttributes(state=QpState.RTS))
    assert psns(rig.received()) == [0, 1]


def test_what_was_sent_before_draining_still_completes() -> None:
    rig = HandRig()
    posted(rig, 1)
    rig.end.qp.modify(QpAttributes(state=QpState.SQD))
    rig.acknowledge(HERE)
    assert rig.completed() == [(1, "SUCCESS")]


def test_a_reset_forgets_everything_and_the_queue_pair_can_be_used_again() -> None:
    rig = HandRig(timeout=8)
    posted(rig, 3)
    rig.end.recv(9)
    rig.end.qp.modify(QpAttributes(state=QpState.RESET))
    rig.wait(10**9)
    assert rig.completed() == []
    assert rig.received() == []
    assert rig.end.device.poll_deadline() is None
    rig.connect(15, {})
    assert psns(posted(rig, 1)) == [0]
    rig.acknowledge(HERE)
    rig.request(Opcode.RC_SEND_ONLY)
    assert rig.completed() == [(1, "SUCCESS")]
    assert rig.answers() == [(RNR_NAK | 1, HERE)]


def test_no_event_is_raised_for_what_a_requester_ends_with() -> None:
    rig = HandRig()
    posted(rig, 1)
    rig.acknowledge(HERE, NAK | 2)
    assert rig.end.device.poll_async_event() is None
    assert AsyncEventType.QP_FATAL == 1
