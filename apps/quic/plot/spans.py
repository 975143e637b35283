"""Sets of numbers that come in ranges."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class Spans:
    """Numbers, as ranges that do not touch each other, in order."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def add(self, first: int, last: int) -> list[tuple[int, int]]:
        """Add `first` to `last`, both included; the parts that were not in it before, in order."""
        firsts, lasts = self._firsts, self._lasts
        # Those that overlap or touch the new one: from `low` on, before `high`.
        low = bisect_left(lasts, first - 1)
        high = bisect_right(firsts, last + 1)
        new = []
        at = first
        for index in range(low, high):
            if firsts[index] > at:
                new.append((at, firsts[index] - 1))
            at = max(at, lasts[index] + 1)
        if at <= last:
            new.append((at, last))
        if low < high:
            first, last = min(first, firsts[low]), max(last, lasts[high - 1])
        firsts[low:high] = [first]
        lasts[low:high] = [last]
        return new
