"""What the bindings' ends have in common under trio: waiting for what a core does, and ports that drain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import trio

from stacks.nvme.bindings.sync import Initiator, end_key, register_with
from stacks.nvme.host import Region, Transfer
from stacks.nvme.target import Port
from stacks.rdma import Device
from stacks.runtime import Counters
from transports.clock import Clock, RealClock
from transports.pump import Service
from transports.udp import UdpTransport


class Turning(Protocol):
    """A driver, of datagrams or streams."""

    @property
    def run(self) -> Callable[[], Awaitable[None]]:
        """Turn until cancelled."""

    @property
    def wake(self) -> Callable[[], None]:
        """Have `run` make a pass soon."""

    def pump(self) -> bool:
        """Make a pass now."""


class AsyncEnd:
    """What to initiate from. Run `driver.run` beside whatever uses it.

    initiator: the core; watch: a service of the driver, which tells of what became true. device: the RDMA device
    below, where there is one.
    """

    def __init__(
        self, initiator: Initiator, driver: Turning, clock: Clock, watch: Watch, *, device: Device | None = None
    ) -> None:
        self.device = device
        self.initiator = initiator
        self.driver = driver
        self.clock = clock
        self.watch = watch
        self._waiting = 0

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return when `condition` holds; it is looked at after every pass."""
        self.driver.wake()
        await self.watch.wait_until(condition)

    async def wait_for(self, transfer: Transfer) -> None:
        """Return when a transfer that was just started is over; when cancelled, it goes on alone."""
        abandon = _reschedule_when_done(transfer)
        # A lone task sends at once; among many, one pass of the driver takes the commands of all.
        self._waiting += 1
        try:
            if self._waiting == 1:
                self.driver.pump()
            else:
                self.driver.wake()
            await trio.lowlevel.wait_task_rescheduled(abandon)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Release what the end holds."""
        raise NotImplementedError


class AsyncEnds:
    """The ends of a program, one for each transport and address of ours. They run in `nursery`.

    open_end: makes the end for a transport (`tcp`, `rdma`) and a target's address. local: which of our addresses to
    use; empty for one that suits.
    """

    def __init__(
        self, open_end: Callable[[str, str], AsyncEnd], nursery: trio.Nursery, *, local: str = ""
    ) -> None:
        self.clock: Clock = RealClock()
        self._open_end = open_end
        self._nursery = nursery
        self._local = local
        self._ends: dict[tuple[str, str], AsyncEnd] = {}
        self._waiting = 0
        self.wait_for: Callable[[Transfer], Awaitable[None]] = self._wait_for_with_all
        """Returns when a transfer that was just started is over; when cancelled, it goes on alone."""

    @property
    def all(self) -> list[AsyncEnd]:
        """Every end, in the order of opening."""
        return list(self._ends.values())

    @property
    def device(self) -> Device | None:
        """The first RDMA device, if there is one."""
        return next((end.device for end in self._ends.values() if end.device is not None), None)

    @property
    def is_quiet(self) -> bool:
        """Whether every connection that was ended has ended on both sides."""
        return all(end.initiator.is_quiet for end in self._ends.values())

    def initiator_for(self, transport: str, host: str) -> Initiator:
        """What connects to a target at `host`, over `transport`. Raises what opening an end raises."""
        key = end_key(transport, host, self._local)
        if key not in self._ends:
            end = self._ends[key] = self._open_end(transport, host)
            self._nursery.start_soon(end.driver.run)
            self.wait_for = end.wait_for if len(self._ends) == 1 else self._wait_for_with_all
        return self._ends[key].initiator

    def register(self, buffer: object) -> Region:
        """Register a writable buffer with every end, so that I/O into and out of it is not copied."""
        return register_with([end.initiator for end in self._ends.values()], buffer)

    def wake(self) -> None:
        """Have every driver make a pass soon."""
        for end in self._ends.values():
            end.driver.wake()

    def pump(self) -> bool:
        """Make a pass with each driver now; whether anything was done."""
        did = False
        for end in self._ends.values():
            did = end.driver.pump() or did
        return did

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return when `condition` holds; it is looked at after every pass of a driver."""
        self.wake()
        if condition():
            await trio.lowlevel.checkpoint()
            return
        event, watches = trio.Event(), [end.watch for end in self._ends.values()]
        for watch in watches:
            watch.add(event, condition)
        try:
            await event.wait()
        finally:
            for watch in watches:
                watch.remove(event)

    async def _wait_for_with_all(self, transfer: Transfer) -> None:
        abandon = _reschedule_when_done(transfer)
        self._waiting += 1
        try:
            if self._waiting == 1:
                self.pump()
            else:
                self.wake()
            await trio.lowlevel.wait_task_rescheduled(abandon)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Close every end; the drivers run no more."""
        for end in self._ends.values():
            end.close()


def _reschedule_when_done(transfer: Transfer) -> Callable[[object], trio.lowlevel.Abort]:
    """Have the end of a transfer wake this task; what to do when the task is cancelled meanwhile."""
    task = trio.lowlevel.current_task()

    def finished(_: Transfer) -> None:
        trio.lowlevel.reschedule(task)

    def abandon(_: object) -> trio.lowlevel.Abort:
        transfer.done = None
        return trio.lowlevel.Abort.SUCCEEDED

    transfer.done = finished
    return abandon


@asynccontextmanager
async def beside(*tasks: Callable[[], Awaitable[None]]) -> AsyncIterator[trio.Nursery]:
    """Run tasks for as long as the block lasts. What the block raises leaves as it is, and not in a group."""
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        for task in tasks:
            nursery.start_soon(task)
        try:
            yield nursery
        except Exception as error:  # noqa: BLE001 (raised again below)
            failure = error
        finally:
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


@asynccontextmanager
async def running_ends(open_end: Callable[[str, str], AsyncEnd], *, local: str = "") -> AsyncIterator[AsyncEnds]:
    """Ends that run for as long as the block lasts, and are closed afterwards; arguments as of `AsyncEnds`."""
    ends: AsyncEnds | None = None
    try:
        async with beside() as nursery:
            ends = AsyncEnds(open_end, nursery, local=local)
            yield ends
    finally:
        if ends is not None:
            ends.close()


class TargetCore(Protocol):
    """A binding's core on the target's side."""

    @property
    def port(self) -> Port:
        """The core's port."""

    @property
    def counters(self) -> Counters:
        """What it counts."""

    @property
    def is_drained(self) -> bool:
        """Whether every connection has ended after `drain`."""

    @property
    def queue_count(self) -> int:
        """How many queues are connected."""

    def drain(self) -> None:
        """End every connection once what is under way is answered."""


