"""NVMe over RDMA under trio: devices on UDP sockets, each with a driver to run in a nursery."""

from __future__ import annotations

from collections.abc import Collection

from stacks.nvme.bindings.aio import AsyncEnd, ServerPort, Watch
from stacks.nvme.bindings.rdma.initiator import RdmaInitiator, RdmaInitiatorConfig
from stacks.nvme.bindings.rdma.sync import Wrap
from stacks.nvme.bindings.rdma.target import RdmaTarget
from stacks.nvme.bindings.rdma.target_configuration import RdmaTargetConfig
from stacks.nvme.target import Target
from stacks.rdma import DeviceConfig
from stacks.rdma.sync import device_on, open_beside, open_udp
from stacks.runtime import LocalError
from transports.clock import RealClock
from transports.datagram import DatagramTransport
from transports.driver import Driver, Service


class RdmaAsyncEnd(AsyncEnd):
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
        own, clock, watch = device_on(self.udp, config=device, remote=remote), RealClock(), Watch()
        core = RdmaInitiator(own, config=config)
        super().__init__(core, Driver(core, self.transport, clock, [watch]), clock, watch, device=own)

    def close(self) -> None:
        """Close the socket."""
        self.transport.close()


class RdmaServer(ServerPort):
    """A target's port at an address of this machine. Run `driver.run`; executor: a service that runs the stores.

    portid, serves: see `Target.add_port`. device: how the device is made; None for the defaults.
    LocalError when the address cannot be had.
    """

    def __init__(
        self,
        target: Target,
        host: str,
        port: int,
        *,
        executor: Service,
        portid: int = 0,
        serves: Collection[str] | None = None,
        offload: bool = True,
        wrap: Wrap | None = None,
        config: RdmaTargetConfig | None = None,
        device: DeviceConfig | None = None,
    ) -> None:
        udp = open_udp(host, offload=offload)
        self.transport: DatagramTransport = wrap(udp) if wrap else udp
        own, watch = device_on(udp, config=device), Watch()
        try:
            core = RdmaTarget(own, target, port=port, portid=portid, serves=serves, config=config)
        except LocalError:
            self.transport.close()
            raise
        driver = Driver(core, self.transport, RealClock(), [executor, watch])
        super().__init__(core, driver, watch, udp=udp, device=own)

    def close(self) -> None:
        """Close the socket."""
        self.transport.close()
