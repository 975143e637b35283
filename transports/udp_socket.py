"""Socket options and ancillary data of a UDP socket, as Linux wants them."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from collections.abc import Iterator
from typing import Protocol

from transports.datagram import Address
from transports.errors import TransportError

Ancillary = list[tuple[int, int, bytes]]
"""Control messages as `socket.sendmsg` takes them: level, type, data."""


class Configurable(Protocol):
    """The part of a socket that takes options."""

    @property
    def family(self) -> int:
        """As `socket.socket.family`."""

    def setsockopt(self, level: int, optname: int, value: int, /) -> None:
        """As `socket.socket.setsockopt`."""


class ErrorQueue(Configurable, Protocol):
    """The part of a socket that reports errors."""

    def recvmsg(
        self, bufsize: int, ancbufsize: int, flags: int, /
    ) -> tuple[bytes, list[tuple[int, int, bytes]], int, Address]:
        """As `socket.socket.recvmsg`."""


def open_socket(address: str, port: int) -> socket.socket:
    """A non-blocking UDP socket bound to `address`, unconnected, with DF, ECN and error reports switched on.

    Exclusive: without SO_REUSEADDR and SO_REUSEPORT nobody else gets the same address and port.
    TransportError when `address` is not numeric or not of this machine, or the port is taken or forbidden.
    """
    try:
        if not 0 <= port <= MAX_PORT:  # getaddrinfo would wrap it round
            raise OverflowError
        info = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    except (socket.gaierror, OverflowError, UnicodeError):
        raise TransportError(f"{address!r} port {port} is no numeric IPv4 or IPv6 address and port") from None
    family, kind, protocol, _, name = info[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setblocking(False)
        for level, option in OPTIONS[family]:
            opened.setsockopt(level, option, 1)
        set_path_mtu_discovery(opened, PMTUDISC_DO)
        opened.bind(name)
    except OSError as error:
        opened.close()
        raise TransportError(explain_bind(error, address, port), errno=error.errno or 0) from None
    return opened


def explain_bind(error: OSError, address: str, port: int) -> str:
    """One line for a failed bind: what is wrong and what to do."""
    if error.errno == errno.EADDRINUSE:
        return (
            f"UDP port {port} of {address} is taken by another process: stop it (ss -lunp names it) "
            "or use another address of this machine"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address} is not an address of this machine (ip address lists them; all of 127.0.0.0/8 work)"
    if error.errno == errno.EACCES:
        return f"UDP port {port} needs privileges: use a port from 1024 on"
    return f"cannot open UDP port {port} of {address}: {os.strerror(error.errno or 0)}"


def enable_gro(opened: socket.socket) -> bool:
    """Have the kernel merge equal datagrams on receive; False when it does not know how (before Linux 5.0)."""
    try:
        opened.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
    except OSError:
        return False
    return True


def is_ipv6(opened: Configurable) -> bool:
    """Whether the socket's addresses are IPv6."""
    return opened.family == socket.AF_INET6


def set_path_mtu_discovery(opened: Configurable, mode: int) -> None:
    """Choose between PMTUDISC_DO (DF, obey the path MTU learnt) and PMTUDISC_PROBE (DF, ignore it)."""
    if is_ipv6(opened):
        opened.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, mode)
    else:
        opened.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, mode)


@contextlib.contextmanager
def probing(opened: Configurable) -> Iterator[None]:
    """Within the block datagrams may exceed the path MTU learnt so far; still with DF."""
    set_path_mtu_discovery(opened, PMTUDISC_PROBE)
    try:
        yield
    finally:
        set_path_mtu_discovery(opened, PMTUDISC_DO)


def ancillary_for(segment_bytes: int, ecn: int, *, is_ipv6: bool) -> Ancillary:
    """The control messages of a send: segment size (0 for none) and ECN bits (0 for none)."""
    ancillary: Ancillary = []
    if segment_bytes:
        ancillary.append((socket.IPPROTO_UDP, UDP_SEGMENT, segment_bytes.to_bytes(2, sys.byteorder)))
    if ecn:
        level, option = (socket.IPPROTO_IPV6, socket.IPV6_TCLASS) if is_ipv6 else (socket.IPPROTO_IP, socket.IP_TOS)
        ancillary.append((level, option, ecn.to_bytes(4, sys.byteorder)))
    return ancillary


