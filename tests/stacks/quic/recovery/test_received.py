"""What arrived, what is told of it, and when (RFC 9000 13.2, 19.3; draft-ietf-quic-ack-frequency)."""

from __future__ import annotations

import random

import pytest

from stacks.quic.configuration import Configuration
from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.levels import SPACE_APPLICATION, SPACE_HANDSHAKE, SPACE_INITIAL
from stacks.quic.packet_writer import PacketWriter
from stacks.quic.recovery import ReceivedPackets
from tests.stacks.quic.recovery.rig import MS, spans
from wire.quic.ack_frames import EcnCounts, decode_ack
from wire.quic.frames import AckFrequency

CE, ECT0, ECT1 = 3, 2, 1


class Receiver:
    """One space, and the ACKs that it writes."""

    def __init__(self, space: int = SPACE_APPLICATION, *, room: int = 1200, **changes: int) -> None:
        self.room = room
        self.received = ReceivedPackets(space, Configuration(**changes))  # type: ignore[arg-type]
        self.writer = PacketWriter(bytearray(room), 0, room)

    def take(self, *numbers: int, now: int = 0, eliciting: bool = True, ecn: int = 0) -> list[bool]:
        """Whether an ACK is due at once after each packet."""
        due = []
        for number in numbers:
            assert not self.received.is_duplicate(number)
            self.received.record(number, eliciting, ecn, now)
            due.append(self.received.ack_due_ns == now)
        return due

    def ack(self, now: int = 0) -> tuple[list[tuple[int, int]], int, EcnCounts | None]:
        """Ranges, delay and counts of the ACK that it writes now."""
        self.writer = PacketWriter(bytearray(self.room), 0, self.room)
        self.received.write_frames(self.writer, now)
        frame_type = self.writer.buffer[0]
        ranges, delay, ecn, _ = decode_ack(frame_type, memoryview(self.writer.buffer), 1)
        return ranges, delay, ecn

    def heard(self, now: int = 0) -> None:
        """The last ACK was acknowledged."""
        for record in self.writer.records:
            record.acked(now)


@pytest.mark.parametrize("space", [SPACE_INITIAL, SPACE_HANDSHAKE])
def test_handshake_packets_are_acknowledged_at_once(space: int) -> None:
    """13.2.1."""
    receiver = Receiver(space)
    assert receiver.take(0, 1) == [True, True]


def test_every_second_packet_is_acknowledged_and_a_single_one_after_the_delay() -> None:
    """13.2.2; and max_ack_delay from the first that waits (13.2.1)."""
    receiver = Receiver(max_ack_delay_ns=25 * MS)
    receiver.take(0, now=3 * MS)
    assert receiver.received.ack_due_ns == 28 * MS
    assert receiver.take(1, now=4 * MS) == [True]
    receiver.ack(4 * MS)
    assert receiver.received.ack_due_ns is None
    receiver.take(2, now=5 * MS)
    assert receiver.received.ack_due_ns == 30 * MS


def test_packets_that_do_not_ask_cause_no_acknowledgement() -> None:
    receiver = Receiver()
    receiver.take(*range(50), eliciting=False)
    assert (receiver.received.ack_due_ns, receiver.received.has_frames) == (None, False)
    receiver.take(50)
    assert receiver.ack()[0] == [(0, 50)]


def test_what_is_out_of_order_is_acknowledged_at_once() -> None:
    """13.2.1: below another that asked, or behind a gap."""
    receiver = Receiver(ack_every=100)
    assert receiver.take(0, 2) == [False, True]
    receiver.ack()
    assert receiver.take(3) == [False]
    assert receiver.take(1) == [True]
    receiver.ack()
    receiver.take(4, eliciting=False)
    assert receiver.take(5) == [False]  # what lies between did arrive


def test_a_marked_packet_is_acknowledged_at_once() -> None:
    receiver = Receiver()
    assert receiver.take(0, ecn=ECT0) == [False]
    receiver.ack()
    assert receiver.take(1, ecn=CE) == [True]
    receiver.ack()
    assert receiver.take(2, ecn=CE) == [True]


def test_the_delay_is_of_the_largest_in_units_of_the_exponent() -> None:
    """13.2.5, 19.3: microseconds over 2^exponent; Initial and Handshake ACKs say none."""
    receiver = Receiver(ack_delay_exponent=3)
    receiver.take(0, now=MS)
    receiver.take(1, now=2 * MS)
    assert receiver.ack(2 * MS + 12_345_000)[1] == 12_345 >> 3
    receiver = Receiver(SPACE_INITIAL)
    receiver.take(0)
    assert receiver.ack(5 * MS)[1] == 0


