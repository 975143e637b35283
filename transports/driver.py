"""The driver: a pump that trio turns.

`run` has two tasks for one socket. The first makes a pass whenever the socket is readable or a deadline is due: it
sleeps inside one cancel scope whose deadline moves, so that a new timer costs an attribute and not a scope. The second
waits for the doorbell (`wake`), and while a transmit is kept, for the socket to take more.

Any task of the same thread may call `pump` inline while `run` is active; what it leaves behind is picked up.
"""

from __future__ import annotations

from collections.abc import Sequence

import trio

from transports.clock import Clock
from transports.datagram import DatagramCore, DatagramTransport
from transports.pump import (
    RECEIVE_BUDGET_BURSTS,
    SEND_BUDGET_TRANSMITS,
    HasFileno,
    Pump,
    Service,
    TimedService,
)

__all__ = ["Driver", "HasFileno", "Pump", "Service", "TimedService"]


class Driver(Pump):
    """Moves everything between `core` and `transport` under trio; arguments as of `Pump`."""

    def __init__(
        self,
        core: DatagramCore,
        transport: DatagramTransport,
        clock: Clock,
        services: Sequence[Service] = (),
        *,
        receive_budget: int = RECEIVE_BUDGET_BURSTS,
        send_budget: int = SEND_BUDGET_TRANSMITS,
    ) -> None:
        super().__init__(core, transport, clock, services, receive_budget=receive_budget, send_budget=send_budget)
        self._scope: trio.CancelScope | None = None
        self._armed_ns: int | None = None
        self._bell = trio.lowlevel.ParkingLot()
        self._is_rung = False

    def pump(self) -> bool:
        """Make one pass, as `Pump.pump`; the tasks of `run` learn of a new deadline and of what was left over."""
        did = super().pump()
        if self._scope is not None and not self._is_pumping:
            self._move_deadline()
            if self._has_more or self._kept is not None:
                self.wake()
        return did

    def poll(self, spins: int = 1) -> bool:
        """As `Pump.poll`; while `run` is active, a whole pass."""
        return super().poll(spins) if self._scope is None else self.pump()

    def wake(self) -> None:
        """Have `run` make a pass soon; many calls before it cost one pass.

        From a worker thread call it through `trio.from_thread.run_sync`.
        """
        if not self._is_rung:
            self._is_rung = True
            self._bell.unpark_all()

    async def run(self) -> None:
        """Pump until cancelled; one `run` at a time.

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
        super().pump()
        self._move_deadline()
        if self._kept is not None:
            self.wake()
        if self._has_more:
            # Others get their turn between passes, however much there is to do.
            await trio.lowlevel.checkpoint()
        else:
            await self._transport.wait_readable()

    async def _run_doorbell(self) -> None:
        while True:
            if self._is_rung:
                await trio.lowlevel.checkpoint()
            else:
                await self._bell.park()
            self._is_rung = False
            if self._kept is not None:
                await self._transport.wait_writable()
            self.pump()

    def _move_deadline(self) -> None:
        # Only forward in urgency: a core that re-arms a timer with every packet would otherwise pay for a heap entry
        # of trio's each time. A deadline put off or taken back costs one idle pass when the old one fires.
        deadline_ns = self.deadline_ns
        armed_ns = self._armed_ns
        if deadline_ns is None or (armed_ns is not None and deadline_ns >= armed_ns):
            return
        assert self._scope is not None
        self._armed_ns = deadline_ns
        self._scope.deadline = trio.current_time() + max(0, deadline_ns - self._now()) / 1e9
