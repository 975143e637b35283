"""A rate that changes at given times, in the middle of a packet if need be."""

from __future__ import annotations

from collections.abc import Sequence

from transports.errors import TransportError
from transports.link.rates import BIT_NS_PER_BYTE_S
from transports.timeline import NEVER


class ScheduledRate:
    """A link that is as fast as a schedule says.

    changes: (time_ns, rate_bps) in order, the first at 0; a rate of 0 is a link that stands still, which keeps what
    waits. period_ns: after which the schedule begins anew, 0 for never: then the last rate stays, and is not 0.
    origin_ns: the timeline's time that the schedule calls 0. TransportError for a schedule that is none.

    Exact: a packet is out when the integral of the rate since its start is its size, rounded up to a nanosecond; what
    was rounded is given to the next packet if it follows at once.
    """

    def __init__(self, changes: Sequence[tuple[int, int]], *, period_ns: int = 0, origin_ns: int = 0) -> None:
        _check(changes, period_ns)
        self.period_ns = period_ns
        self.rate_bps = changes[0][1]
        self._changes = tuple(changes)
        self._origin_ns = origin_ns
        self._index = 0
        self._until_ns = self._end_ns()
        self._free_ns = 0
        self._rest = 0

    def finish_ns(self, size_bytes: int, start_ns: int) -> int:
        """When the last bit of `size_bytes` has left."""
        owed = size_bytes * BIT_NS_PER_BYTE_S
        if start_ns == self._free_ns:
            owed -= self._rest
        if self._until_ns <= start_ns:
            self._seek(start_ns)
        now = start_ns
        while owed > 0:
            rate_bps, until_ns = self.rate_bps, self._until_ns
            room = (until_ns - now) * rate_bps
            if owed <= room:
                duration_ns = -(-owed // rate_bps)
                owed -= duration_ns * rate_bps
                now += duration_ns
            else:
                owed -= room
                now = until_ns
                self._advance()
        self._rest = -owed
        self._free_ns = now
        return now

    def _seek(self, now: int) -> None:
        if self.period_ns:
            # Whole periods without a packet need no steps.
            self._origin_ns += max(0, (now - self._origin_ns) // self.period_ns - 1) * self.period_ns
            self._until_ns = self._end_ns()
        while self._until_ns <= now:
            self._advance()

    def _advance(self) -> None:
        self._index += 1
        if self._index == len(self._changes):
            self._index = 0
            self._origin_ns += self.period_ns
        self.rate_bps = self._changes[self._index][1]
        self._until_ns = self._end_ns()

    def _end_ns(self) -> int:
        following = self._index + 1
        if following < len(self._changes):
            return self._origin_ns + self._changes[following][0]
        return self._origin_ns + self.period_ns if self.period_ns else NEVER


def _check(changes: Sequence[tuple[int, int]], period_ns: int) -> None:
    if not changes or changes[0][0] != 0:
        raise TransportError("a schedule of rates begins at 0, such as 0 20mbit, 1s 5mbit")
    former_ns = -1
    for time_ns, rate_bps in changes:
        if time_ns <= former_ns:
            raise TransportError(f"the times of a schedule rise, and {time_ns} ns comes after {former_ns} ns")
        if rate_bps < 0:
            raise TransportError(f"a scheduled rate is 0 or more, not {rate_bps}")
        former_ns = time_ns
    if period_ns:
        if period_ns <= former_ns:
            raise TransportError(f"a schedule's period is after its last change at {former_ns} ns, not {period_ns}")
        if not any(rate_bps for _, rate_bps in changes):
            raise TransportError("a schedule needs a rate above 0, or nothing ever leaves")
    elif not changes[-1][1]:
        raise TransportError("the last rate of a schedule without a period is above 0, or nothing ever leaves")
