"""A timeline: actions in the order of their times, in virtual time or in real time; what pure models run on.

    timeline.at(time_ns, action, argument)    action(argument) is called when timeline.now is time_ns
    timeline.run(until_ns)                    everything up to then, as fast as it goes: virtual time
    timer = timeline.timer(action); timer.arm(time_ns)    a deadline that moves

Actions of one time run in the order in which they were asked for, so that a run is the same every time. For a timer
that is the order in which its entry was made, which `Timer.arm` does only for a time earlier than the entry it has: a
timer that was put off makes one when the old one comes up, and one that was moved to and fro keeps the first. Where the
order within an instant matters to a model, it says so itself (`Port.put` lets a packet that has left make room first).

A process that lives in real time calls `run(clock.now())` when something is due (`poll_deadline`); each action then
sees the time for which it was asked, not the one at which the process got round to it, so that a late process still
computes the exact model, and can say how late it was.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from transports.errors import TransportError

Action = Callable[[Any], object]
NEVER = NO_LIMIT = 1 << 62
"""Later than any time in nanoseconds."""


class Timeline:
    """Actions by time. now: integer nanoseconds, of the action that runs. steps: actions that ran so far."""

    __slots__ = ("_heap", "_is_running", "_is_stopped", "_sequence", "now", "steps")

    def __init__(self, start_ns: int = 0) -> None:
        self.now = start_ns
        self.steps = 0
        self._heap: list[tuple[int, int, Action, Any]] = []
        self._sequence = 0
        self._is_running = False
        self._is_stopped = False

    def at(self, time_ns: int, action: Action, argument: Any = None) -> None:
        """Call `action(argument)` at `time_ns`; what is past by then is now."""
        if time_ns < self.now:
            time_ns = self.now
        self._sequence = sequence = self._sequence + 1
        heappush(self._heap, (time_ns, sequence, action, argument))

    def timer(self, action: Callable[[], object]) -> Timer:
        """A timer that calls `action` when it is due; not armed yet."""
        return Timer(self, action)

    def poll_deadline(self) -> int | None:
        """When the next action is due; None when there is none."""
        return self._heap[0][0] if self._heap else None

    def run(self, until_ns: int, *, max_steps: int = NO_LIMIT) -> bool:
        """Run every action up to and including `until_ns`, where `now` then stands, or up to `stop()`.

        max_steps: of a process that has other work, the most to run in one go. False if actions were left for that
        reason. TransportError when called from an action.
        """
        if self._is_running:
            raise TransportError("a timeline cannot be run by one of its own actions")
        self._is_running, self._is_stopped = True, False
        heap, steps = self._heap, 0
        try:
            while heap and heap[0][0] <= until_ns:
                if steps >= max_steps:
                    return False
                self.now, _, action, argument = heappop(heap)
                steps += 1
                action(argument)
                if self._is_stopped:
                    return True
            if until_ns > self.now:
                self.now = until_ns
            return True
        finally:
            self.steps += steps
            self._is_running = False

    def stop(self) -> None:
        """End the run after the present action; time stands where it is."""
        self._is_stopped = True


class Timer:
    """One deadline of a model, which may be moved later and cancelled as often as is wanted at no cost.

    Each move to an earlier time leaves an entry behind until its time has come: what moves both ways by turns is better
    two timers. Among actions of one instant a timer's place is that of its entry. due_ns: when it is due; NEVER while
    it is not armed.
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
            time_ns = max(time_ns, self._timeline.now)
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
