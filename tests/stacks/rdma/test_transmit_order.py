"""What leaves first: an answer goes ahead of an acknowledgement once, and of a NAK never."""

from __future__ import annotations

import pytest

from stacks.rdma import QpAttributes, QpState, WrOpcode
from tests.stacks.rdma.hand import ACK, FIRST_PSN, MTU, RNR_NAK, SEQUENCE, HandRig, reth
from tests.stacks.rdma.rig import FULL_ACCESS
from transports.datagram import Burst
from wire.roce import Aeth, Opcode, parse_packet

PEER = ("192.0.2.1", 4791)
SEND, ACKNOWLEDGE = "RC_SEND_ONLY", "RC_ACKNOWLEDGE"
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])


def hear(rig: HandRig, packet: bytes) -> None:
    """Give the device a packet without letting it answer yet."""
    device = rig.end.device
    device.handle_burst(Burst(memoryview(packet), len(packet), PEER, device.address), rig.simulation.now)


def hear_send(rig: HandRig) -> None:
    """The next SEND of the peer, into a receive posted for it."""
    rig.end.recv(0, 0, 64)
    hear(rig, rig.packet(Opcode.RC_SEND_ONLY, payload=b"ping", psn=rig.psn))
    rig.psn += 1


def next_send(rig: HandRig) -> list[str]:
    """Opcodes of the packets in the next send, and syndromes of what refuses."""
    transmit = rig.end.device.poll_transmit(rig.simulation.now)
    if transmit is None:
        return []
    content = b"".join(transmit.views)
    size = transmit.segment_bytes or len(content)
    names = []
    for start in range(0, len(content), size):
        packet = parse_packet(memoryview(content)[start : start + size])
        aeth = packet.find(Aeth)
        is_refusal = aeth is not None and aeth.syndrome & 0x60
        names.append(f"{aeth.syndrome:#x}" if aeth is not None and is_refusal else Opcode(packet.bth.opcode).name)
    return names


def sends(rig: HandRig) -> list[list[str]]:
    """Everything that leaves, send by send."""
    return list(iter(lambda: next_send(rig), []))


@each_way
def test_an_answer_leaves_before_the_acknowledgement_of_what_it_answers(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    hear_send(rig)
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    assert sends(rig) == [[SEND], [ACKNOWLEDGE]]
    assert rig.end.device.counters.ack_deferred == 1


@each_way
def test_an_acknowledgement_that_nothing_answers_leaves_at_once_and_is_not_called_deferred(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    hear_send(rig)
    assert sends(rig) == [[ACKNOWLEDGE]]
    assert rig.end.device.counters.ack_deferred == 0


@each_way
def test_a_program_that_never_stops_sending_does_not_starve_the_acknowledgement(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    hear_send(rig)
    seen = []
    for number in range(4):
        rig.end.send(number, WrOpcode.SEND, 0, 4)
        names = next_send(rig)
        assert names in ([ACKNOWLEDGE], [SEND] * len(names))
        seen.append(names[0])
    assert seen == [SEND, ACKNOWLEDGE, SEND, SEND]
    assert rig.end.device.counters.ack_deferred == 1


@each_way
def test_only_one_of_many_queued_sends_goes_ahead(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    hear_send(rig)
    for number in range(3):
        rig.end.send(number, WrOpcode.RDMA_WRITE, 0, 3 * MTU + number)
    assert [ACKNOWLEDGE in names for names in sends(rig)][:3] == [False, True, False]


@each_way
def test_what_arrives_while_the_acknowledgement_waits_does_not_hold_it_up_further(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    seen = []
    for number in range(6):
        hear_send(rig)
        rig.end.send(number, WrOpcode.SEND, 0, 4)
        seen.append(ACKNOWLEDGE in next_send(rig))
    assert seen == [False, True] * 3
    assert rig.end.device.counters.ack_deferred == 3


@each_way
def test_a_sequence_nak_is_never_overtaken_by_requests(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    hear(rig, rig.packet(Opcode.RC_SEND_ONLY, psn=FIRST_PSN + 1))
    assert sends(rig) == [[f"{SEQUENCE:#x}"], [SEND]]
    assert rig.end.device.counters.ack_deferred == 0


@each_way
def test_an_rnr_nak_is_never_overtaken_by_requests(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    hear(rig, rig.packet(Opcode.RC_SEND_ONLY, psn=FIRST_PSN))
    assert sends(rig) == [[f"{RNR_NAK | 1:#x}"], [SEND]]
    assert rig.end.device.counters.ack_deferred == 0


@each_way
def test_a_nak_that_takes_the_place_of_a_waiting_acknowledgement_leaves_at_once(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    hear_send(rig)
    hear(rig, rig.packet(Opcode.RC_SEND_ONLY, psn=rig.psn + 1))
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    assert sends(rig) == [[f"{SEQUENCE:#x}"], [SEND]]


@each_way
def test_responses_to_reads_leave_before_requests_and_the_acknowledgement_after_one_of_them(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    hear(rig, rig.packet(Opcode.RC_READ_REQUEST, reth(rig, 0, 4), psn=rig.psn))
    rig.psn += 1
    hear_send(rig)
    assert sends(rig) == [["RC_READ_RESPONSE_ONLY"], [SEND], [ACKNOWLEDGE]]


@each_way
def test_after_a_reset_an_answer_goes_ahead_again(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    hear_send(rig)
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    assert next_send(rig) == [SEND]
    # The acknowledgement was to be next; the queue pair that it belonged to is gone.
    rig.end.qp.modify(QpAttributes(state=QpState.RESET))
    assert sends(rig) == []
    rig.connect(FULL_ACCESS, {})
    rig.psn = FIRST_PSN
    hear_send(rig)
    rig.end.send(2, WrOpcode.SEND, 0, 4)
    assert sends(rig) == [[SEND], [ACKNOWLEDGE]]
    assert rig.end.device.counters.ack_deferred == 2


@each_way
def test_a_queue_pair_that_may_not_send_acknowledges_at_once(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts)
    rig.end.qp.modify(QpAttributes(state=QpState.SQD))
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    hear_send(rig)
    assert sends(rig) == [[ACKNOWLEDGE]]
    assert rig.end.device.counters.ack_deferred == 0


def test_acknowledgement_and_answer_both_arrive() -> None:
    rig = HandRig()
    hear_send(rig)
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    rig.end.host.wake()
    assert [packet.bth.opcode for packet in rig.received()] == [Opcode.RC_SEND_ONLY, Opcode.RC_ACKNOWLEDGE]
    rig.acknowledge(FIRST_PSN, ACK)
    assert rig.completed() == [(0, "SUCCESS"), (1, "SUCCESS")]
