"""A token bucket in whole numbers: so many bytes at once, so many bits per second in the long run."""

from __future__ import annotations

from transports.errors import TransportError
from transports.link.rates import BIT_NS_PER_BYTE_S


class TokenBucket:
    """Full at first. rate_bps: above 0; burst_bytes: what it holds, above 0; TransportError otherwise.

    The level is kept in bits times nanoseconds per second, in which both a byte and a nanosecond of refilling are whole
    numbers: nothing is ever rounded.
    """

    __slots__ = ("_level", "_level_max", "_level_ns", "burst_bytes", "rate_bps")

    def __init__(self, rate_bps: int, burst_bytes: int) -> None:
        if rate_bps < 1:
            raise TransportError(f"rate is above 0 bit/s, not {rate_bps}")
        if burst_bytes < 1:
            raise TransportError(f"burst is at least 1 byte, not {burst_bytes}")
        self.rate_bps = rate_bps
        self.burst_bytes = burst_bytes
        self._level = self._level_max = burst_bytes * BIT_NS_PER_BYTE_S
        self._level_ns = 0

    def level_bytes(self, now: int) -> int:
        """Whole bytes in the bucket; below 0 while a packet that did not fit is being paid off."""
        self._fill(now)
        return self._level // BIT_NS_PER_BYTE_S

    def take(self, size_bytes: int, now: int) -> bool:
        """Take tokens for a packet if they are all there."""
        self._fill(now)
        owed = size_bytes * BIT_NS_PER_BYTE_S
        if owed > self._level:
            return False
        self._level -= owed
        return True

    def wait_ns(self, size_bytes: int, now: int) -> int:
        """How long until a packet may go; one that is larger than the bucket goes when the bucket is full."""
        self._fill(now)
        missing = min(size_bytes * BIT_NS_PER_BYTE_S, self._level_max) - self._level
        return -(-missing // self.rate_bps) if missing > 0 else 0

    def spend(self, size_bytes: int, now: int) -> None:
        """Take tokens for a packet that goes now, whether they are there or not."""
        self._fill(now)
        self._level -= size_bytes * BIT_NS_PER_BYTE_S

    def _fill(self, now: int) -> None:
        level = self._level + (now - self._level_ns) * self.rate_bps
        self._level = min(self._level_max, level)
        self._level_ns = now
