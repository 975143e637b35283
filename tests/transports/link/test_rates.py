"""Rates: constant, scheduled, token buckets; each against its law."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transports.link.rig import send
from transports.errors import TransportError
from transports.link import (
    ConstantRate,
    DropTail,
    Policer,
    Port,
    ScheduledRate,
    TokenBucket,
    TokenBucketRate,
    UnlimitedRate,
)
from transports.timeline import Timeline

MS = 1_000_000
SECOND = 1_000_000_000
BIT_NS_PER_BYTE_S = 8 * SECOND

PACKETS = st.lists(st.tuples(st.integers(0, 3 * MS), st.integers(1, 3000)), min_size=1, max_size=40)


def capacity(changes: list[tuple[int, int]], period_ns: int, start_ns: int, end_ns: int) -> int:
    """The integral of a scheduled rate, in bits times nanoseconds per second, piece by piece from the beginning."""
    total, origin_ns = 0, 0
    while origin_ns < end_ns:
        for index, (time_ns, rate_bps) in enumerate(changes):
            first_ns = origin_ns + time_ns
            if index + 1 < len(changes):
                last_ns = origin_ns + changes[index + 1][0]
            else:
                last_ns = origin_ns + period_ns if period_ns else end_ns
            overlap_ns = min(last_ns, end_ns) - max(first_ns, start_ns)
            if overlap_ns > 0:
                total += overlap_ns * rate_bps
        if not period_ns:
            break
        origin_ns += period_ns
    return total


@st.composite
def schedules(draw: st.DrawFn) -> tuple[list[tuple[int, int]], int]:
    times = sorted(draw(st.sets(st.integers(1, 20 * MS), max_size=6)))
    rates = draw(st.lists(st.sampled_from([0, 1, 1_000_003, 50_000_000, 999_999_937]), min_size=7, max_size=7))
    changes = list(zip([0, *times], rates, strict=False))
    period_ns = draw(st.sampled_from([0, changes[-1][0] + 100_001, changes[-1][0] + 7 * MS]))
    # Something has to leave within a time that can be waited for.
    last_ns, last_bps = changes[-1]
    changes[-1] = (last_ns, max(last_bps, 1_000_000))
    return changes, period_ns


@given(schedules(), PACKETS)
def test_a_packet_under_a_schedule_is_out_when_the_integral_of_the_rate_is_its_size(
    schedule: tuple[list[tuple[int, int]], int], packets: list[tuple[int, int]]
) -> None:
    assert_integral(*schedule, packets)


def test_and_over_many_seeds_as_well() -> None:
    for seed in range(200):
        draw = random.Random(seed).random
        times = sorted({0, *(int(draw() * 20 * MS) for _ in range(5))})
        changes = [(time_ns, (0, 1, 1_000_003, 50_000_000, 999_999_937)[int(draw() * 5)]) for time_ns in times]
        changes[-1] = (times[-1], 1_000_003)
        period_ns = (0, times[-1] + 2 * MS)[seed % 2]
        packets = [(int(draw() ** 4 * 60 * MS), 1 + int(draw() * 3000)) for _ in range(20)]
        assert_integral(changes, period_ns, packets)


def assert_integral(changes: list[tuple[int, int]], period_ns: int, packets: list[tuple[int, int]]) -> None:
    rate = ScheduledRate(changes, period_ns=period_ns)
    now = finish_ns = busy_from_ns = owed = 0
    for gap_ns, size_bytes in packets:
        now += gap_ns
        start_ns = max(now, finish_ns)
        if start_ns > finish_ns:
            busy_from_ns, owed = start_ns, 0
        owed += size_bytes * BIT_NS_PER_BYTE_S
        finish_ns = rate.finish_ns(size_bytes, start_ns)
        # The least whole nanosecond at which everything since the link was idle is through: nothing is lost or won.
        assert capacity(changes, period_ns, busy_from_ns, finish_ns) >= owed
        assert capacity(changes, period_ns, busy_from_ns, finish_ns - 1) < owed


def test_a_rate_changes_in_the_middle_of_a_packet() -> None:
    # 1000 bytes: half at 8 Mbit/s in 0.5 ms, then nothing for 1 ms, then the rest at 4 Mbit/s in 1 ms.
    rate = ScheduledRate([(0, 8_000_000), (500_000, 0), (1_500_000, 4_000_000)])
    assert rate.finish_ns(1000, 0) == 2_500_000


def test_a_schedule_that_comes_again_goes_on_after_a_long_silence() -> None:
    rate = ScheduledRate([(0, 8_000_000), (MS, 0)], period_ns=10 * MS)
    assert rate.finish_ns(1000, 10**9 * 10 * MS) == 10**9 * 10 * MS + MS
    assert rate.finish_ns(1, 10**9 * 10 * MS + MS) == (10**9 + 1) * 10 * MS + 1000


def test_after_a_silence_the_schedule_is_where_it_would_be() -> None:
    # Last seen in the fast part of a period, seen again in the slow part of another.
    rate = ScheduledRate([(0, 8_000_000), (MS, 80_000_000)], period_ns=10 * MS)
    assert rate.finish_ns(1000, 5 * MS) == 5 * MS + MS // 10
    assert rate.finish_ns(100, 70 * MS + MS // 2) == 70 * MS + MS // 2 + MS // 10


def test_a_schedule_begins_when_it_is_told_to() -> None:
    rate = ScheduledRate([(0, 8_000_000), (MS, 80_000_000)], origin_ns=5 * MS)
    assert rate.finish_ns(1000, 6 * MS) == 6 * MS + MS // 10


@given(st.integers(1, 10**12), st.lists(st.integers(0, 9000), min_size=1, max_size=50))
def test_a_constant_rate_is_exact_back_to_back(rate_bps: int, sizes: list[int]) -> None:
    rate, now, total = ConstantRate(rate_bps), 0, 0
    for size_bytes in sizes:
        total += size_bytes
        now = rate.finish_ns(size_bytes, now)
        assert now == -(-total * BIT_NS_PER_BYTE_S // rate_bps)


def test_no_rate_takes_no_time() -> None:
    assert UnlimitedRate().finish_ns(1500, 7) == 7


@given(
    PACKETS,
    st.sampled_from([1_000_000, 7_777_777, 100_000_000]),
    st.sampled_from([1, 1500, 4000]),
    st.sampled_from([0, 20_000_000]),
)
def test_what_a_shaper_lets_through_never_exceeds_its_arrival_curve(
    packets: list[tuple[int, int]], rate_bps: int, burst_bytes: int, peak_bps: int
) -> None:
    timeline = Timeline()
    port = Port(timeline, DropTail(), TokenBucketRate(rate_bps, burst_bytes, peak_bps=peak_bps))
    arrivals, now = [], 0
    for gap_ns, size_bytes in packets:
        now += gap_ns
        arrivals.append((now, size_bytes))
    collector = send(timeline, [port.put], arrivals)
    assert len(collector.arrivals) == len(packets)
    departures = [(time_ns, packet.size_bytes) for time_ns, packet in collector.arrivals]
    assert_conforms(departures, rate_bps, burst_bytes)
    if peak_bps:
        assert_conforms(departures, peak_bps, max(size_bytes for _, size_bytes in packets))


@given(PACKETS, st.sampled_from([1_000_000, 7_777_777, 100_000_000]), st.sampled_from([1500, 4000, 20_000]))
def test_a_policer_drops_only_what_would_exceed_the_curve(
    packets: list[tuple[int, int]], rate_bps: int, burst_bytes: int
) -> None:
    timeline = Timeline()
    policer = Policer(timeline, rate_bps, burst_bytes)
    arrivals, now = [], 0
    for gap_ns, size_bytes in packets:
        now += gap_ns
        arrivals.append((now, size_bytes))
    collector = send(timeline, [policer.put], arrivals)
    passed = set(collector.numbers)
    departures: list[tuple[int, int]] = []
    for number, arrival in enumerate(arrivals):
        if number in passed:
            departures.append(arrival)
            assert conforms(departures, rate_bps, burst_bytes)
        else:
            assert not conforms([*departures, arrival], rate_bps, burst_bytes)


def conforms(departures: list[tuple[int, int]], rate_bps: int, burst_bytes: int) -> bool:
    """Whether, over every interval that ends with the last departure, no more left than burst + rate t."""
    end_ns = departures[-1][0]
    total = 0
    for time_ns, size_bytes in reversed(departures):
        total += size_bytes
        if total * BIT_NS_PER_BYTE_S > burst_bytes * BIT_NS_PER_BYTE_S + (end_ns - time_ns) * rate_bps:
            return False
    return True


def assert_conforms(departures: list[tuple[int, int]], rate_bps: int, burst_bytes: int) -> None:
    for index in range(1, len(departures) + 1):
        # A shaper lets a packet larger than its bucket go when that is full, and those after it pay for it.
        assert conforms(departures[:index], rate_bps, max(burst_bytes, departures[index - 1][1]))


def test_a_shaper_is_not_slower_than_its_curve() -> None:
    # 4 packets of 1000 bytes leave at once from a bucket of 4000, the rest at 8 Mbit/s: one a millisecond.
    timeline = Timeline()
    port = Port(timeline, DropTail(), TokenBucketRate(8_000_000, 4000))
    collector = send(timeline, [port.put], [(0, 1000)] * 7 + [(20 * MS, 1000)] * 5)
    times = [time_ns for time_ns, _ in collector.arrivals]
    assert times == [0, 0, 0, 0, MS, 2 * MS, 3 * MS] + [20 * MS] * 4 + [21 * MS]


def test_a_packet_larger_than_the_bucket_leaves_when_it_is_full_and_is_paid_off() -> None:
    rate = TokenBucketRate(8_000_000, 1000)
    assert rate.finish_ns(3000, 0) == 0
    assert rate.bucket.level_bytes(0) == -2000
    assert rate.finish_ns(3000, 0) == 3 * MS
    assert rate.finish_ns(1, 3 * MS) == 3 * MS + 2 * MS + 1000


def test_a_policer_of_a_stream_passes_its_rate() -> None:
    # 20 Mbit/s into a policer of 8 Mbit/s: what passes is the burst and the rate, to a packet.
    timeline = Timeline()
    policer = Policer(timeline, 8_000_000, 5000)
    collector = send(timeline, [policer.put], [(number * MS // 5 * 2, 1000) for number in range(5000)])
    # 2 s at 1000 bytes a millisecond, and 5 of the bucket.
    assert len(collector.arrivals) in (2003, 2004)
    assert policer.dropped_packets == 5000 - len(collector.arrivals)


def test_a_bucket_is_exact_for_ever() -> None:
    # 3 bit/s gains a byte in 8/3 s; after 3 times as long it is 8 bit more than before, whoever looks in between.
    bucket = TokenBucket(3, 1000)
    assert bucket.take(1000, 0)
    for now in range(0, 8 * SECOND, 77_777_777):
        bucket.level_bytes(now)
    assert bucket.level_bytes(8 * SECOND) == int(Fraction(24, 8))
    assert not bucket.take(4, 8 * SECOND)
    assert bucket.take(3, 8 * SECOND)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ScheduledRate([]), "begins at 0"),
        (lambda: ScheduledRate([(5, 1)]), "begins at 0"),
        (lambda: ScheduledRate([(0, 1), (5, 2), (5, 3)]), "5 ns comes after 5 ns"),
        (lambda: ScheduledRate([(0, -1)]), "a scheduled rate is 0 or more, not -1"),
        (lambda: ScheduledRate([(0, 1), (9, 2)], period_ns=9), "period is after its last change at 9 ns, not 9"),
        (lambda: ScheduledRate([(0, 0)], period_ns=9), "needs a rate above 0"),
        (lambda: ScheduledRate([(0, 5), (9, 0)]), "the last rate of a schedule without a period is above 0"),
        (lambda: TokenBucket(0, 5), "rate is above 0 bit/s, not 0"),
        (lambda: TokenBucket(5, 0), "burst is at least 1 byte, not 0"),
        (lambda: ConstantRate(0), "above 0 bit/s, not 0"),
    ],
)
def test_rates_that_make_no_sense_are_refused(make: object, message: str) -> None:
    with pytest.raises(TransportError, match=message):
        make()
