"""Sets of byte ranges: acknowledged out of order, or lost."""

from __future__ import annotations

from bisect import bisect_left


class Ranges:
    """Half-open ranges (start, end), ascending and apart from each other."""

    __slots__ = ("spans",)

    def __init__(self) -> None:
        self.spans: list[tuple[int, int]] = []

    def __bool__(self) -> bool:
        return bool(self.spans)

    def add(self, start: int, end: int) -> None:
        """Have `start` up to `end` in it; those that touch become one."""
        spans = self.spans
        if not spans or start > spans[-1][1]:
            spans.append((start, end))
            return
        first = self._first_that_ends_at_or_behind(start)
        last = first
        while last < len(spans) and spans[last][0] <= end:
            last += 1
        if first < last:
            start, end = min(start, spans[first][0]), max(end, spans[last - 1][1])
        spans[first:last] = [(start, end)]

    def subtract(self, start: int, end: int) -> None:
        """Have nothing from `start` up to `end` in it."""
        spans = self.spans
        first = self._first_that_ends_at_or_behind(start)
        last = first
        kept: list[tuple[int, int]] = []
        while last < len(spans) and spans[last][0] < end:
            before, behind = spans[last]
            if before < start:
                kept.append((before, min(behind, start)))
            if behind > end:
                kept.append((end, behind))
            last += 1
        spans[first:last] = kept

    def cut(self, end: int) -> None:
        """Have nothing from `end` on in it."""
        if self.spans:
            self.subtract(end, max(end, self.spans[-1][1]))

    def merge_into(self, floor: int) -> int:
        """Take off what reaches down to `floor`, and what is below; how far up it reaches."""
        spans, count = self.spans, 0
        while count < len(spans) and spans[count][0] <= floor:
            floor = max(floor, spans[count][1])
            count += 1
        del spans[:count]
        return floor

    def _first_that_ends_at_or_behind(self, start: int) -> int:
        at = bisect_left(self.spans, (start,))
        return at - 1 if at and self.spans[at - 1][1] >= start else at