class ServerPort:
    """A target's port at an address of this machine. Run `driver.run`.

    core: the binding's; udp, device: the RDMA device and its socket, where there is one.
    """

    def __init__(
        self,
        core: TargetCore,
        driver: Turning,
        watch: Watch,
        *,
        udp: UdpTransport | None = None,
        device: Device | None = None,
    ) -> None:
        self.core = core
        self.driver = driver
        self.udp = udp
        self.device = device
        self._watch = watch

    async def drain(self) -> None:
        """End every connection, and return when all have ended."""
        self.core.drain()
        self.driver.wake()
        await self._watch.wait_until(lambda: self.core.is_drained)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when `condition` holds; it is looked at after every pass."""
        await self._watch.wait_until(condition)

    def close(self) -> None:
        """Release what the port holds."""
        raise NotImplementedError


class Watch(Service):
    """A service of a driver that wakes tasks whose condition has come true."""

    def __init__(self) -> None:
        self._watchers: dict[trio.Event, Callable[[], bool]] = {}

    def pump(self, now: int) -> bool:  # noqa: ARG002 (a condition has the time if it needs it)
        """Look at every condition."""
        for event, condition in list(self._watchers.items()):
            if condition():
                event.set()
        return False

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return when `condition` holds; cancelling only stops the watching."""
        if condition():
            await trio.lowlevel.checkpoint()
            return
        event = trio.Event()
        self.add(event, condition)
        try:
            await event.wait()
        finally:
            self.remove(event)

    def add(self, event: trio.Event, condition: Callable[[], bool]) -> None:
        """Set `event` when `condition` holds."""
        self._watchers[event] = condition

    def remove(self, event: trio.Event) -> None:
        """Look after it no more."""
        self._watchers.pop(event, None)
