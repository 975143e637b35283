"""Ranges against a set of their bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stacks.quic.streams.ranges import Ranges

SPAN = st.tuples(st.integers(0, 40), st.integers(1, 12))
STEP = st.tuples(st.sampled_from(("add", "subtract", "cut")), SPAN)


@given(st.lists(STEP, max_size=25))
def test_adding_and_subtracting_is_what_sets_of_bytes_do(steps: list[tuple[str, tuple[int, int]]]) -> None:
    ranges, model = Ranges(), set[int]()
    for action, (start, length) in steps:
        if action == "add":
            ranges.add(start, start + length)
            model |= set(range(start, start + length))
        elif action == "subtract":
            ranges.subtract(start, start + length)
            model -= set(range(start, start + length))
        else:
            ranges.cut(start)
            model -= set(range(start, 100))
        assert {byte for first, end in ranges.spans for byte in range(first, end)} == model
        assert all(first < end for first, end in ranges.spans)
        assert all(one[1] < other[0] for one, other in zip(ranges.spans, ranges.spans[1:], strict=False))
        assert bool(ranges) == bool(model)


@given(st.lists(SPAN, max_size=10), st.integers(0, 50))
def test_merging_goes_up_as_far_as_there_is_no_gap(spans: list[tuple[int, int]], floor: int) -> None:
    ranges, model = Ranges(), set(range(floor))
    for start, length in spans:
        ranges.add(start, start + length)
        model |= set(range(start, start + length))
    reached = ranges.merge_into(floor)
    assert reached == next(byte for byte in range(200) if byte not in model)
    assert all(start > reached for start, _ in ranges.spans)
