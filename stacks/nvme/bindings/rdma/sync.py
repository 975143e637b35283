"""NVMe over RDMA without an event loop: a device on a UDP socket, and a pump to turn by hand."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from ipaddress import ip_address

from stacks.nvme.bindings.rdma.initiator import RdmaInitiator, RdmaInitiatorConfig
from stacks.rdma import ROCE_PORT, Device, DeviceConfig
from stacks.runtime import LocalError
from transports.clock import RealClock
from transports.datagram import DatagramTransport
from transports.errors import TransportError
from transports.pump import Pump
from transports.routes import source_address
from transports.udp import UdpTransport

Wrap = Callable[[DatagramTransport], DatagramTransport]
"""Puts something around a transport, such as `transports.capture.CapturingTransport`."""


class RdmaEnd:
    """A device on its UDP socket, to initiate from.

    remote: numeric address of the target, which decides the local one unless `local` is given.
    offload: False sends one datagram a call, for people who watch loopback with a sniffer.
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
    ) -> None:
        self.udp = open_beside(remote, offload=offload) if not local else open_udp(local, offload=offload)
        self.transport: DatagramTransport = wrap(self.udp) if wrap else self.udp
        self.clock = RealClock()
        self.device = open_device(self.udp)
        self.initiator = RdmaInitiator(self.device, config=config)
        self.pump = Pump(self.initiator, self.transport, self.clock)

    def run_until(self, condition: Callable[[], bool], *, timeout_ns: int) -> bool:
        """Turn the pump until `condition` holds, or for `timeout_ns`; whether it holds."""
        end = self.clock.now() + timeout_ns
        while not condition():
            if not self.pump.pump():
                remaining = end - self.clock.now()
                if remaining <= 0:
                    return False
                self.pump.wait(remaining)
        return True

    def close(self) -> None:
        """Close the socket; connections that were not ended are left to time out."""
        self.transport.close()


def open_device(udp: UdpTransport) -> Device:
    """A device at a socket's address."""
    return Device(udp.address[0], config=DeviceConfig(segment_limit=udp.segment_limit))


def open_udp(address: str, *, offload: bool) -> UdpTransport:
    """The RoCE socket of an address of ours; LocalError when it cannot be had."""
    try:
        return UdpTransport(address, ROCE_PORT, offload=offload)
    except TransportError as error:
        if error.errno == errno.EADDRINUSE:
            raise LocalError(
                f"UDP port {ROCE_PORT} of {address} is taken; one address is one device, so use another,"
                " such as 127.0.0.3"
            ) from error
        raise LocalError(str(error)) from error


def open_beside(remote: str, *, offload: bool) -> UdpTransport:
    """The RoCE socket of an address from which `remote` is reached; on IPv4 loopback any that is free."""
    if not (ip_address(remote).is_loopback and ":" not in remote):
        try:
            return open_udp(source_address(remote), offload=offload)
        except TransportError as error:
            raise LocalError(str(error)) from error
    # All of 127.0.0.0/8 is ours. Processes that look at the same moment start at different places.
    for step in range(LOOPBACK_ADDRESSES):
        number = (os.getpid() * 7 + step) % LOOPBACK_ADDRESSES
        address = f"127.0.{1 + number // 250}.{1 + number % 250}"
        if address == remote:
            continue
        try:
            return UdpTransport(address, ROCE_PORT, offload=offload)
        except TransportError as error:
            if error.errno != errno.EADDRINUSE:
                raise LocalError(str(error)) from error
    raise LocalError(f"UDP port {ROCE_PORT} is taken on every loopback address that was tried")


LOOPBACK_ADDRESSES = 2000
