"""Power and latency under load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stacks.lab.metrics.order import mean, percentile


@dataclass(frozen=True, slots=True)
class Spread:
    """Some durations, in nanoseconds: mean, nearest-rank percentiles, largest."""

    mean: int
    p50: int
    p95: int
    p99: int
    largest: int


def spread(values: Sequence[int]) -> Spread | None:
    """What is to be said of some values; None of none."""
    if not len(values):
        return None
    ordered = sorted(values)
    middle, high, highest = (percentile(ordered, percent) for percent in (50, 95, 99))
    return Spread(mean(ordered), middle, high, highest, ordered[-1])


def power(rate_bps: int, delay_ns: int) -> float:
    """Throughput over delay, in bits per second per second (RFC 5166 2.2, after Giessler et al. 1978)."""
    return rate_bps * SECOND_NS / delay_ns if delay_ns > 0 else 0.0


def under_load(delay: Spread, empty_ns: int) -> Spread:
    """Of one-way delays, what they have beyond an empty path's `empty_ns`, at least 0."""
    values = (delay.mean, delay.p50, delay.p95, delay.p99, delay.largest)
    return Spread(*(max(0, value - empty_ns) for value in values))


SECOND_NS = 1_000_000_000
