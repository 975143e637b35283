"""Ranges of numbers, against a set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from apps.quic.plot.spans import Spans

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 15)), max_size=30)


@given(RANGES)
def test_only_what_was_not_there_is_new(ranges: list[tuple[int, int]]) -> None:
    spans, known = Spans(), set[int]()
    for first, length in ranges:
        wanted = set(range(first, first + length + 1))
        new = [number for low, high in spans.add(first, first + length) for number in range(low, high + 1)]
        assert new == sorted(wanted - known)
        known |= wanted