def parse_ancillary(ancillary: tuple[tuple[int, int, bytes], ...]) -> tuple[int, int]:
    """Segment size (0 when nothing was merged) and ECN bits from the control messages of a receive."""
    segment_bytes = ecn = 0
    for level, option, data in ancillary:
        if (level, option) == (socket.IPPROTO_UDP, UDP_GRO):
            segment_bytes = int.from_bytes(data, sys.byteorder)
        elif (level, option) in TRAFFIC_CLASSES:
            ecn = int.from_bytes(data, sys.byteorder) & 3
    return segment_bytes, ecn


def read_error_queue(opened: ErrorQueue) -> Iterator[Address]:
    """Empty the socket's error queue; yields where the datagrams went that came back as ICMP errors."""
    while True:
        try:
            _, ancillary, _, destination = opened.recvmsg(0, ERROR_ANCILLARY_BYTES, socket.MSG_ERRQUEUE)
        except OSError:
            return
        for level, option, data in ancillary:
            # struct sock_extended_err: errno (4 bytes), then the origin; 2 and 3 are ICMP and ICMPv6, 1 is this host.
            if (level, option) in ERROR_REPORTS and data[4] in (2, 3):
                yield destination[:2]


class BufferGrant:
    """What a socket was granted of the buffers that it asked for."""

    def __init__(self, opened: socket.socket, receive_bytes: int, send_bytes: int) -> None:
        self._socket = opened
        self.receive_bytes, receive_advice = self._ask(socket.SO_RCVBUF, receive_bytes, "receive", "rmem_max")
        self.send_bytes, send_advice = self._ask(socket.SO_SNDBUF, send_bytes, "send", "wmem_max")
        self.advice = "; ".join(filter(None, (receive_advice, send_advice)))

    def read_drops(self) -> int:
        """Datagrams dropped because the receive buffer was full, since the socket was opened."""
        size = 4 * (MEMINFO_DROPS + 1)
        return int.from_bytes(self._socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, size)[-4:], sys.byteorder)

    def _ask(self, option: int, wanted_bytes: int, name: str, sysctl: str) -> tuple[int, str]:
        if wanted_bytes:
            self._socket.setsockopt(socket.SOL_SOCKET, option, wanted_bytes)
        granted = self._socket.getsockopt(socket.SOL_SOCKET, option)
        # The kernel doubles what is asked for, to cover its bookkeeping, after cutting it to the sysctl.
        if granted >= 2 * wanted_bytes:
            return granted, ""
        advice = f"{name} buffer: {granted // 2} of {wanted_bytes} bytes (sysctl -w net.core.{sysctl}={wanted_bytes})"
        return granted, advice


# Linux values that the socket module lacks: <linux/udp.h>, <linux/in.h>, <linux/in6.h>, <asm-generic/socket.h>.
UDP_NO_CHECK6_RX, UDP_SEGMENT, UDP_GRO = 102, 103, 104
IP_MTU_DISCOVER, IP_RECVERR = 10, 11
IPV6_MTU_DISCOVER, IPV6_RECVERR = 23, 25
PMTUDISC_DO, PMTUDISC_PROBE = 2, 3
MAX_PORT = 0xFFFF
SO_MEMINFO, MEMINFO_DROPS = 55, 8

OPTIONS = {
    socket.AF_INET: ((socket.IPPROTO_IP, socket.IP_RECVTOS), (socket.IPPROTO_IP, IP_RECVERR)),
    socket.AF_INET6: (
        (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY),
        (socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS),
        (socket.IPPROTO_IPV6, IPV6_RECVERR),
        # Linux drops datagrams without a UDP checksum otherwise, and rxe sends none: RoCE has the ICRC (RFC 6935).
        (socket.IPPROTO_UDP, UDP_NO_CHECK6_RX),
    ),
}
TRAFFIC_CLASSES = ((socket.IPPROTO_IP, socket.IP_TOS), (socket.IPPROTO_IPV6, socket.IPV6_TCLASS))
ERROR_REPORTS = ((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR))
ANCILLARY_BYTES = 2 * socket.CMSG_SPACE(4)
ERROR_ANCILLARY_BYTES = 512
