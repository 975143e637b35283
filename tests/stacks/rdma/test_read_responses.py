"""READ and atomic responses that are not what comes next: which end the queue pair, which are only old (IBTA 9.9.2).

Out of place is an opcode that the request's next PSN does not call for. Once a request was repeated, that may be an
answer to the earlier one, overtaken by the repetition: then it is dropped.
"""

from __future__ import annotations

import pytest

from stacks.dma.contract import Direction, Fault, Mapping
from stacks.dma.scattered import ScatteredDma
from stacks.rdma import QpState, WrOpcode
from tests.stacks.rdma.hand import ACK, FIRST_PSN, MTU, NAK, RNR_NAK, SEQUENCE, HandRig, posted, reth
from transports.datagram import Burst
from wire.roce import Aeth, AtomicAckEth, Opcode, Reth
from wire.seqnum import psn_add

FIRST, MIDDLE = Opcode.RC_READ_RESPONSE_FIRST, Opcode.RC_READ_RESPONSE_MIDDLE
LAST, ONLY = Opcode.RC_READ_RESPONSE_LAST, Opcode.RC_READ_RESPONSE_ONLY
PEER = ("192.0.2.1", 4791)
WRONG = b"?" * MTU
BEHIND = 4
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])
refusing = pytest.mark.parametrize("syndrome", [NAK | 0, NAK | 2, RNR_NAK | 1, 0x40], ids=hex)


def response(rig: HandRig, opcode: int, number: int, payload: bytes, syndrome: int = ACK) -> bytes:
    """READ response packet `number`, counted from the first PSN."""
    headers = () if opcode == MIDDLE else (Aeth(syndrome=syndrome),)
    return rig.packet(opcode, *headers, payload=payload, psn=psn_add(FIRST_PSN, number), ack=False)


def page(number: int) -> bytes:
    """What the peer's memory holds there."""
    return bytes([65 + number]) * MTU


def respond(rig: HandRig, *opcodes: int, start: int = 0) -> None:
    """Good responses, from packet `start` on."""
    rig.put(*[response(rig, opcode, number, page(number)) for number, opcode in enumerate(opcodes, start)])


def hear_run(rig: HandRig, opcodes: list[int], start: int) -> None:
    """Wrong responses from packet `start` on, in one burst."""
    packets = []
    for number, opcode in enumerate(opcodes):
        body = response(rig, opcode, start + number, WRONG)[:-4]
        packets.append(body + rig.flow.icrc(body + bytes(4), number).to_bytes(4, "little"))
    device = rig.end.device
    device.handle_burst(Burst(memoryview(b"".join(packets)), len(packets[0]), PEER, device.address), rig.simulation.now)
    rig.end.host.wake()


def reading_behind_the_wrap(packets: int, *, shortcuts: bool) -> HandRig:
    """A READ is out whose first PSN is BEHIND, so that no run of its responses holds the wrap."""
    rig = HandRig(shortcuts=shortcuts, timeout=0)
    posted(rig, BEHIND)
    rig.acknowledge(psn_add(FIRST_PSN, BEHIND - 1))
    rig.completed()
    posted(rig, 1, WrOpcode.RDMA_READ, packets * MTU)
    return rig


# Syndromes

POSITIONS: dict[str, tuple[int, list[int]]] = {"FIRST": (3, [FIRST]), "LAST": (2, [FIRST, LAST]), "ONLY": (1, [ONLY])}


@each_way
@refusing
@pytest.mark.parametrize("position", POSITIONS)
def test_a_read_response_that_does_not_acknowledge_is_a_bad_response(
    position: str, syndrome: int, shortcuts: bool
) -> None:
    packets, (*before, opcode) = POSITIONS[position]
    rig = HandRig(shortcuts=shortcuts, timeout=0)
    posted(rig, 2, WrOpcode.RDMA_READ, packets * MTU)
    respond(rig, *before)
    rig.put(response(rig, opcode, len(before), WRONG, syndrome))
    assert rig.completed() == [(1, "BAD_RESP_ERR"), (2, "WR_FLUSH_ERR")]
    assert rig.end.qp.state is QpState.ERR
    assert WRONG not in rig.end.memory


