"""How late a relay was: for each packet, by how much its departure missed the time that the model gave it.

A computer that is busy forwards late, and an experiment on it then measures the computer. So every packet is counted,
and a run whose lateness exceeds a budget says that it is not valid.
"""

from __future__ import annotations

from transports.control.directory import Json

DEFAULT_BUDGET_NS = 1_000_000


class Lateness:
    """A histogram of durations in nanoseconds, in buckets of 4.096 us up to 16.8 ms.

    count: durations recorded. max_ns: the longest.
    """

    __slots__ = ("_counts", "count", "max_ns")

    def __init__(self) -> None:
        self._counts = [0] * (BUCKETS + 1)
        self.count = 0
        self.max_ns = 0

    def record(self, duration_ns: int, count: int = 1) -> None:
        """`count` packets were late by `duration_ns`; below 0 is not late."""
        bucket = duration_ns >> BUCKET_BITS
        self._counts[0 if bucket < 0 else min(BUCKETS, bucket)] += count
        self.count += count
        if duration_ns > self.max_ns:
            self.max_ns = duration_ns

    def percentile_ns(self, percent: int) -> int:
        """What `percent` of all durations do not exceed, to the end of a bucket; 0 when there are none."""
        # In whole numbers: the least bucket up to which 100 times as many were counted as `percent` times all.
        wanted, seen = self.count * percent, 0
        if not wanted:
            return 0
        for bucket, count in enumerate(self._counts[:BUCKETS]):
            seen += count
            if 100 * seen >= wanted:
                return min(self.max_ns, (bucket + 1 << BUCKET_BITS) - 1)
        return self.max_ns

    def as_json(self) -> dict[str, Json]:
        """count, p50_ns, p99_ns, max_ns."""
        return {
            "count": self.count,
            "p50_ns": self.percentile_ns(50),
            "p99_ns": self.percentile_ns(99),
            "max_ns": self.max_ns,
        }


class Punctuality:
    """What a run's validity is judged by.

    budget_ns: what 99 of 100 packets may be late. departure: of departures, against the time that the model gave.
    arrival: how long a packet may have waited in the kernel before it was read, at most: since its socket was last
    seen empty or the process was woken. (A kernel does not say when a packet arrived at a TUN device.)
    """

    def __init__(self, budget_ns: int = DEFAULT_BUDGET_NS) -> None:
        self.budget_ns = budget_ns
        self.departure = Lateness()
        self.arrival = Lateness()

    @property
    def is_valid(self) -> bool:
        """Whether the 99th percentiles of both are within the budget."""
        return not self.reason

    @property
    def reason(self) -> str:
        """Why the run is not valid; empty while it is."""
        for what, lateness in (("left", self.departure), ("were read", self.arrival)):
            late_ns = lateness.percentile_ns(99)
            if late_ns > self.budget_ns:
                budget_ms = self.budget_ns / 1e6
                return f"1 % of the packets {what} {late_ns / 1e6:.2f} ms late or more (budget: {budget_ms:g} ms)"
        return ""

    def as_json(self) -> dict[str, Json]:
        """valid, reason, budget_ns, and both histograms."""
        return {
            "valid": self.is_valid,
            "reason": self.reason,
            "budget_ns": self.budget_ns,
            "departure": self.departure.as_json(),
            "arrival": self.arrival.as_json(),
        }


BUCKET_BITS = 12
BUCKETS = 4096
