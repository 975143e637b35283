"""A histogram of latencies: buckets of 3 % width from a nanosecond to hours, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator


class LatencyHistogram:
    """Counts durations in nanoseconds, zero or more.

    A bucket is the top six bits of the duration, so a percentile is off by less than one part in 32.
    """

    __slots__ = ("_counts", "count", "highest_ns", "lowest_ns", "sum_ns")

    def __init__(self) -> None:
        self._counts = [0] * (SHIFTS << SUB_BITS)
        self.count = 0
        self.sum_ns = 0
        self.lowest_ns = 0
        self.highest_ns = 0

    def record(self, duration_ns: int) -> None:
        """Count one duration."""
        shift = duration_ns.bit_length() - SUB_BITS - 1
        if shift < 0:
            shift = 0
        self._counts[(shift << SUB_BITS) + (duration_ns >> shift)] += 1
        if duration_ns > self.highest_ns:
            self.highest_ns = duration_ns
        if duration_ns < self.lowest_ns or not self.count:
            self.lowest_ns = duration_ns
        self.count += 1
        self.sum_ns += duration_ns

    @property
    def mean_ns(self) -> float:
        """The arithmetic mean, 0 when nothing was recorded."""
        return self.sum_ns / self.count if self.count else 0.0

    def percentile(self, percent: float) -> int:
        """What `percent` (0 to 100) of all durations do not exceed, to the width of a bucket; 0 when there are none."""
        wanted = percent / 100 * self.count
        seen = 0
        for _, upper, count in self.buckets():
            seen += count
            if seen >= wanted:
                return min(upper, self.highest_ns)
        return self.highest_ns

    def buckets(self) -> Iterator[tuple[int, int, int]]:
        """The buckets that hold something, in order: first and last duration in nanoseconds, and how many."""
        for index, count in enumerate(self._counts):
            if count:
                shift = max(0, (index >> SUB_BITS) - 1)
                lower = (index - (shift << SUB_BITS)) << shift
                yield lower, lower + (1 << shift) - 1, count

    def octaves(self) -> list[tuple[int, int]]:
        """The same, one bucket for each power of two: its upper end in nanoseconds, and how many."""
        octaves: dict[int, int] = {}
        for _, upper, count in self.buckets():
            end = 1 << upper.bit_length()
            octaves[end] = octaves.get(end, 0) + count
        return sorted(octaves.items())


SUB_BITS = 5
SHIFTS = 46
