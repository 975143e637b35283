"""The pacer: when the next bytes of a flow may leave, so that it keeps to a rate and its bursts stay bounded.

A token bucket that is exact to the bit and the nanosecond: credit is counted in bits times 10^9, of which a rate of
`rate_bps` earns `rate_bps` in each nanosecond, so nothing is ever rounded away. In any stretch of time no more leaves
than the burst and what the rate earns in it and one nanosecond.
"""

from __future__ import annotations

from stacks.runtime import LocalError


class Pacer:
    """Paces one flow.

    rate_bps: bits per second. burst_bytes: what may leave at once after a pause; a larger single send waits for a full
    bucket and leaves a debt. now: nanoseconds; the bucket starts full. LocalError when rate or burst is below 1.
    """

    __slots__ = ("_burst", "_credit", "_settled_ns", "rate_bps")

    def __init__(self, rate_bps: int, burst_bytes: int, *, now: int = 0) -> None:
        if rate_bps < 1 or burst_bytes < 1:
            raise LocalError(f"a pacer needs a rate and a burst above 0, not {rate_bps} bit/s and {burst_bytes} bytes")
        self.rate_bps = rate_bps
        self._burst = self._credit = burst_bytes * CREDIT_PER_BYTE
        self._settled_ns = now

    def change_rate(self, rate_bps: int, now: int) -> None:
        """Earn at `rate_bps` from now on; what was earned stays. LocalError when it is below 1."""
        if rate_bps < 1:
            raise LocalError(f"a pacer needs a rate above 0, not {rate_bps} bit/s")
        self._settle(now)
        self.rate_bps = rate_bps

    def budget_bytes(self, now: int) -> int:
        """How many bytes may leave now."""
        self._settle(now)
        return max(0, min(self._burst, self._credit) // CREDIT_PER_BYTE)

    def next_send_ns(self, length_bytes: int, now: int) -> int:
        """The first nanosecond, `now` or later, at which `length_bytes` may leave together at the present rate."""
        self._settle(now)
        missing = min(length_bytes * CREDIT_PER_BYTE, self._burst) - self._credit
        return now if missing <= 0 else now - (-missing // self.rate_bps)

    def delay_ns(self, length_bytes: int, now: int) -> int:
        """How long until `length_bytes` may leave."""
        return self.next_send_ns(length_bytes, now) - now

    def sent(self, length_bytes: int, now: int) -> None:
        """`length_bytes` left."""
        self._settle(now)
        self._credit -= length_bytes * CREDIT_PER_BYTE

    def _settle(self, now: int) -> None:
        if now > self._settled_ns:
            # A departure is rounded up to a whole nanosecond; what that earns is kept, or the rate would not be met.
            limit = self._burst + self.rate_bps
            self._credit = min(limit, self._credit + (now - self._settled_ns) * self.rate_bps)
            self._settled_ns = now


CREDIT_PER_BYTE = 8 * 1_000_000_000
"""Bits times nanoseconds per second."""
