"""What a receiver acknowledges, and when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stacks.model import DataPacket, Receiver, ReceiverConfig
from transports.link import ECN_CE, ECN_ECT0


def packet(number: int, *, segment: int | None = None, floor: int = 0, ecn: int = 0) -> DataPacket:
    made = DataPacket(number, number if segment is None else segment, 1000)
    made.floor = floor
    made.ecn = ecn
    return made


def test_every_second_packet_is_acknowledged_and_the_last_one_after_a_delay() -> None:
    receiver = Receiver(ReceiverConfig(ack_packets=2, ack_delay_ns=1000))
    assert receiver.handle_packet(packet(0), 10) is None
    ack = receiver.handle_packet(packet(1), 20)
    assert ack is not None
    assert list(ack.ranges) == [(0, 1)]
    assert receiver.handle_packet(packet(2), 30) is None
    assert receiver.ack_due_ns == 1030
    assert receiver.handle_timeout(1029) is None
    late = receiver.handle_timeout(1030)
    assert late is not None
    assert list(late.ranges) == [(0, 2)]
    assert late.delay_ns == 1000
    assert receiver.ack_due_ns is None


def test_a_gap_is_told_at_once_until_it_is_closed() -> None:
    receiver = Receiver()
    receiver.handle_packet(packet(0), 0)
    for number, ranges in ((2, [(2, 2), (0, 0)]), (3, [(2, 3), (0, 0)]), (1, [(0, 3)])):
        ack = receiver.handle_packet(packet(number), 0)
        assert ack is not None
        assert list(ack.ranges) == ranges


def test_marks_are_counted_and_each_change_is_told_at_once() -> None:
    receiver = Receiver(ReceiverConfig(ack_packets=10))
    marks = [ECN_ECT0, ECN_CE, ECN_CE, ECN_ECT0]
    acks = [receiver.handle_packet(packet(number, ecn=ecn), 0) for number, ecn in enumerate(marks)]
    assert [ack and ack.ce_packets for ack in acks] == [None, 1, None, 2]


def test_data_that_comes_twice_is_no_goodput() -> None:
    receiver = Receiver()
    for number, segment in ((0, 0), (1, 2), (2, 1), (3, 2), (4, 0), (5, 3)):
        receiver.handle_packet(packet(number, segment=segment), 0)
    assert receiver.received_bytes == 6000
    assert receiver.goodput_bytes == 4000
    assert receiver.delivered_segments == 4


def test_a_corrupt_packet_never_arrived() -> None:
    receiver = Receiver()
    broken = packet(0)
    broken.is_corrupt = True
    assert receiver.handle_packet(broken, 0) is None
    assert receiver.received_packets == 0


@given(st.permutations(range(12)), st.integers(0, 12))
def test_ranges_are_what_arrived_in_any_order(order: list[int], arrived: int) -> None:
    receiver = Receiver(ReceiverConfig(ack_packets=1))
    seen: set[int] = set()
    for number in order[:arrived]:
        seen.add(number)
        ack = receiver.handle_packet(packet(number), 0)
        assert ack is not None
        told = [number for first, last in ack.ranges for number in range(first, last + 1)]
        assert sorted(told) == sorted(seen)
        assert len(told) == len(set(told))
        assert all(first - 1 > other[1] for (first, _), other in zip(ack.ranges, ack.ranges[1:], strict=False))


def test_numbers_below_the_floor_are_forgotten() -> None:
    receiver = Receiver(ReceiverConfig(ack_packets=1))
    for number in (0, 2, 4):
        receiver.handle_packet(packet(number), 0)
    ack = receiver.handle_packet(packet(5, floor=3), 0)
    assert ack is not None
    assert list(ack.ranges) == [(4, 5)]
