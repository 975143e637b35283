"""Sets of byte ranges: acknowledged out of order, lost, received out of order."""

from __future__ import annotations


class Ranges:
    """Half-open ranges, ascending, apart from each other."""

    __slots__ = ("spans",)

    def __init__(self) -> None:
        self.spans: list[tuple[int, int]] = []

    def __bool__(self) -> bool:
        return bool(self.spans)

    def add(self, start: int, end: int) -> None:
        """Unite with [start, end)."""
        spans = self.spans
        if not spans or start > spans[-1][1]:
            spans.append((start, end))
            return
        kept = [span for span in spans if span[1] < start]
        rest = [span for span in spans if span[0] > end]
        for span in spans[len(kept) : len(spans) - len(rest)]:
            start, end = min(start, span[0]), max(end, span[1])
        self.spans = [*kept, (start, end), *rest]

    def remove(self, start: int, end: int) -> None:
        """Take [start, end) away."""
        spans: list[tuple[int, int]] = []
        for first, last in self.spans:
            if last <= start or first >= end:
                spans.append((first, last))
                continue
            if first < start:
                spans.append((first, start))
            if last > end:
                spans.append((end, last))
        self.spans = spans

    def take_first(self, limit: int) -> tuple[int, int]:
        """Take away the first `limit` numbers at most, of the first range."""
        first, last = self.spans[0]
        if last - first <= limit:
            del self.spans[0]
            return first, last
        self.spans[0] = first + limit, last
        return first, first + limit
