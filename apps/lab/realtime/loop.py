"""One loop for both ends of all flows: actions that are due, sockets that are ready, deadlines of pumps.

It waits to the microsecond, and counts how late it came to what was due.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Protocol

from transports.clock import Clock
from transports.relay.lateness import Lateness
from transports.timeline import Timeline


class Turned(Protocol):
    """What wants turns at times that move: a pump."""

    def turn(self) -> int | None:
        """Do what can be done; when next without input, by the clock; None for never."""


class Loop:
    """timeline: times since `start_ns`, which `run` sets. lateness: of its actions; flows of ours add their packets."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.timeline = Timeline()
        self.lateness = Lateness()
        self.start_ns = 0
        self._epoll = select.epoll()
        self._ready: dict[int, Callable[[int], object]] = {}
        self._due: dict[Turned, int | None] = {}

    @property
    def now(self) -> int:
        """Since the start."""
        return self.clock.now() - self.start_ns

    def watch(self, fileno: int, events: int, ready: Callable[[int], object]) -> None:
        """Call `ready` with the events of a file, of those that are wanted; once more, to want others."""
        if fileno in self._ready:
            self._epoll.modify(fileno, events)
        else:
            self._epoll.register(fileno, events)
        self._ready[fileno] = ready

    def turn(self, turned: Turned) -> None:
        """Give it a turn now, and whenever it asked for one from now on."""
        self._due[turned] = turned.turn()

    def run(self, duration_ns: int, start_ns: int) -> None:
        """From `start_ns` by the clock."""
        self.start_ns = start_ns
        files, clock, timeline = [self._epoll.fileno()], self.clock.now, self.timeline
        while True:
            now = clock()
            passed_ns = now - start_ns
            if passed_ns >= duration_ns:
                timeline.run(duration_ns)
                return
            self._act(now)
            found = self._epoll.poll(0)
            for fileno, events in found:
                self._ready[fileno](events)
            if found:
                continue
            now = clock()
            due_ns = min(start_ns + duration_ns, self._due_ns())
            if due_ns > now:
                select.select(files, (), (), (due_ns - now) / 1e9)

    def close(self) -> None:
        """Stop waiting; files stay their owners'."""
        self._epoll.close()

    def _act(self, now: int) -> None:
        """Whatever is due."""
        start_ns = self.start_ns
        due_ns = self.timeline.poll_deadline()
        if due_ns is not None and start_ns + due_ns <= now:
            self.lateness.record(now - start_ns - due_ns)
            self.timeline.run(now - start_ns)
        for turned, due_ns in self._due.items():
            if due_ns is not None and due_ns <= now:
                self._due[turned] = turned.turn()

    def _due_ns(self) -> int:
        first_ns = self.timeline.poll_deadline()
        due_ns = NEVER if first_ns is None else self.start_ns + first_ns
        for each in self._due.values():
            if each is not None and each < due_ns:
                due_ns = each
        return due_ns


NEVER = 1 << 62
