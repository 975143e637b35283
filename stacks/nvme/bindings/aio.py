"""What the bindings' ends have in common under trio: waiting for what a core does, and ports that drain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from stacks.nvme.bindings.sync import Initiator
from stacks.nvme.host import Transfer
from stacks.rdma import Device
from stacks.runtime import Counters
from transports.clock import Clock
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
        self._watch = watch
        self._waiting = 0

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return when `condition` holds; it is looked at after every pass."""
        self.driver.wake()
        await self._watch.wait_until(condition)

    async def wait_for(self, transfer: Transfer) -> None:
        """Return when a transfer that was just started is over; when cancelled, it goes on alone."""
        task = trio.lowlevel.current_task()

        def finished(_: Transfer) -> None:
            trio.lowlevel.reschedule(task)

        def abandon(_: object) -> trio.lowlevel.Abort:
            transfer.done = None
            return trio.lowlevel.Abort.SUCCEEDED

        transfer.done = finished
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


class TargetCore(Protocol):
    """A binding's core on the target's side."""

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
        self._watchers[event] = condition
        try:
            await event.wait()
        finally:
            del self._watchers[event]