@each_way
@refusing
def test_an_atomic_acknowledge_that_does_not_acknowledge_is_a_bad_response(syndrome: int, shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts, timeout=0)
    posted(rig, 2, WrOpcode.ATOMIC_FETCH_AND_ADD, 8)
    rig.respond(Opcode.RC_ATOMIC_ACKNOWLEDGE, FIRST_PSN, Aeth(syndrome=syndrome), AtomicAckEth(original=1 << 63))
    assert rig.completed() == [(1, "BAD_RESP_ERR"), (2, "WR_FLUSH_ERR")]
    assert rig.end.memory[:8] == bytes(8)


@each_way
@pytest.mark.parametrize("syndrome", [0, ACK, 7])
def test_the_credits_that_a_read_response_names_do_not_matter(syndrome: int, shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts, timeout=0)
    posted(rig, 1, WrOpcode.RDMA_READ, MTU)
    rig.put(response(rig, ONLY, 0, page(0), syndrome))
    assert rig.completed() == [(1, "SUCCESS")]


# Places

OUT_OF_PLACE: dict[str, tuple[list[int], int, list[int]]] = {
    # What arrived before, the packet that is out of place, and what the peer goes on with.
    "MIDDLE at the first PSN": ([], MIDDLE, [FIRST, MIDDLE, LAST]),
    "LAST at the first PSN": ([], LAST, [FIRST, MIDDLE, LAST]),
    "ONLY for a longer request": ([], ONLY, [FIRST, MIDDLE, LAST]),
    "FIRST in the middle": ([FIRST], FIRST, [MIDDLE, LAST]),
    "LAST in the middle": ([FIRST], LAST, [MIDDLE, LAST]),
    "ONLY in the middle": ([FIRST], ONLY, [MIDDLE, LAST]),
    "FIRST at the last PSN": ([FIRST, MIDDLE], FIRST, [LAST]),
    "MIDDLE at the last PSN": ([FIRST, MIDDLE], MIDDLE, [LAST]),
    "ONLY at the last PSN": ([FIRST, MIDDLE], ONLY, [LAST]),
    "FIRST for a request of one packet": ([], FIRST, [ONLY]),
    "MIDDLE for a request of one packet": ([], MIDDLE, [ONLY]),
    "LAST for a request of one packet": ([], LAST, [ONLY]),
}


@each_way
@pytest.mark.parametrize("place", OUT_OF_PLACE)
def test_a_read_response_out_of_place_is_a_bad_response(place: str, shortcuts: bool) -> None:
    before, opcode, after = OUT_OF_PLACE[place]
    rig = HandRig(shortcuts=shortcuts, timeout=0)
    posted(rig, 2, WrOpcode.RDMA_READ, (len(before) + len(after)) * MTU)
    respond(rig, *before)
    rig.put(response(rig, opcode, len(before), WRONG))
    assert rig.completed() == [(1, "BAD_RESP_ERR"), (2, "WR_FLUSH_ERR")]
    assert rig.end.qp.state is QpState.ERR
    assert WRONG not in rig.end.memory


@each_way
@pytest.mark.parametrize("place", OUT_OF_PLACE)
def test_a_read_response_out_of_place_in_a_repetition_is_dropped_and_the_read_goes_on(
    place: str, shortcuts: bool
) -> None:
    before, opcode, after = OUT_OF_PLACE[place]
    rig = HandRig(shortcuts=shortcuts, timeout=0)
    count = len(before) + len(after)
    asked = posted(rig, 1, WrOpcode.RDMA_READ, count * MTU)
    rig.acknowledge(FIRST_PSN, SEQUENCE)
    assert [packet.encode() for packet in rig.received()] == [packet.encode() for packet in asked]
    respond(rig, *before)
    rig.put(response(rig, opcode, len(before), WRONG))
    assert rig.end.device.counters.duplicate_response == 1
    assert rig.completed() == []
    assert WRONG not in rig.end.memory
    respond(rig, *after, start=len(before))
    assert rig.completed() == [(1, "SUCCESS")]
    assert rig.end.memory[: count * MTU] == b"".join(map(page, range(count)))
    assert rig.received() == []


