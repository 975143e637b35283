"""The set of marked blocks against a plain set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stacks.nvme.target.block_marks import BlockMarks

END = 40
CHANGES = st.lists(st.tuples(st.booleans(), st.integers(0, END - 1), st.integers(1, 12)), max_size=30)


@given(CHANGES)
def test_marks_are_what_a_plain_set_says(changes: list[tuple[bool, int, int]]) -> None:
    marks, model = BlockMarks(), set[int]()
    for is_mark, block, blocks in changes:
        if is_mark:
            marks.add(block, blocks)
            model |= set(range(block, block + blocks))
        else:
            marks.remove(block, blocks)
            model -= set(range(block, block + blocks))
        assert bool(marks) is bool(model)
        assert len(marks) == sum(each - 1 not in model for each in model)
        if model:
            assert marks.first == min(model)
        for start in range(END):
            for length in (1, 3, END):
                expected = min((each for each in model if start <= each < start + length), default=None)
                assert marks.first_in(start, length) == expected
