"""Clocks: integer nanoseconds since a moment that only the clock knows."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A source of time that never goes backwards."""

    def now(self) -> int:
        """The time in nanoseconds; only differences mean something."""


class RealClock:
    """The operating system's monotonic clock."""

    now = staticmethod(time.monotonic_ns)


class VirtualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now = start_ns

    def now(self) -> int:
        """The time in nanoseconds."""
        return self._now

    def advance(self, duration_ns: int) -> None:
        """Move on by `duration_ns`, zero or more; ValueError otherwise."""
        self.move_to(self._now + duration_ns)

    def move_to(self, time_ns: int) -> None:
        """Move to `time_ns`; ValueError when that lies in the past."""
        if time_ns < self._now:
            raise ValueError(f"a clock does not go back: {time_ns} ns is before {self._now} ns")
        self._now = time_ns