@each_way
def test_a_run_of_middles_at_the_first_psn_is_a_bad_response_and_written_nowhere(shortcuts: bool) -> None:
    rig = reading_behind_the_wrap(6, shortcuts=shortcuts)
    hear_run(rig, [MIDDLE] * 4, BEHIND)
    assert rig.completed() == [(1, "BAD_RESP_ERR")]
    assert WRONG not in rig.end.memory


@each_way
def test_a_run_of_middles_up_to_the_last_psn_is_a_bad_response(shortcuts: bool) -> None:
    rig = reading_behind_the_wrap(4, shortcuts=shortcuts)
    respond(rig, FIRST, start=BEHIND)
    hear_run(rig, [MIDDLE] * 3, BEHIND + 1)
    assert rig.completed() == [(1, "BAD_RESP_ERR")]
    assert rig.end.memory[3 * MTU : 4 * MTU] == bytes(MTU)


@each_way
def test_a_read_whose_first_response_comes_again_is_not_a_reason_to_end(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts, timeout=0)
    posted(rig, 1, WrOpcode.RDMA_READ, 3 * MTU)
    respond(rig, FIRST, MIDDLE)
    respond(rig, FIRST, MIDDLE)
    respond(rig, LAST, start=2)
    assert rig.completed() == [(1, "SUCCESS")]


@each_way
def test_late_responses_to_the_first_request_do_not_spoil_its_repetition(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts, timeout=0)
    posted(rig, 1, WrOpcode.RDMA_READ, 5 * MTU)
    respond(rig, FIRST, MIDDLE)
    respond(rig, MIDDLE, start=3)
    (again,) = rig.received()
    reth = again.find(Reth)
    assert reth is not None
    assert (again.bth.psn, reth.length) == (psn_add(FIRST_PSN, 2), 3 * MTU)
    # What seemed lost was only overtaken; it is a MIDDLE where the repetition begins, and the same data.
    respond(rig, MIDDLE, start=2)
    respond(rig, FIRST, MIDDLE, LAST, start=2)
    assert rig.completed() == [(1, "SUCCESS")]
    assert rig.end.memory[: 5 * MTU] == b"".join(map(page, range(5)))


@each_way
@pytest.mark.parametrize("missing", [1, 2, 4])
def test_a_read_asked_for_again_from_its_middle_may_go_on_where_it_was_as_in_rxe(missing: int, shortcuts: bool) -> None:
    """Linux rxe answers with MIDDLE and LAST alone, a requester that insists on FIRST or ONLY never gets its data."""
    rig = HandRig(shortcuts=shortcuts, timeout=0)
    posted(rig, 1, WrOpcode.RDMA_READ, 5 * MTU)
    start = 5 - missing
    respond(rig, *[FIRST, *[MIDDLE] * 3][:start])
    rig.acknowledge(FIRST_PSN + start, SEQUENCE)
    assert len(rig.received()) == 1
    respond(rig, *[MIDDLE] * (missing - 1), LAST, start=start)
    assert rig.completed() == [(1, "SUCCESS")]
    assert rig.end.memory[: 5 * MTU] == b"".join(map(page, range(5)))
    assert rig.received() == []


class CountingDma(ScatteredDma):
    """Memory in pages that counts the bytes that were mapped."""

    mapped_bytes = 0

    def map(self, address: int, length: int, direction: Direction) -> Mapping | Fault:
        self.mapped_bytes += length
        return super().map(address, length, direction)


def test_a_long_read_of_memory_in_pages_costs_what_it_is_long_and_not_the_square_of_it() -> None:
    dma, length = CountingDma(), 1 << 20
    rig = HandRig(dma=dma, memory_bytes=length, timeout=0)
    rig.request(Opcode.RC_READ_REQUEST, reth(rig, 0, length))
    assert sum(len(packet.payload) for packet in rig.received()) == length
    assert dma.mapped_bytes < 8 * length
