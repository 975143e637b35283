"""NVMe over RDMA under trio: devices on UDP sockets, each with a driver to run in a nursery."""

from __future__ import annotations

from collections.abc import Callable

import trio

from stacks.nvme.bindings.rdma.initiator import RdmaInitiator, RdmaInitiatorConfig
from stacks.nvme.bindings.rdma.sync import Wrap
from stacks.nvme.bindings.rdma.target import RdmaTarget
from stacks.nvme.bindings.rdma.target_configuration import RdmaTargetConfig
from stacks.nvme.host import Transfer
from stacks.nvme.target import Target
from stacks.rdma import DeviceConfig
from stacks.rdma.sync import device_on, open_beside, open_udp
from transports.clock import RealClock
from transports.datagram import DatagramTransport
from transports.driver import Driver, Service


class RdmaAsyncEnd:
    """A device to initiate from; arguments as of `sync.RdmaEnd`. Run `driver.run` beside whatever uses it."""

    def __init__(
        self,
        remote: str,
        *,
        local: str = "",
        offload: bool = True,
        wrap: Wrap | None = None,
        config: RdmaInitiatorConfig | None = None,
        device: DeviceConfig | None = None,
    ) -> None:
        self.udp = open_beside(remote, offload=offload) if not local else open_udp(local, offload=offload)
        self.transport: DatagramTransport = wrap(self.udp) if wrap else self.udp
        self.clock = RealClock()
        self.device = device_on(self.udp, config=device, remote=remote)
        self.initiator = RdmaInitiator(self.device, config=config)
        self._watch = Watch()
        self.driver = Driver(self.initiator, self.transport, self.clock, [self._watch])
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
        """Close the socket."""
        self.transport.close()


class RdmaServer:
    """A target's port at an address of this machine. Run `driver.run`; executor: a service that runs the stores.

    device: how the device is made; None for the defaults. LocalError when the address cannot be had.
    """

    def __init__(
        self,
        target: Target,
        host: str,
        port: int,
        *,
        executor: Service,
        offload: bool = True,
        wrap: Wrap | None = None,
        config: RdmaTargetConfig | None = None,
        device: DeviceConfig | None = None,
    ) -> None:
        self.udp = open_udp(host, offload=offload)
        self.transport: DatagramTransport = wrap(self.udp) if wrap else self.udp
        self.device = device_on(self.udp, config=device)
        self.core = RdmaTarget(self.device, target, port=port, config=config)
        self._watch = Watch()
        self.driver = Driver(self.core, self.transport, RealClock(), [executor, self._watch])

    async def drain(self) -> None:
        """End every connection, and return when all have ended."""
        self.core.drain()
        self.driver.wake()
        await self._watch.wait_until(lambda: self.core.is_drained)

    def close(self) -> None:
        """Close the socket."""
        self.transport.close()


class Watch:
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
