"""A controller that is updated once in a period, caught up with when a packet comes or goes.

Between packets a queue does not change, and how long its oldest packet has waited at any moment is known. So updates
that fell into a pause are made up for exactly when it ends, each as if it had been made in time, and nothing has to
happen on the timeline: a link that is idle costs nothing, and a simulation comes to an end.

An update that is due in the very instant in which a packet comes or goes is made before.
"""

from __future__ import annotations

from transports.link.bounded import BoundedQueue, Limits
from transports.link.checks import check_at_least


class PeriodicQueue(BoundedQueue):
    """Base of disciplines that update something every `period_ns`, first one period after the first packet arrives.

    A discipline overrides `update` and `is_settled`; it calls `catch_up(now)` where `now >= due_ns`, before it looks
    at anything. TransportError for a period below 1 ns.
    """

    def __init__(self, period_ns: int, limits: Limits) -> None:
        super().__init__(limits)
        check_at_least("update", period_ns, 1)
        self.period_ns = period_ns
        self.due_ns = 0
        self._has_begun = False

    def update(self, time_ns: int) -> None:
        """The update that is due at `time_ns`; nothing has come or gone since the last."""
        raise NotImplementedError

    def is_settled(self) -> bool:
        """Whether the queue is empty and more updates would change nothing."""
        raise NotImplementedError

    def catch_up(self, now: int) -> None:
        """Make every update that is due. Whoever looks at the controller between packets may call it, too."""
        period_ns = self.period_ns
        if not self._has_begun:
            self._has_begun = True
            self.due_ns = now + period_ns
        while self.due_ns <= now:
            self.update(self.due_ns)
            self.due_ns += period_ns
            if self.due_ns <= now and self.is_settled():
                self.due_ns += (now - self.due_ns) // period_ns * period_ns + period_ns

    def waited_ns(self, time_ns: int) -> int:
        """How long the oldest packet has waited; 0 where there is none."""
        return time_ns - self._packets[0].enqueued_ns if self._packets else 0