def test_ranges_are_told_newest_first() -> None:
    receiver = Receiver()
    receiver.take(0, 1, 5, 6, 3, 9)
    assert receiver.ack()[0] == [(9, 9), (5, 6), (3, 3), (0, 1)]
    receiver.take(4, 2)
    assert receiver.ack()[0] == [(9, 9), (0, 6)]


def test_duplicates_are_known_and_what_is_older_than_memory_counts_as_one() -> None:
    """12.3: duplicates are discarded; a minimum below which everything is may be kept."""
    receiver = Receiver()
    receiver.take(0, 1, 4)
    assert [receiver.received.is_duplicate(number) for number in range(6)] == [True, True, False, False, True, False]
    receiver.take(*range(10, 2000, 2))
    ranges = receiver.ack()[0]
    assert len(ranges) <= 32
    assert ranges[0] == (1998, 1998)
    assert receiver.received.is_duplicate(5)
    assert not receiver.received.is_duplicate(1993)


def test_an_ack_has_as_many_ranges_as_the_packet_has_room_for() -> None:
    receiver = Receiver(room=12)
    receiver.take(*range(0, 60, 3))
    ranges = receiver.ack()[0]
    assert 1 <= len(ranges) <= 4
    assert ranges[0] == (57, 57)


def test_no_room_for_an_ack_leaves_it_to_the_next_packet() -> None:
    receiver = Receiver(room=3)
    receiver.take(0, 1)
    receiver.received.write_frames(receiver.writer, 0)
    assert receiver.writer.offset == 0
    assert receiver.received.has_frames
    assert receiver.received.ack_due_ns == 0


def test_what_the_peer_knows_is_not_told_again() -> None:
    """13.2.4."""
    receiver = Receiver()
    receiver.take(*range(0, 10, 2), 100, 101)
    receiver.ack()
    receiver.heard()
    assert receiver.received.is_duplicate(4)
    receiver.take(102, 103)
    assert receiver.ack()[0] == [(100, 103)]


def test_a_packet_that_comes_very_late_is_no_duplicate_and_is_told() -> None:
    """Its sender took it for lost, and undoes what that did to it only when it hears of it."""
    receiver = Receiver()
    receiver.take(*range(3), *range(4, 500))
    receiver.ack()
    receiver.heard()
    receiver.take(500, 501)
    receiver.ack()
    receiver.heard()
    assert receiver.take(3) == [True]
    assert receiver.ack()[0] == [(0, 501)]


def test_who_only_receives_asks_for_an_acknowledgement_now_and_then() -> None:
    """13.2.4: or the ranges of old losses would be told for ever."""
    receiver = Receiver()
    asked = []
    for number in range(0, 400, 2):
        receiver.take(number)
        receiver.ack()
        asked.append(receiver.writer.is_ack_eliciting)
    assert asked.count(True) == 200 // 32
    receiver = Receiver()
    for number in range(400):
        receiver.take(number)
        receiver.ack()
        assert not receiver.writer.is_ack_eliciting  # nothing to forget: no reason


def test_counts_are_told_once_something_was_marked() -> None:
    """13.4.1, 19.3.2."""
    receiver = Receiver()
    receiver.take(0, 1)
    assert receiver.ack()[2] is None
    receiver.take(2, 3, 4, ecn=ECT0)
    receiver.take(5, ecn=CE)
    receiver.take(6, 7, ecn=ECT1)
    assert receiver.ack()[2] == (3, 2, 1)


def frequency(sequence: int, threshold: int, delay_us: int, reordering: int) -> AckFrequency:
    return AckFrequency(sequence, threshold, delay_us, reordering)


def test_the_peer_says_how_often_and_how_late() -> None:
    receiver = Receiver()
    receiver.received.apply_ack_frequency(frequency(0, 9, 40_000, 1), 0)
    assert receiver.take(*range(10)) == [False] * 9 + [True]
    receiver.ack()
    receiver.take(10, now=MS)
    assert receiver.received.ack_due_ns == 41 * MS
    receiver.received.apply_ack_frequency(frequency(1, 0, 40_000, 1), 0)
    receiver.received.apply_ack_frequency(frequency(1, 50, 40_000, 1), 0)  # not newer
    assert receiver.take(11) == [True]


