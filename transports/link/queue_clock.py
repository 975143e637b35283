"""The clock of a queue discipline that has something to do without packets (PIE's probability, a released packet)."""

from __future__ import annotations

from collections.abc import Callable

from transports.link.queue import Queue
from transports.timeline import Timeline


class QueueClock:
    """Calls `Queue.handle_timeout` when it is due, and then whoever sends: there may be a packet now."""

    __slots__ = ("_kick", "_queue", "_timeline", "_timer")

    def __init__(self, queue: Queue, timeline: Timeline, kick: Callable[[], object]) -> None:
        self._queue = queue
        self._timeline = timeline
        self._kick = kick
        self._timer = timeline.timer(self._due)
        self.look()

    @classmethod
    def of(cls, queue: Queue, timeline: Timeline, kick: Callable[[], object]) -> QueueClock | None:
        """None for a discipline that never has a deadline, so that packets through it pay nothing."""
        return cls(queue, timeline, kick) if queue.has_clock() else None

    def look(self) -> None:
        """The queue has changed: see when it is due."""
        due_ns = self._queue.poll_deadline()
        if due_ns is None:
            self._timer.cancel()
        elif due_ns != self._timer.due_ns:
            self._timer.arm(due_ns)

    def _due(self) -> None:
        self._queue.handle_timeout(self._timeline.now)
        self._kick()
        self.look()
