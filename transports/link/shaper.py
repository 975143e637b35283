"""A shaper: packets wait for tokens in the queue before it."""

from __future__ import annotations

from transports.link.bucket import TokenBucket
from transports.link.rates import ConstantRate


class TokenBucketRate:
    """The rate of a port that lets bursts through and then keeps to so many bits per second (as Linux' tbf).

    rate_bps, burst_bytes: of the bucket, full at first. peak_bps: at which a burst leaves, 0 for at once.
    TransportError for a rate or a burst below 1.

    What leaves in any time t is at most burst + rate t. A packet larger than the bucket leaves when the bucket is full,
    and those after it wait until it is paid off (tbf would drop it).
    """

    __slots__ = ("_peak", "bucket", "rate_bps")

    def __init__(self, rate_bps: int, burst_bytes: int, *, peak_bps: int = 0) -> None:
        self.bucket = TokenBucket(rate_bps, burst_bytes)
        self.rate_bps = rate_bps
        self._peak = ConstantRate(peak_bps) if peak_bps else None

    def finish_ns(self, size_bytes: int, start_ns: int) -> int:
        """When the last bit has left."""
        bucket = self.bucket
        finish_ns = start_ns + bucket.wait_ns(size_bytes, start_ns)
        if self._peak is not None:
            finish_ns = max(finish_ns, self._peak.finish_ns(size_bytes, start_ns))
        # Tokens go when the packet does, or a slow peak would let the bucket fill up behind it.
        bucket.spend(size_bytes, finish_ns)
        return finish_ns