@pytest.mark.parametrize("delay_us", [999, 16_384_000, 1 << 61])
def test_a_delay_that_was_not_offered_is_a_violation(delay_us: int) -> None:
    receiver = Receiver(min_ack_delay_ns=MS)
    with pytest.raises(QuicError, match="not on offer") as told:
        receiver.received.apply_ack_frequency(frequency(0, 1, delay_us, 1), 0)
    assert told.value.code == TransportErrorCode.PROTOCOL_VIOLATION


def test_the_frames_are_unknown_to_who_did_not_offer_them() -> None:
    receiver = Receiver(min_ack_delay_ns=0)
    for call in (
        lambda: receiver.received.apply_ack_frequency(frequency(0, 1, 2000, 1), 0),
        lambda: receiver.received.acknowledge_now(0),
    ):
        with pytest.raises(QuicError) as told:
            call()
        assert told.value.code == TransportErrorCode.FRAME_ENCODING_ERROR


def test_immediate_ack() -> None:
    receiver = Receiver()
    receiver.take(0)
    receiver.received.acknowledge_now(7)
    assert receiver.received.ack_due_ns == 7


# The tables of draft-ietf-quic-ack-frequency 6.2.1: packet, and whether it is acknowledged at once.
REORDERING_3 = {0: False, 1: False, 3: False, 4: False, 5: True, 8: False, 9: True, 10: True}
REORDERING_5 = {0: False, 1: False, 3: False, 5: False, 6: False, 7: True, 8: False, 9: True}


@pytest.mark.parametrize(("reordering", "table"), [(3, REORDERING_3), (5, REORDERING_5)])
def test_the_tables_of_the_draft(reordering: int, table: dict[int, bool]) -> None:
    receiver = Receiver()
    receiver.received.apply_ack_frequency(frequency(0, 1000, 100_000, reordering), 0)
    for number, expected in table.items():
        assert receiver.take(number) == [expected], number
        if expected:
            receiver.ack()


def test_a_packet_that_the_peer_took_for_lost_is_told_at_once() -> None:
    """6.2, the second condition."""
    receiver = Receiver()
    receiver.received.apply_ack_frequency(frequency(0, 1000, 100_000, 3), 0)
    receiver.take(0, 1, 3, 4, 5)
    receiver.ack()
    assert receiver.take(2) == [True]


def test_without_a_reordering_threshold_gaps_wait() -> None:
    receiver = Receiver()
    receiver.received.apply_ack_frequency(frequency(0, 1000, 100_000, 0), 0)
    assert receiver.take(0, 5, 3, 90) == [False] * 4


def test_with_rare_acknowledgements_only_the_first_mark_in_a_row_is_urgent() -> None:
    """6.3."""
    receiver = Receiver()
    receiver.received.apply_ack_frequency(frequency(0, 1000, 100_000, 1), 0)
    assert receiver.take(0, ecn=ECT0) == [False]
    assert receiver.take(1, ecn=CE) == [True]
    receiver.ack()
    assert receiver.take(2, 3, ecn=CE) == [False, False]
    assert receiver.take(4, ecn=ECT0) == [False]
    assert receiver.take(5, ecn=CE) == [True]


@pytest.mark.parametrize("seed", range(30))
def test_any_order_is_told_as_the_set_that_it_is(seed: int) -> None:
    """Ranges are those of the set of numbers, whatever the order; a run counts as its packets do."""
    rng = random.Random(seed)
    receiver, other = Receiver(), Receiver()
    known: set[int] = set()
    top = 0
    for _ in range(60):
        if rng.random() < 0.3:
            count = 1 + int(rng.random() * 8)
            receiver.received.record_run(receiver.received.largest + count, ECT0, 0)
            for number in range(top, top + count):
                other.take(number, ecn=ECT0)
                known.add(number)
            top += count
        else:
            number = max(0, top - 6) + int(rng.random() * 12)
            assert receiver.received.is_duplicate(number) == (number in known)
            if number not in known:
                for one in (receiver, other):
                    one.take(number, ecn=CE)
                known.add(number)
                top = max(top, number + 1)
        ranges = spans(sorted(known))[:32]
        assert receiver.ack() == other.ack()
        assert receiver.ack()[0] == ranges
        receiver.received.has_frames = other.received.has_frames = True
