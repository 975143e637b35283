"""What a responder does about gaps and duplicates, and the order of its answers (IBTA 9.7.5.1.2, 9.9.2.2)."""

from __future__ import annotations

import sys

import pytest

from stacks.rdma import QpState
from tests.stacks.rdma.hand import ACK, FIRST_PSN, MTU, RNR_NAK, SEQUENCE, HandRig, psns, reth
from transports.datagram import Burst
from wire.roce import Aeth, AtomicAckEth, AtomicEth, Opcode, Reth
from wire.seqnum import psn_add

HERE = FIRST_PSN
FULL = bytes(MTU)
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


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
    assert rig.end.device.counters.out_of_seq_request == 2
    assert rig.end.device.counters.rcvd_ahead_pkts == 5
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
