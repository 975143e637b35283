"""The plain synchronous face: a device on its UDP socket, without an event loop.

    from stacks.rdma.sync import open_device

    with open_device("127.0.0.2") as endpoint:
        qp = endpoint.create_qp()
        endpoint.connect("127.0.0.3", 7000, qp=qp)
        qp.post_send(...)
        completions = endpoint.wait_cq(qp.send_cq)

Nothing moves but inside these calls: whatever was posted leaves with the next one, together. Several devices in one
thread are opened `beside` each other, and then move together.

Raises LocalError for misuse, ConnectionFailed when there is no connection (any more). A Ctrl-C in any call leaves the
endpoint usable.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Self

from stacks.dma.contract import Dma
from stacks.rdma.attributes import PATH_MTUS
from stacks.rdma.cm import ConnectionParameters
from stacks.rdma.cm.ids import CmId, CmListener, ConnectionFailed
from stacks.rdma.completion import Cq, Wc
from stacks.rdma.device import ROCE_PORT, Device
from stacks.rdma.device_config import DeviceConfig
from stacks.rdma.endpoint import EndpointBase, settled
from stacks.rdma.qp import Qp
from stacks.runtime import LocalError
from transports.capture import CapturingTransport
from transports.clock import Clock, RealClock
from transports.datagram import DatagramTransport
from transports.errors import TransportError
from transports.interfaces import interface_mtu
from transports.pump import Pump, turn_until
from transports.routes import source_address
from transports.udp import UdpTransport

__all__ = [
    "ConnectionFailed",
    "Endpoint",
    "capturing",
    "device_on",
    "open_beside",
    "open_device",
    "open_udp",
]


def open_device(
    address: str,
    *,
    config: DeviceConfig | None = None,
    offload: bool = True,
    capture: str | Path | None = None,
    dma: Dma | None = None,
    rng: random.Random | None = None,
    beside: Endpoint | None = None,
) -> Endpoint:
    """Open the device at one of this machine's addresses, given in numeric text form; use it as a context manager.

    config: see `device_on`. offload: False sends one datagram a call, for people who watch loopback with a sniffer.
    capture: pcapng file to write, for Wireshark. dma, rng: as of `Device`.
    beside: an endpoint of the same thread; when either waits, both move.
    Raises LocalError, in one line for a person, when the address or its UDP port 4791 cannot be had.
    """
    udp = open_udp(address, offload=offload)
    try:
        device = device_on(udp, config=config, dma=dma, rng=rng)
        return Endpoint(device, capturing(udp, capture), beside=beside)
    except BaseException:
        udp.close()
        raise


class Endpoint(EndpointBase):
    """A device on a transport with a file descriptor, which is closed with it; made by `open_device`.

    One thread at a time may use it.
    """

    def __init__(
        self,
        device: Device,
        transport: DatagramTransport,
        *,
        clock: Clock | None = None,
        beside: Endpoint | None = None,
    ) -> None:
        super().__init__(device)
        self.transport = transport
        self._use(transport)
        self._clock = clock or RealClock()
        self._pump = Pump(device, transport, self._clock, [self.ids])
        self._pumps: list[Pump] = beside._pumps if beside is not None else []  # noqa: SLF001 (of the same class)
        self._pumps.append(self._pump)
        self._is_closed = False

    # Moving

    def pump(self) -> bool:
        """Make one pass without waiting: take what came, send what was posted. True when anything was done."""
        did = False
        for pump in self._pumps:
            did |= pump.pump()
        return did

    def poll(self, spins: int = 1) -> bool:
        """Make the short pass of busy polling: send what was posted, then take one burst (`Pump.poll`)."""
        did = False
        for pump in self._pumps:
            did |= pump.poll(spins)
        return did

    def wait(self, timeout_ns: int | None = None, *, wake_fd: int | None = None) -> None:
        """Sleep until a pass is due, for `timeout_ns` at most, or until the file `wake_fd` is readable."""
        self._pump.wait(timeout_ns, beside=self._pumps, wake_fd=wake_fd)

    def wait_until(self, condition: Callable[[], bool], *, timeout_ns: int | None = None) -> bool:
        """Make passes until `condition` holds, for `timeout_ns` at most; whether it holds."""
        return turn_until(condition, turn=self.pump, wait=self.wait, clock=self._clock, timeout_ns=timeout_ns)

    # Completions

    def poll_cq(self, cq: Cq, max_entries: int = 16) -> list[Wc]:
        """Make a short pass, then take what completed, `max_entries` at most. In a loop this is busy polling."""
        self.poll()
        return cq.poll(max_entries)

    def wait_cq(self, cq: Cq, max_entries: int = 16, *, timeout_ns: int | None = None) -> list[Wc]:
        """Sleep until something completed, and take it, `max_entries` at most; nothing after `timeout_ns`.

        Raises LocalError when the queue overflowed and is empty, so that nothing can come any more.
        """
        self.pump()
        self.wait_until(lambda: len(cq) > 0 or cq.is_broken, timeout_ns=timeout_ns)
        if cq.is_broken and not len(cq):
            raise LocalError("the completion queue overflowed")
        return cq.poll(max_entries)

    # Connections

    def connect(
        self, host: str, port: int, *, qp: Qp, private_data: bytes = b"", parameters: ConnectionParameters | None = None
    ) -> CmId:
        """Connect a queue pair in RESET or INIT to whoever listens on `port` of the device at `host`, and wait for it.

        host: numeric text form. private_data: at most 56 bytes, and the answer's are the result's `private_data`.
        parameters: None for the defaults with the largest path MTU.
        Raises ConnectionFailed with the cause, LocalError for arguments that cannot be.
        """
        cm_id = self.start_connect(host, port, qp=qp, private_data=private_data, parameters=parameters)
        return self._wait_settled(cm_id)

    def start_connect(
        self, host: str, port: int, *, qp: Qp, private_data: bytes = b"", parameters: ConnectionParameters | None = None
    ) -> CmId:
        """As `connect`, without waiting: `CmId.is_settled` tells when."""
        return self.ids.connect(host, port, qp=qp, private_data=private_data, parameters=parameters)

    def next_request(self, listener: CmListener, *, timeout_ns: int | None = None) -> CmId:
        """Wait for the next request, to be accepted or rejected; TimeoutError after `timeout_ns`."""
        if not self.wait_until(lambda: bool(listener.requests), timeout_ns=timeout_ns):
            raise TimeoutError(f"nobody asked for port {listener.port} of {self.address}")
        return listener.requests.popleft()

    def accept(
        self, request: CmId, *, qp: Qp, private_data: bytes = b"", parameters: ConnectionParameters | None = None
    ) -> CmId:
        """Accept a request with a queue pair in RESET or INIT, and wait until the connection is established.

        private_data: at most 196 bytes. Raises ConnectionFailed when the peer has withdrawn or does not answer.
        """
        self.ids.accept(request, qp=qp, private_data=private_data, parameters=parameters)
        return self._wait_settled(request)

    def reject(self, request: CmId, *, private_data: bytes = b"") -> None:
        """Refuse a request; private_data: at most 148 bytes."""
        self.ids.reject(request, private_data=private_data)
        self.pump()

    def disconnect(self, cm_id: CmId) -> None:
        """End a connection and wait until the peer knows or is given up; its queue pair goes to ERR. Idempotent."""
        self.ids.disconnect(cm_id)
        self.pump()
        self.wait_until(lambda: cm_id.failure is not None)

    def close(self, *, linger_ns: int = 500_000_000) -> None:
        """End every connection, waiting `linger_ns` at most for the peers to know, and close the socket. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self.ids.disconnect_all()
            self.pump()
            self.wait_until(lambda: not len(self.ids), timeout_ns=linger_ns)
        finally:
            self._pumps.remove(self._pump)
            self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Who leaves in a hurry still tells the peers, once.
        if kind is None:
            self.close()
        else:
            self.close(linger_ns=0)

    def _wait_settled(self, cm_id: CmId) -> CmId:
        try:
            self.wait_until(lambda: cm_id.is_settled)
        except BaseException:
            self.ids.disconnect(cm_id)
            raise
        return settled(cm_id)


