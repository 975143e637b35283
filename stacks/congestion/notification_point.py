"""DCQCN's notification point, at the receiver: CE marks on data become CNPs, a few of them.

SIGCOMM 2015, section 3.1 (figure 6), and IBTA A17.9.3: the first mark is told at once, then at most one an interval.
"""

from __future__ import annotations


class NotificationPoint:
    """Decides for one flow when a CNP is due.

    interval_ns: from one CNP to the next at least. is_due: whether a CNP should leave now; who sends it clears this.
    """

    __slots__ = ("_interval_ns", "_last_ns", "is_due")

    def __init__(self, interval_ns: int) -> None:
        self.is_due = False
        self._interval_ns = interval_ns
        self._last_ns: int | None = None

    def marked(self, now: int) -> bool:
        """A data packet arrived with CE; True when it makes a CNP due."""
        if self._last_ns is not None and now - self._last_ns < self._interval_ns:
            return False
        self._last_ns = now
        self.is_due = True
        return True
