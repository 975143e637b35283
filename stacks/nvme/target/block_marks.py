"""A set of blocks, kept as disjoint ranges: the blocks that Write Uncorrectable has made unreadable."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class BlockMarks:
    """Marked blocks; ranges that touch are one. Looking costs a binary search, however much is marked."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []

    def __len__(self) -> int:
        """How many ranges it takes to say what is marked."""
        return len(self._starts)

    @property
    def first(self) -> int:
        """The lowest marked block; there must be one."""
        return self._starts[0]

    def add(self, block: int, blocks: int) -> None:
        """Mark `blocks` blocks from `block` on."""
        start, stop = block, block + blocks
        begin, end = bisect_left(self._stops, start), bisect_right(self._starts, stop)
        if begin < end:
            start, stop = min(start, self._starts[begin]), max(stop, self._stops[end - 1])
        self._starts[begin:end], self._stops[begin:end] = [start], [stop]

    def remove(self, block: int, blocks: int) -> None:
        """Take the marks off `blocks` blocks from `block` on."""
        start, stop = block, block + blocks
        begin, end = bisect_right(self._stops, start), bisect_left(self._starts, stop)
        if begin >= end:
            return
        first, last = self._starts[begin], self._stops[end - 1]
        left = [(first, start)] if first < start else []
        right = [(stop, last)] if stop < last else []
        self._starts[begin:end] = [each[0] for each in left + right]
        self._stops[begin:end] = [each[1] for each in left + right]

    def first_in(self, block: int, blocks: int) -> int | None:
        """The lowest marked block among `blocks` blocks from `block` on; None when none of them is marked."""
        index = bisect_right(self._stops, block)
        if index == len(self._starts) or self._starts[index] >= block + blocks:
            return None
        return max(block, self._starts[index])
