"""A timeline: actions in the order of their times, in virtual time or in real time; what pure models run on.

    timeline.at(time_ns, action, argument)    action(argument) is called when timeline.now is time_ns
    timeline.run(until_ns)                    everything up to then, as fast as it goes: virtual time
    timer = timeline.timer(action); timer.arm(time_ns)    a deadline that moves

Actions of one time run in the order in which they were asked for, so that a run is the same every time. A process
that lives in real time calls `run(clock.now())` when something is due (`poll_deadline`); each action then sees the
time for which it was asked, not the one at which the process got round to it, so that a late process still computes
the exact model, and can say how late it was.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Action = Callable[[Any], object]


class Timeline:
    """Actions by time. now: integer nanoseconds, of the action that runs. steps: actions that ran so far."""

    __slots__ = ("_heap", "_sequence", "now", "steps")

    def __init__(self, start_ns: int = 0) -> None:
        self.now = start_ns
        self.steps = 0
        self._heap: list[tuple[int, int, Action, Any]] = []
        self._sequence = 0

    def at(self, time_ns: int, action: Action, argument: Any = None) -> None:
        """Call `action(argument)` at `time_ns`, which is not before `now`."""
        self._sequence = sequence = self._sequence + 1
        heappush(self._heap, (time_ns, sequence, action, argument))

    def timer(self, action: Callable[[], object]) -> Timer:
        """A timer that calls `action` when it is due; not armed yet."""
        return Timer(self, action)

    def poll_deadline(self) -> int | None:
        """When the next action is due; None when there is none."""
        return self._heap[0][0] if self._heap else None

    def run(self, until_ns: int) -> None:
        """Run every action up to and including `until_ns`, where `now` then stands."""
        heap, steps = self._heap, 0
        while heap and heap[0][0] <= until_ns:
            self.now, _, action, argument = heappop(heap)
            steps += 1
            action(argument)
        self.now = max(self.now, until_ns)
        self.steps += steps


class Timer:
    """One deadline of a model, which may be moved and cancelled as often as is wanted at no cost.

    due_ns: when it is due; NEVER while it is not armed.
    """

    __slots__ = ("_action", "_queued_ns", "_timeline", "due_ns")

    def __init__(self, timeline: Timeline, action: Callable[[], object]) -> None:
        self.due_ns = NEVER
        self._queued_ns = NEVER
        self._timeline = timeline
        self._action = action

    def arm(self, time_ns: int) -> None:
        """Be due at `time_ns`, and no other time."""
        self.due_ns = time_ns
        # An entry that is queued for an earlier time puts itself off when it comes up.
        if time_ns < self._queued_ns:
            self._queued_ns = time_ns
            self._timeline.at(time_ns, self._come_up, time_ns)

    def cancel(self) -> None:
        """Be due never."""
        self.due_ns = NEVER

    def _come_up(self, queued_ns: int) -> None:
        if queued_ns != self._queued_ns:
            return  # an earlier one took its place
        self._queued_ns = NEVER
        due_ns = self.due_ns
        if due_ns <= queued_ns:
            self.due_ns = NEVER
            self._action()
        elif due_ns < NEVER:
            self.arm(due_ns)


NEVER = 1 << 62
"""Later than any time in nanoseconds, and still a small integer."""
