"""UDP sockets as a datagram transport: batched with segmentation offload, DF set, ECN both ways.

One `sendmsg` carries up to 64 equal datagrams (UDP_SEGMENT as ancillary data of that send), one `recvmsg_into` takes
what the kernel merged (UDP_GRO) into a staging buffer that is reused. Per datagram this costs a tenth of a call each.

The socket is never connected, and path MTU discovery is on (DF): only then does Linux send Identification 0, and
0, 1, 2, ... in the segments of one send. Whoever computes a checksum over the IPv4 Identification (RoCEv2's ICRC) may
rely on it, as long as a transmit has at most `segment_limit` segments and 65,507 bytes; a larger one is split, and
every part starts again at 0.

Left out: IPv4 options, DSCP, several addresses on one socket. Follows Linux ip(7), ipv6(7), udp(7), cmsg(3); RFC 3168.
"""

from __future__ import annotations

import contextlib
import socket

import trio

from transports.counters import DatagramStatistics
from transports.datagram import Address, Burst, Transmit
from transports.udp_groups import GroupSockets, send_from_own_interface
from transports.udp_send import UdpSender
from transports.udp_socket import ANCILLARY_BYTES, BufferGrant, enable_gro, open_socket, parse_ancillary


class UdpTransport:
    """A bound UDP socket. Implements `transports.datagram.DatagramTransport`.

    address: numeric IPv4 or IPv6 address of this machine; port: 0 lets the kernel choose.
    offload: False sends and receives one datagram a call, for people who watch loopback with a sniffer (which sees
        segmented sends in one piece) and kernels without the feature.
    receive_buffer_bytes, send_buffer_bytes: what to ask the kernel for; 0 keeps its default. See `buffer_advice`.

    TransportError when the address is not numeric or not of this machine, or the port is taken.
    """

    def __init__(
        self,
        address: str,
        port: int,
        *,
        offload: bool = True,
        receive_buffer_bytes: int = 4 << 20,
        send_buffer_bytes: int = 4 << 20,
    ) -> None:
        self._socket = open_socket(address, port)
        send_from_own_interface(self._socket, address)
        self._is_ipv6 = self._socket.family == socket.AF_INET6
        self._grant = BufferGrant(self._socket, receive_buffer_bytes, send_buffer_bytes)
        self.statistics = DatagramStatistics()
        offload = offload and enable_gro(self._socket)
        self._sender = UdpSender(self._socket, self.statistics, offload=offload)
        self._address: Address = self._socket.getsockname()[:2]
        self._ancillary_in: dict[tuple[tuple[int, int, bytes], ...], tuple[int, int]] = {}
        self._last_ancillary: list[tuple[int, int, bytes]] | None = None
        self._groups: GroupSockets | None = None
        self._segment_bytes = 0
        self._skipped = 0
        self._sources: dict[object, Address] = {}
        staging = memoryview(bytearray(STAGING_BYTES))
        self._staging = staging
        self._staging_list = [staging]
        self._recvmsg_into = self._socket.recvmsg_into
        self._burst = Burst(staging[:0], 1, self._address, self._address, staging=staging)

    @property
    def address(self) -> Address:
        """The bound local address."""
        return self._address

    @property
    def segment_limit(self) -> int:
        """The most segments that leave in one send, with Identifications 0, 1, 2, ...; 1 without offload."""
        return self._sender.segment_limit

    @property
    def receive_buffer_bytes(self) -> int:
        """The receive buffer granted, as the kernel accounts it (bookkeeping included)."""
        return self._grant.receive_bytes

    @property
    def send_buffer_bytes(self) -> int:
        """The send buffer granted, as the kernel accounts it (bookkeeping included)."""
        return self._grant.send_bytes

    @property
    def buffer_advice(self) -> str:
        """One line that says which sysctl raises a buffer smaller than asked for; empty when all was granted."""
        return self._grant.advice

    @property
    def kernel_drops(self) -> int:
        """Datagrams that the kernel threw away because the receive buffer was full. A system call."""
        return self._grant.read_drops()

    @property
    def last_unreachable(self) -> Address | None:
        """Where the last datagram that brought an ICMP error back went: a hint for error messages, never proof."""
        return self._sender.last_unreachable

    def fileno(self) -> int:
        """The socket's file descriptor, for select and poll."""
        return self._socket.fileno()

    def send(self, transmit: Transmit) -> bool:
        """Send all datagrams of `transmit`; False when the socket is full: offer the same object again later.

        Datagrams that cannot leave for another reason count as dropped, like any loss on the way.
        """
        return self._sender.send(transmit)

    def receive(self) -> Burst | None:
        """The next burst, or None when nothing is there. The same object each time: valid until the next call."""
        try:
            length, ancillary, flags, source = self._recvmsg_into(self._staging_list, ANCILLARY_BYTES)
        except BlockingIOError:
            return None if self._groups is None else self._groups.receive()
        except OSError as error:
            self._sender.note_error(error)
            return self._receive_behind()
        if flags & TRUNCATED or not length:
            self._count_unusable(length)
            return self._receive_behind()
        if ancillary != self._last_ancillary:
            self._last_ancillary = ancillary
            self._segment_bytes, self._burst.ecn = self._read_ancillary(tuple(ancillary))
        burst, segment_bytes, statistics = self._burst, self._segment_bytes, self.statistics
        burst.view = self._staging[:length]
        burst.source = self._short_source(source) if self._is_ipv6 else source
        burst.received_ns = 0
        statistics.received_bursts += 1
        statistics.received_bytes += length
        if segment_bytes:
            burst.segment_bytes = segment_bytes
            statistics.received_datagrams += -(-length // segment_bytes)
        else:
            burst.segment_bytes = length
            statistics.received_datagrams += 1
        return burst

    async def wait_readable(self) -> None:
        """Return when `receive` may yield something."""
        while True:
            try:
                await trio.lowlevel.wait_readable(self._socket if self._groups is None else self._groups.fileno())
            except trio.ClosedResourceError:
                # A first group was joined, and there is more to wait for; unless the socket is gone.
                if self._socket.fileno() < 0:
                    raise
            else:
                return

    async def wait_writable(self) -> None:
        """Return when `send` may succeed."""
        while True:
            try:
                await trio.lowlevel.wait_writable(self._socket)
            except trio.ClosedResourceError:
                if self._socket.fileno() < 0:
                    raise
            else:
                return

    # Multicast

    def join(self, group: str) -> None:
        """Receive what is sent to a group on the interface of the socket's address; TransportError if that fails."""
        if self._groups is None:
            self._groups = GroupSockets(self._address, self._socket.fileno(), self.statistics)
            with contextlib.suppress(RuntimeError):
                trio.lowlevel.notify_closing(self._socket)
        self._groups.join(group)

    def leave(self, group: str) -> None:
        """The inverse of `join`."""
        if self._groups is not None:
            self._groups.leave(group)

    def group_fileno(self) -> int | None:
        """What else to wait for while there are groups."""
        return None if self._groups is None else self._groups.fileno()

    def close(self) -> None:
        """Close the socket; idempotent. Tasks that wait for it get trio.ClosedResourceError."""
        if self._groups is not None:
            groups, self._groups = self._groups, None
            with contextlib.suppress(RuntimeError):
                trio.lowlevel.notify_closing(groups.fileno())
            groups.close()
        if self._socket.fileno() >= 0:
            with contextlib.suppress(RuntimeError):  # outside of trio nobody can be waiting
                trio.lowlevel.notify_closing(self._socket)
            self._socket.close()

    def _receive_behind(self) -> Burst | None:
        """The next burst behind something unusable, a stream of which shall not hold the caller."""
        self._skipped += 1
        try:
            return self.receive() if self._skipped < SKIP_LIMIT else None
        finally:
            self._skipped = 0

    def _count_unusable(self, length: int) -> None:
        if length:
            self.statistics.truncated += 1
        else:
            self.statistics.empty += 1

    def _read_ancillary(self, ancillary: tuple[tuple[int, int, bytes], ...]) -> tuple[int, int]:
        """Segment size and ECN bits; most bursts say the same as the one before, and do not ask."""
        known = self._ancillary_in.get(ancillary)
        if known is None:
            if len(self._ancillary_in) >= CACHE_LIMIT:
                self._ancillary_in.clear()
            known = self._ancillary_in[ancillary] = parse_ancillary(ancillary)
        return known

    def _short_source(self, source: tuple[str, int]) -> Address:
        # The kernel's form of an IPv6 address has four members; cores compare the first two.
        short = self._sources.get(source)
        if short is None:
            if len(self._sources) >= CACHE_LIMIT:
                self._sources.clear()
            short = self._sources[source] = source[:2]
        return short


STAGING_BYTES = 1 << 16
CACHE_LIMIT = 1024
SKIP_LIMIT = 16
"""Unusable datagrams that one `receive` skips, so that a stream of them cannot hold it."""
TRUNCATED = int(socket.MSG_TRUNC)
"""As a plain integer: testing the enumeration's member costs half a microsecond for each burst."""
