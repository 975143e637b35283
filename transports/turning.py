"""What turns a pump under trio: two tasks, one for input and deadlines, one for the doorbell.

The first makes a pass whenever there is something to read or a deadline is due: it sleeps inside one cancel scope whose
deadline moves, so that a new timer costs an attribute and not a scope. The second waits for the doorbell (`wake`), and
while output is kept, for room.

Any task of the same thread may call the pump inline while `run` is active; what it leaves behind is picked up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from transports.clock import Clock


class Turnable(Protocol):
    """A pump, as far as turning it goes."""

    @property
    def has_more(self) -> bool:
        """Whether another pass is due at once."""

    @property
    def is_blocked(self) -> bool:
        """Whether output waits for `wait_writable`."""

    @property
    def deadline_ns(self) -> int | None:
        """When a pass is due without any input, in nanoseconds."""

    async def wait_readable(self) -> None:
        """Return when there is input."""

    async def wait_writable(self) -> None:
        """Return when there is room."""


class Turner:
    """Turns a pump. turn: makes one pass and nothing else; clock: whose times the pump's deadlines are."""

    def __init__(self, pump: Turnable, turn: Callable[[], object], clock: Clock) -> None:
        self._pump = pump
        self._turn = turn
        self._now = clock.now
        self._scope: trio.CancelScope | None = None
        self._armed_ns: int | None = None
        self._bell = trio.lowlevel.ParkingLot()
        self._is_rung = False

    @property
    def is_running(self) -> bool:
        """Whether `run` is active."""
        return self._scope is not None

    def wake(self) -> None:
        """Have `run` make a pass soon; many calls before it cost one pass.

        From a worker thread call it through `trio.from_thread.run_sync`.
        """
        if not self._is_rung:
            self._is_rung = True
            self._bell.unpark_all()

    def passed(self) -> None:
        """A pass was made inline: the tasks of `run` learn of a new deadline and of what was left over."""
        if self._scope is not None:
            self._move_deadline()
            if self._pump.has_more or self._pump.is_blocked:
                self.wake()

    async def run(self) -> None:
        """Turn until cancelled; one `run` at a time.

        Cancelling is safe at every await: a pass never awaits, and what is kept or delayed stays so.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._run_doorbell)
                await self._run_readable()
        finally:
            self._scope = None

    async def _run_readable(self) -> None:
        # The deadline that fires uses up its scope; a fresh one costs microseconds, so each lives until then.
        while True:
            with trio.CancelScope() as self._scope:
                self._armed_ns = None
                while True:
                    await self._pass_and_wait()

    async def _pass_and_wait(self) -> None:
        self._turn()
        self._move_deadline()
        if self._pump.is_blocked:
            self.wake()
        if self._pump.has_more:
            # Others get their turn between passes, however much there is to do.
            await trio.lowlevel.checkpoint()
        else:
            await self._pump.wait_readable()

    async def _run_doorbell(self) -> None:
        while True:
            if self._is_rung:
                await trio.lowlevel.checkpoint()
            else:
                await self._bell.park()
            self._is_rung = False
            if self._pump.is_blocked:
                await self._pump.wait_writable()
            self._turn()
            self.passed()

    def _move_deadline(self) -> None:
        # Only forward in urgency: a core that re-arms a timer with every packet would otherwise pay for a heap entry
        # of trio's each time. A deadline put off or taken back costs one idle pass when the old one fires.
        deadline_ns = self._pump.deadline_ns
        armed_ns = self._armed_ns
        if deadline_ns is None or (armed_ns is not None and deadline_ns >= armed_ns):
            return
        assert self._scope is not None
        self._armed_ns = deadline_ns
        self._scope.deadline = trio.current_time() + max(0, deadline_ns - self._now()) / 1e9