# What those need who put a core of their own between device and pump


def open_udp(address: str, *, offload: bool = True) -> UdpTransport:
    """The RoCE socket of an address of ours; LocalError, in one line for a person, when it cannot be had."""
    try:
        return UdpTransport(address, ROCE_PORT, offload=offload)
    except TransportError as error:
        if error.errno == errno.EADDRINUSE:
            raise LocalError(
                f"UDP port {ROCE_PORT} of {address} is taken; one address is one device, so use another,"
                " such as 127.0.0.3"
            ) from error
        raise LocalError(str(error)) from error


def open_beside(remote: str, *, offload: bool = True) -> UdpTransport:
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


def device_on(
    udp: UdpTransport,
    *,
    config: DeviceConfig | None = None,
    dma: Dma | None = None,
    rng: random.Random | None = None,
    remote: str = "",
) -> Device:
    """A device at a socket's address that asks no more of it than it can.

    config: an upper limit; `segment_limit` is lowered to the socket's, and the connection manager's `max_path_mtu` to
    what fits the address's interface, as Linux rxe has it.
    remote: the peer, in numeric text form, if there is only one; where it is on this machine, packets go over loopback,
    but it takes what fits the interface that has its address.
    """
    wanted = config or DeviceConfig()
    address = udp.address[0]
    path_mtu = min(
        fitting_path_mtu(each) for each in (address, remote) if each == address or (each and interface_mtu(each))
    )
    fitted = replace(
        wanted,
        segment_limit=min(wanted.segment_limit, udp.segment_limit),
        cm=replace(wanted.cm, max_path_mtu=min(wanted.cm.max_path_mtu, path_mtu)),
    )
    return Device(address, config=fitted, dma=dma, rng=rng)


def fitting_path_mtu(address: str) -> int:
    """The largest path MTU in bytes for the interface that has `address`; as on Ethernet if none has."""
    return largest_path_mtu(interface_mtu(address) or ETHERNET_MTU)


def largest_path_mtu(interface_mtu_bytes: int) -> int:
    """The largest path MTU in bytes whose packets an interface takes, headers and all; 256 when none fits."""
    room = interface_mtu_bytes - RXE_MAX_HEADER_BYTES
    return max((mtu for mtu in PATH_MTUS if mtu <= room), default=PATH_MTUS[0])


def capturing(transport: DatagramTransport, path: str | Path | None) -> DatagramTransport:
    """The transport, inside one that writes a capture when `path` is given; LocalError when that cannot be created."""
    if path is None:
        return transport
    try:
        return CapturingTransport(transport, path, RealClock())
    except TransportError as error:
        raise LocalError(str(error)) from error


LOOPBACK_ADDRESSES = 2000
ETHERNET_MTU = 1500
RXE_MAX_HEADER_BYTES = 80
"""What rxe takes off an interface's MTU (rxe_hdr.h, RXE_MAX_HDR_LENGTH)."""
