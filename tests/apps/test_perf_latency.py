"""The latency histogram: percentiles within a bucket's width of the truth."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from apps.perf.latency import LatencyHistogram

durations = st.lists(st.integers(0, 10**13), min_size=1, max_size=200)


def recorded(values: list[int]) -> LatencyHistogram:
    histogram = LatencyHistogram()
    for value in values:
        histogram.record(value)
    return histogram


@given(durations, st.sampled_from([1, 50, 90, 99, 99.9, 100]))
def test_a_percentile_is_off_by_less_than_a_bucket(values: list[int], percent: float) -> None:
    found = recorded(values).percentile(percent)
    rank = max(1, -(-len(values) * percent // 100))
    true = sorted(values)[int(rank) - 1]
    assert true <= found <= true + true // 32


@given(durations)
def test_every_duration_is_in_one_bucket_and_one_octave(values: list[int]) -> None:
    histogram = recorded(values)
    assert sum(count for _, _, count in histogram.buckets()) == len(values)
    assert sum(count for _, count in histogram.octaves()) == len(values)
    for lower, upper, count in histogram.buckets():
        assert sum(lower <= value <= upper for value in values) == count


@given(durations)
def test_extremes_and_mean_are_exact(values: list[int]) -> None:
    histogram = recorded(values)
    assert (histogram.lowest_ns, histogram.highest_ns) == (min(values), max(values))
    assert histogram.mean_ns == sum(values) / len(values)


def test_an_empty_histogram_says_zero() -> None:
    histogram = LatencyHistogram()
    assert (histogram.percentile(99), histogram.mean_ns, histogram.octaves()) == (0, 0.0, [])
