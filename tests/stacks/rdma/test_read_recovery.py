"""READs and atomics whose responses are lost, late, or not what was asked for (IBTA 9.7.5.1, 9.9.2)."""

from __future__ import annotations

import sys

import pytest

from stacks.rdma import QpState, SendFlags, WrOpcode
from tests.stacks.rdma.hand import ACK, FIRST_PSN, MTU, HandRig, posted, psns
from wire.roce import Aeth, AtomicAckEth, AtomicEth, Opcode, Reth
from wire.seqnum import psn_add

HERE = FIRST_PSN
FULL = bytes(MTU)


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
