"""Round-trip times of a connection: smoothed, variation, smallest and latest (RFC 6298 2, RFC 9002 5)."""

from __future__ import annotations


class RttEstimator:
    """latest_ns, smoothed_ns, variation_ns, min_ns: integer nanoseconds, 0 until `has_sample`; a sample may be 0.

    granularity_ns: of the timers that use it (RFC 9002 6.1.2: a millisecond). minimum_ns: below which no
    retransmission timeout is (RFC 6298 2.4: a second; RFC 9002: none). max_ack_delay_ns: what the peer promised as its
    longest delay, above which it is not believed (RFC 9002 5.3); NO_LIMIT until the handshake is confirmed.
    """

    __slots__ = (
        "granularity_ns", "has_sample", "latest_ns", "max_ack_delay_ns", "min_ns", "minimum_ns", "smoothed_ns",
        "variation_ns",
    )  # fmt: skip

    def __init__(self, *, granularity_ns: int = 1_000_000, minimum_ns: int = 0) -> None:
        self.granularity_ns = granularity_ns
        self.minimum_ns = minimum_ns
        self.max_ack_delay_ns = NO_LIMIT
        self.reset()

    def reset(self) -> None:
        """Forget all samples: the path is another one (RFC 9000 9.4)."""
        self.has_sample = False
        self.latest_ns = self.smoothed_ns = self.variation_ns = self.min_ns = 0

    def update(self, rtt_ns: int, *, ack_delay_ns: int = 0) -> None:
        """A sample. ack_delay_ns: what the peer says it waited, taken off where that leaves at least the smallest."""
        self.latest_ns = rtt_ns
        if not self.has_sample:
            self.has_sample = True
            self.min_ns = self.smoothed_ns = rtt_ns
            self.variation_ns = rtt_ns // 2
            return
        if rtt_ns < self.min_ns:
            self.min_ns = rtt_ns
        if ack_delay_ns:
            if ack_delay_ns > self.max_ack_delay_ns:
                ack_delay_ns = self.max_ack_delay_ns
            if rtt_ns >= self.min_ns + ack_delay_ns:
                rtt_ns -= ack_delay_ns
        self.variation_ns = (3 * self.variation_ns + abs(self.smoothed_ns - rtt_ns)) // 4
        self.smoothed_ns = (7 * self.smoothed_ns + rtt_ns) // 8

    def retransmission_ns(self) -> int:
        """How long an acknowledgement may take that its receiver does not delay: smoothed + 4 * variation or so."""
        wait_ns = 4 * self.variation_ns
        if wait_ns < self.granularity_ns:
            wait_ns = self.granularity_ns
        wait_ns += self.smoothed_ns
        return max(self.minimum_ns, wait_ns)


NO_LIMIT = 1 << 62
