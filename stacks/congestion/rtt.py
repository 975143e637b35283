"""Round-trip times of a connection: smoothed, variation, smallest and latest (RFC 6298 2, RFC 9002 5)."""

from __future__ import annotations


class RttEstimator:
    """latest_ns, smoothed_ns, variation_ns, min_ns: integer nanoseconds, 0 before the first sample."""

    __slots__ = ("latest_ns", "min_ns", "smoothed_ns", "variation_ns")

    def __init__(self) -> None:
        self.latest_ns = 0
        self.smoothed_ns = 0
        self.variation_ns = 0
        self.min_ns = 0

    def update(self, rtt_ns: int, *, ack_delay_ns: int = 0) -> None:
        """A sample. ack_delay_ns: what the peer says it waited, taken off where that leaves at least the smallest."""
        self.latest_ns = rtt_ns
        if not self.smoothed_ns:
            self.min_ns = self.smoothed_ns = rtt_ns
            self.variation_ns = rtt_ns // 2
            return
        if rtt_ns < self.min_ns:
            self.min_ns = rtt_ns
        if ack_delay_ns and rtt_ns >= self.min_ns + ack_delay_ns:
            rtt_ns -= ack_delay_ns
        self.variation_ns = (3 * self.variation_ns + abs(self.smoothed_ns - rtt_ns)) // 4
        self.smoothed_ns = (7 * self.smoothed_ns + rtt_ns) // 8

    def retransmission_ns(self, granularity_ns: int = 1_000_000) -> int:
        """How long an acknowledgement may reasonably take: smoothed + max(4 * variation, granularity)."""
        return self.smoothed_ns + max(4 * self.variation_ns, granularity_ns)
