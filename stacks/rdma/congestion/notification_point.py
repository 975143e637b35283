"""The receiver's part: CE marks on data become CNPs, a few of them (IBTA A17.9.3)."""

from __future__ import annotations


class NotificationPoint:
    """Decides for one queue pair when a CNP is due.

    interval_ns: from one CNP to the next at least.
    """

    def __init__(self, interval_ns: int) -> None:
        self.is_due = False
        """Whether a CNP should leave now."""
        self._interval_ns = interval_ns
        self._last_ns: int | None = None

    def marked(self, now: int) -> bool:
        """A data packet arrived with CE; True when it makes a CNP due."""
        if self._last_ns is not None and now - self._last_ns < self._interval_ns:
            return False
        self._last_ns = now
        self.is_due = True
        return True
