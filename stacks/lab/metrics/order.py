"""Percentiles and means of integers, exact."""

from __future__ import annotations

from collections.abc import Sequence


def percentile(ordered: Sequence[int], percent: int) -> int:
    """The nearest rank: the least value that at least `percent` % of all do not exceed; `ordered` is not empty."""
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(rank, 1) - 1]


def mean(values: Sequence[int]) -> int:
    """The mean, rounded down; `values` is not empty."""
    return sum(values) // len(values)
