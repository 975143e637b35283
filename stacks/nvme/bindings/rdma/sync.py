"""NVMe over RDMA without an event loop: a device on a UDP socket, and a pump to turn by hand."""

from __future__ import annotations

from collections.abc import Callable

from stacks.nvme.bindings.rdma.initiator import RdmaInitiator, RdmaInitiatorConfig
from stacks.nvme.bindings.sync import End
from stacks.rdma import DeviceConfig
from stacks.rdma.sync import device_on, open_beside, open_udp
from transports.clock import RealClock
from transports.datagram import DatagramTransport
from transports.pump import Pump

__all__ = ["DeviceConfig", "RdmaEnd", "Wrap"]

Wrap = Callable[[DatagramTransport], DatagramTransport]
"""Puts something around a transport, such as `transports.capture.CapturingTransport`."""


class RdmaEnd(End):
    """A device on its UDP socket, to initiate from.

    remote: numeric address of the target, which decides the local one unless `local` is given.
    offload: False sends one datagram a call, for people who watch loopback with a sniffer.
    device: how the device is made; None for the defaults.
    Raises LocalError, in one line for a person, when there is no address or UDP port 4791 is taken.
    """

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
        own, clock = device_on(self.udp, config=device, remote=remote), RealClock()
        core = RdmaInitiator(own, config=config)
        super().__init__(core, Pump(core, self.transport, clock), clock, device=own)

    def close(self) -> None:
        """Close the socket; connections that were not ended are left to time out."""
        self.transport.close()
