"""Elements that hold packets: reordering, aggregation, thinning."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transports.link.rig import send, traffic
from transports.errors import TransportError
from transports.link import AckThinning, Aggregation, DelayReordering, GapReordering
from transports.timeline import Timeline

MS = 1_000_000


def steady(packets: int, *, gap_ns: int = MS) -> list[tuple[int, int]]:
    return [(number * gap_ns, 100) for number in range(packets)]


def extents(numbers: list[int]) -> dict[int, int]:
    """RFC 4737 4.2.2: how far back the first packet with a larger number arrived, for each reordered packet."""
    found, largest = {}, -1
    for index, number in enumerate(numbers):
        if number < largest:
            first = next(place for place in range(index) if numbers[place] > number)
            found[number] = index - first
        largest = max(largest, number)
    return found


def test_a_held_packet_arrives_later_by_its_delay_and_the_rest_on_time() -> None:
    timeline = Timeline()
    element = DelayReordering(timeline, 0.2, 5 * MS + 1, random.Random(3))
    collector = send(timeline, [element.put], steady(2000))
    delays = {packet.payload: time_ns - packet.payload * MS for time_ns, packet in collector.arrivals}
    late = [number for number, delay_ns in delays.items() if delay_ns]
    assert set(delays.values()) == {0, 5 * MS + 1}
    assert len(late) == element.held_packets
    assert element.held_packets == pytest.approx(400, abs=4 * (2000 * 0.16) ** 0.5)


@pytest.mark.parametrize("gap_packets", [1, 2, 5])
def test_the_reordering_extent_is_the_gap(gap_packets: int) -> None:
    timeline = Timeline()
    element = GapReordering(timeline, gap_packets, random.Random(0), every=10)
    collector = send(timeline, [element.put], steady(200))
    assert extents(collector.numbers) == dict.fromkeys(range(9, 199, 10), gap_packets)
    # The last of all has nobody to pass it, and no time after which it would go: it is held.
    assert 199 not in collector.numbers


@given(st.integers(0, 1000), st.integers(1, 4))
def test_exactly_so_many_pass_a_packet_that_is_held_by_chance(seed: int, gap_packets: int) -> None:
    timeline = Timeline()
    element = GapReordering(timeline, gap_packets, random.Random(seed), probability=0.3, wait_ns=1000 * MS)
    collector = send(timeline, [element.put], steady(100))
    assert sorted(collector.numbers) == list(range(100))
    on_time = {packet.payload for time_ns, packet in collector.arrivals if time_ns == packet.payload * MS}
    for time_ns, packet in collector.arrivals:
        if packet.payload in on_time:
            continue
        passed = [number for number in on_time if packet.payload < number <= time_ns // MS]
        # Or it gave up waiting at the end, when nobody came any more.
        assert len(passed) == gap_packets or time_ns == packet.payload * MS + 1000 * MS


def test_a_held_packet_does_not_wait_for_ever() -> None:
    timeline = Timeline()
    element = GapReordering(timeline, 3, random.Random(0), every=2, wait_ns=10 * MS)
    collector = send(timeline, [element.put], [(0, 100), (MS, 100), (30 * MS, 100)])
    assert [(time_ns, packet.payload) for time_ns, packet in collector.arrivals] == [
        (0, 0), (11 * MS, 1), (30 * MS, 2)
    ]  # fmt: skip


@pytest.mark.parametrize("is_slotted", [False, True])
def test_bursts_leave_together_and_nobody_waits_longer_than_he_should(is_slotted: bool) -> None:
    timeline = Timeline()
    element = Aggregation(timeline, 4 * MS, is_slotted=is_slotted)
    arrivals = traffic(2, 500, mean_gap_ns=700_000)
    collector = send(timeline, [element.put], arrivals)
    assert collector.numbers == list(range(500))
    times = sorted({time_ns for time_ns, _ in collector.arrivals})
    assert element.bursts == len(times)
    assert all(later - sooner >= 4 * MS for sooner, later in pairwise(times))
    for time_ns, packet in collector.arrivals:
        assert 0 <= time_ns - arrivals[packet.payload][0] <= 4 * MS
        assert not is_slotted or time_ns % (4 * MS) == 0


def test_a_full_burst_leaves_at_once() -> None:
    timeline = Timeline()
    element = Aggregation(timeline, 100 * MS, limit_packets=3)
    collector = send(timeline, [element.put], steady(8))
    assert [time_ns for time_ns, _ in collector.arrivals] == [
        *[2 * MS] * 3, *[5 * MS] * 3, *[106 * MS] * 2
    ]  # fmt: skip
    assert (element.bursts, element.largest_burst) == (3, 3)


def test_a_packet_in_the_moment_of_a_slot_waits_for_the_next() -> None:
    timeline = Timeline()
    collector = send(timeline, [Aggregation(timeline, 4 * MS, is_slotted=True).put], [(0, 1), (4 * MS, 1)])
    assert [time_ns for time_ns, _ in collector.arrivals] == [4 * MS, 8 * MS]


def test_of_each_few_acknowledgements_of_a_flow_the_newest_goes_on() -> None:
    timeline = Timeline()
    element = AckThinning(timeline, 4, wait_ns=50 * MS)
    collector = send(timeline, [element.put], steady(24), flows=2)
    # Flow 0 sends 0, 2, 4, 6, ...; its fourth is 6.
    assert collector.numbers == [6, 7, 14, 15, 22, 23]
    assert all(time_ns == packet.payload * MS for time_ns, packet in collector.arrivals)
    assert element.dropped_packets == 18


def test_the_last_acknowledgement_goes_on_after_a_wait() -> None:
    timeline = Timeline()
    collector = send(timeline, [AckThinning(timeline, 4, wait_ns=50 * MS).put], steady(6))
    assert [(time_ns, packet.payload) for time_ns, packet in collector.arrivals] == [(3 * MS, 3), (54 * MS, 5)]


def test_a_wait_that_is_over_does_not_cut_the_next_short() -> None:
    timeline = Timeline()
    # Two go on at 1 ms; the wait that began at 0 must not release what came at 9 ms.
    collector = send(timeline, [AckThinning(timeline, 2, wait_ns=10 * MS).put], [(0, 1), (MS, 1), (9 * MS, 1)])
    assert [time_ns for time_ns, _ in collector.arrivals] == [MS, 19 * MS]


def test_data_is_not_thinned() -> None:
    timeline = Timeline()
    element = AckThinning(timeline, 2, wait_ns=50 * MS, limit_bytes=100)
    collector = send(timeline, [element.put], [(0, 1500), (1, 60), (2, 101), (3, 100)])
    assert collector.numbers == [0, 2, 3]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda timeline, rng: DelayReordering(timeline, 2, 5, rng), "probability"),
        (lambda timeline, rng: DelayReordering(timeline, 0.5, -5, rng), "delay is at least 0, not -5"),
        (lambda timeline, rng: GapReordering(timeline, 0, rng, every=3), "packets is at least 1, not 0"),
        (lambda timeline, rng: GapReordering(timeline, 1, rng), "every and probability"),
        (lambda timeline, rng: GapReordering(timeline, 1, rng, every=3, probability=0.5), "every and probability"),
        (lambda timeline, rng: GapReordering(timeline, 1, rng, every=3, wait_ns=-1), "wait is at least 0, not -1"),
        (lambda timeline, rng: Aggregation(timeline, 0), "hold or packets is above 0"),
        (lambda timeline, rng: Aggregation(timeline, 0, limit_packets=3, is_slotted=True), "slots need a hold"),
        (lambda timeline, rng: AckThinning(timeline, 0, wait_ns=1), "packets is at least 1, not 0"),
        (lambda timeline, rng: AckThinning(timeline, 2, wait_ns=0), "wait is at least 1, not 0"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, message: str) -> None:
    with pytest.raises(TransportError, match=message):
        make(Timeline(), random.Random(0))
