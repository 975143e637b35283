"""The pump of a relay: what has arrived goes into the models, what they let go leaves, and the lateness is counted.

A pass never waits. In real time `run` makes one after the other; in a test a virtual clock does.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable
from typing import Protocol

import trio

from transports.clock import Clock, RealClock
from transports.relay.lateness import Punctuality
from transports.timeline import Timeline


class End(Protocol):
    """Where packets come from and go to."""

    def fileno(self) -> int:
        """What to wait for."""

    def take(self) -> bool:
        """Read what is there and put it into the models; True when there may be more."""

    def flush(self) -> bool:
        """Send what has left the models; False when there was no room for all of it."""


class Relay:
    """Ends around a timeline.

    clock: of departures and arrivals. punctuality: is told of both. timeline: what the models run on; its times, and
    those of `now`, are since the relay was made, at `epoch_ns` by the clock.
    """

    def __init__(self, *, clock: Clock | None = None, punctuality: Punctuality | None = None) -> None:
        read_clock = (clock or RealClock()).now
        self.epoch_ns = epoch_ns = read_clock()
        self.now: Callable[[], int] = lambda: read_clock() - epoch_ns
        self.punctuality = punctuality or Punctuality()
        self.timeline = Timeline()
        self.looked_ns = 0
        """Everything that had arrived by then has been read."""
        self._ends: dict[int, End] = {}
        self._sending: list[End] = []
        self._epoll = select.epoll()

    @property
    def is_blocked(self) -> bool:
        """Whether packets wait for room in a socket."""
        return bool(self._sending)

    def add(self, end: End) -> None:
        """Take from `end` from now on."""
        self._ends[end.fileno()] = end
        self._epoll.register(end.fileno(), select.EPOLLIN)

    def remove(self, end: End) -> None:
        """The inverse; before the end is closed."""
        fileno = end.fileno()
        if self._ends.pop(fileno, None) is not None:
            self._epoll.unregister(fileno)

    def send(self, end: End) -> None:
        """Have `flush` called at the end of this pass: an end calls this when its first packet leaves the models."""
        self._sending.append(end)

    def pump(self, ready: Iterable[End]) -> bool:
        """One pass, in which `ready` ends are read; True when one of them may have more."""
        timeline, now = self.timeline, self.now
        timeline.run(now())
        has_more = False
        for end in ready:
            has_more |= end.take()
        timeline.run(now())
        if self._sending:
            sending, self._sending = self._sending, []
            for end in sending:
                if not end.flush():
                    self._sending.append(end)
        return has_more

    async def run(self) -> None:
        """Relay until cancelled."""
        # The system call that waits to the microsecond is select's: epoll and poll round up to whole milliseconds,
        # which is this program's whole budget. So this task waits by itself, a few milliseconds at most, and lets
        # trio's other tasks (the control socket) have their turn in between.
        poll, ends, now, files = self._epoll.poll, self._ends, self.now, [self._epoll.fileno()]
        rested_ns = self.looked_ns = now()
        while True:
            looked_ns = now()
            found = poll(0)
            if not self.pump([end for fd, _ in found if (end := ends.get(fd)) is not None]):
                self.looked_ns = looked_ns
            time_ns = now()
            due_ns = self._due_ns(time_ns)
            if due_ns - time_ns > REST_NS and not found:
                await self._rest(due_ns)
                rested_ns = self.looked_ns = now()
                continue
            if time_ns - rested_ns > TURN_NS:
                await trio.lowlevel.checkpoint()
                rested_ns = time_ns = now()
            if not found and due_ns > time_ns:
                select.select(files, (), (), min(due_ns - time_ns, TURN_NS) / 1e9)
                # Either it arrived just now, or nothing has.
                self.looked_ns = now()

    def close(self) -> None:
        """Stop waiting for ends, which stay their owners' to close; idempotent."""
        self._ends.clear()
        self._epoll.close()

    def _due_ns(self, time_ns: int) -> int:
        """When the next pass is due, if nothing arrives before."""
        due_ns = self.timeline.poll_deadline()
        if self._sending:
            return time_ns + RETRY_NS if due_ns is None else min(due_ns, time_ns + RETRY_NS)
        return time_ns + IDLE_NS if due_ns is None else due_ns

    async def _rest(self, due_ns: int) -> None:
        seconds = max(0, due_ns - self.now() - TURN_NS) / 1e9
        with trio.move_on_after(seconds):
            await trio.lowlevel.wait_readable(self._epoll.fileno())


REST_NS = 20_000_000
"""Waits longer than this are trio's."""
TURN_NS = 5_000_000
"""How long other tasks of trio wait at most while this one is busy."""
RETRY_NS = 200_000
"""When a socket that was full is tried again."""
IDLE_NS = 1 << 40
