"""IP multicast groups beside a UDP socket: a socket of its own for each group that was joined.

A socket that is bound to one of the machine's addresses gets nothing that is sent to a group, so each group has
another, bound to the group's address and shared by everybody on this machine who joins (SO_REUSEADDR). It takes
datagrams one by one. What is sent to a group reaches this machine's members as well.

Follows Linux ip(7), ipv6(7); RFC 1112, RFC 3678.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
from ipaddress import ip_address

from transports.counters import DatagramStatistics
from transports.datagram import Address, Burst
from transports.errors import TransportError
from transports.interfaces import interface_indices


class GroupSockets:
    """The groups that one socket's owner has joined.

    address: of the socket that they stand beside; groups are joined on its interface. fileno: of that socket.
    """

    def __init__(self, address: Address, fileno: int, statistics: DatagramStatistics) -> None:
        self._address = address
        self._statistics = statistics
        self._sockets: dict[str, socket.socket] = {}
        self._epoll = select.epoll()
        self._epoll.register(fileno, select.EPOLLIN)
        self._staging = memoryview(bytearray(STAGING_BYTES))

    def fileno(self) -> int:
        """Readable when the socket or any of the groups' is."""
        return self._epoll.fileno()

    def join(self, group: str) -> None:
        """Receive what is sent to a group, in numeric text form; TransportError where that cannot be. Idempotent."""
        if group in self._sockets:
            return
        family = socket.AF_INET6 if ":" in group else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_DGRAM)
        try:
            opened.setblocking(False)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind((group, self._address[1]))
            level, option, request = membership_request(group, self._address[0])
            opened.setsockopt(level, option, request)
        except OSError as error:
            opened.close()
            reason = os.strerror(error.errno or 0).lower()
            raise TransportError(
                f"cannot join group {group} from {self._address[0]}: {reason}", errno=error.errno or 0
            ) from None
        self._sockets[group] = opened
        self._epoll.register(opened, select.EPOLLIN)

    def leave(self, group: str) -> None:
        """Close a group's socket; nothing happens for one that was not joined."""
        opened = self._sockets.pop(group, None)
        if opened is not None:
            self._epoll.unregister(opened)
            opened.close()

    def receive(self) -> Burst | None:
        """The next datagram to any group, or None; valid until the next call."""
        for group, opened in self._sockets.items():
            with contextlib.suppress(OSError):
                length, source = opened.recvfrom_into(self._staging)
                if not length:
                    self._statistics.empty += 1
                    continue
                self._statistics.received_bursts += 1
                self._statistics.received_datagrams += 1
                self._statistics.received_bytes += length
                return Burst(self._staging[:length], length, source[:2], (group, self._address[1]))
        return None

    def close(self) -> None:
        """Leave all groups; idempotent."""
        for group in list(self._sockets):
            self.leave(group)
        self._epoll.close()


def send_from_own_interface(opened: socket.socket, address: str) -> None:
    """Have what is sent to groups leave by the interface that has `address`, where there is one."""
    if opened.family == socket.AF_INET6:
        index = _interface_index(address)
        if index:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    else:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))


def membership_request(group: str, address: str) -> tuple[int, int, bytes]:
    """Level, option and value that join a group on the interface of an address."""
    if ":" in group:
        index = _interface_index(address)
        request = ip_address(group).packed + index.to_bytes(4, sys.byteorder)
        return socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request
    return socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton(address)


def _interface_index(address: str) -> int:
    """0, which lets the kernel choose, where no interface has the address."""
    try:
        return interface_indices().get(str(ip_address(address)), 0)
    except OSError:
        return 0


STAGING_BYTES = 1 << 16
