"""Times in which nothing gets through: a tunnel, a cable that is pulled."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from transports.errors import TransportError
from transports.link.checks import check_at_least
from transports.link.element import Element
from transports.link.packet import LinkPacket
from transports.timeline import Timeline


class Blackout(Element):
    """Drops whatever enters while the link is dark. (A link that stops and keeps what waits: a rate of 0 for a time.)

    intervals: (first, end), nanoseconds after the timeline's time when this is made, in order, not overlapping; dark
    from the first instant up to and not including the end. period_ns: after which they come again, 0 for never; no
    interval reaches beyond it. TransportError where that does not hold.
    """

    __slots__ = ("_ends", "_origin_ns", "_starts", "_timeline", "period_ns")

    def __init__(self, timeline: Timeline, intervals: Sequence[tuple[int, int]], *, period_ns: int = 0) -> None:
        super().__init__()
        check_at_least("period", period_ns, 0)
        former_ns = 0
        for first_ns, end_ns in intervals:
            if not former_ns <= first_ns < end_ns:
                raise TransportError(
                    f"intervals are ordered, apart, and end after they begin, unlike {first_ns} to {end_ns} ns"
                )
            former_ns = end_ns
        if period_ns and former_ns > period_ns:
            raise TransportError(f"intervals end within their period of {period_ns} ns, not at {former_ns}")
        self.period_ns = period_ns
        self._timeline = timeline
        self._origin_ns = timeline.now
        self._starts = [first_ns for first_ns, _ in intervals]
        self._ends = [end_ns for _, end_ns in intervals]

    @property
    def is_dark(self) -> bool:
        """Whether nothing gets through now."""
        elapsed_ns = self._timeline.now - self._origin_ns
        if self.period_ns:
            elapsed_ns %= self.period_ns
        index = bisect_right(self._starts, elapsed_ns)
        return index > 0 and elapsed_ns < self._ends[index - 1]

    def put(self, packet: LinkPacket) -> None:
        """Dropped in the dark, passed on at once otherwise."""
        if self.is_dark:
            self.drop(packet)
        else:
            packet.forward()
