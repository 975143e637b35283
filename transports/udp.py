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
import errno
import socket
from collections.abc import Sequence

import trio

from transports.counters import DatagramStatistics
from transports.datagram import Address, Buffer, Burst, Transmit
from transports.errors import TransportError
from transports.segments import MAX_SEGMENTS, MAX_UDP_PAYLOAD_BYTES, cut, total_bytes
from transports.udp_socket import (
    ANCILLARY_BYTES,
    Ancillary,
    BufferGrant,
    ancillary_for,
    enable_gro,
    open_socket,
    parse_ancillary,
    probing,
    read_error_queue,
)


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
        self._is_ipv6 = self._socket.family == socket.AF_INET6
        self._grant = BufferGrant(self._socket, receive_buffer_bytes, send_buffer_bytes)
        self._segments = offload and enable_gro(self._socket)
        self.statistics = DatagramStatistics()
        self.last_unreachable: Address | None = None
        """Where the last datagram that brought an ICMP error back went: a hint for error messages, never proof."""
        self._address: Address = self._socket.getsockname()[:2]
        self._ancillary_out: dict[int, Ancillary] = {}
        self._ancillary_in: dict[tuple[tuple[int, int, bytes], ...], tuple[int, int]] = {}
        self._sources: dict[object, Address] = {}
        self._partial: tuple[Transmit, int] | None = None
        staging = memoryview(bytearray(STAGING_BYTES))
        self._staging = staging
        self._staging_list = [staging]
        self._sendmsg = self._socket.sendmsg
        self._recvmsg_into = self._socket.recvmsg_into
        self._burst = Burst(staging[:0], 1, self._address, self._address)

    @property
    def address(self) -> Address:
        """The bound local address."""
        return self._address

    @property
    def segment_limit(self) -> int:
        """The most segments that leave in one send, with Identifications 0, 1, 2, ...; 1 without offload."""
        return MAX_SEGMENTS if self._segments else 1

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

    def fileno(self) -> int:
        """The socket's file descriptor, for select and poll."""
        return self._socket.fileno()

    def send(self, transmit: Transmit) -> bool:
        """Send all datagrams of `transmit`; False when the socket is full: offer the same object again later.

        Datagrams that cannot leave for another reason count as dropped, like any loss on the way.
        """
        segment_bytes = transmit.segment_bytes
        if not self._segments or transmit.is_probe or self._partial is not None:
            return self._send_pieces(transmit)
        try:
            ancillary = self._ancillary_out[segment_bytes << 2 | transmit.ecn]
        except KeyError:
            ancillary = self._prepare_ancillary(segment_bytes, transmit.ecn)
        try:
            sent = self._sendmsg(transmit.views, ancillary, 0, transmit.destination)
        except BlockingIOError:
            self.statistics.full += 1
            return False
        except OSError as error:
            return self._recover(transmit, error)
        statistics = self.statistics
        statistics.sent_bytes += sent
        statistics.sent_datagrams += -(-sent // segment_bytes) if segment_bytes else 1
        return True

    def receive(self) -> Burst | None:
        """The next burst, or None when nothing is there. The same object each time: valid until the next call."""
        for _ in range(SKIP_LIMIT):
            try:
                length, ancillary, flags, source = self._recvmsg_into(self._staging_list, ANCILLARY_BYTES)
            except BlockingIOError:
                return None
            except OSError as error:
                self._note_error(error)
                continue
            if flags & socket.MSG_TRUNC or not length:
                self._count_unusable(length)
                continue
            return self._fill_burst(length, tuple(ancillary), source)
        return None

    async def wait_readable(self) -> None:
        """Return when `receive` may yield something."""
        await trio.lowlevel.wait_readable(self._socket)

    async def wait_writable(self) -> None:
        """Return when `send` may succeed."""
        await trio.lowlevel.wait_writable(self._socket)

    def close(self) -> None:
        """Close the socket; idempotent. Tasks that wait for it get trio.ClosedResourceError."""
        if self._socket.fileno() >= 0:
            with contextlib.suppress(RuntimeError):  # outside of trio nobody can be waiting
                trio.lowlevel.notify_closing(self._socket)
            self._socket.close()

    def _prepare_ancillary(self, segment_bytes: int, ecn: int) -> Ancillary:
        if len(self._ancillary_out) >= CACHE_LIMIT:
            self._ancillary_out.clear()
        ancillary = ancillary_for(segment_bytes, ecn, is_ipv6=self._is_ipv6)
        self._ancillary_out[segment_bytes << 2 | ecn] = ancillary
        return ancillary

    def _recover(self, transmit: Transmit, error: OSError) -> bool:
        """Send what one call could not: in smaller parts, or without offload, or simply again."""
        segment_bytes, length = transmit.segment_bytes, total_bytes(transmit.views)
        fits = length <= min(MAX_UDP_PAYLOAD_BYTES, segment_bytes * MAX_SEGMENTS)
        if not segment_bytes or length <= segment_bytes:
            self._note_error(error)
        elif error.errno == errno.EIO or (error.errno == errno.EINVAL and fits):
            return self._fall_back(transmit)
        elif error.errno in (errno.EINVAL, errno.EMSGSIZE) and not fits:
            self.statistics.splits += 1
        else:
            self._note_error(error)
        return self._send_pieces(transmit)

    def _fall_back(self, transmit: Transmit) -> bool:
        # The kernel refuses a segmented send for want of offload, but also when a segment exceeds the interface's
        # MTU. Then the single datagrams fail as well, and the offload is not to blame.
        too_big = self.statistics.too_big
        self._segments = False
        is_done = self._send_pieces(transmit)
        if self.statistics.too_big > too_big:
            self._segments = True
        else:
            self.statistics.fallbacks += 1
        return is_done

    def _send_pieces(self, transmit: Transmit) -> bool:
        """Send in several calls; when the socket fills half-way, remember how far it got for the next try."""
        start = self._partial[1] if self._partial is not None and self._partial[0] is transmit else 0
        segment_bytes = transmit.segment_bytes
        piece_bytes = segment_bytes or total_bytes(transmit.views)
        if self._segments and segment_bytes:
            piece_bytes *= max(1, min(MAX_SEGMENTS, MAX_UDP_PAYLOAD_BYTES // segment_bytes))
        self._partial = None
        with probing(self._socket) if transmit.is_probe else contextlib.nullcontext():
            for piece in cut(transmit.views, piece_bytes, start=start) if piece_bytes else ([],):
                if not self._send_piece(piece, transmit):
                    self._partial = (transmit, start)
                    return False
                start += piece_bytes
        return True

    def _send_piece(self, piece: Sequence[Buffer], transmit: Transmit) -> bool:
        segment_bytes = transmit.segment_bytes if self._segments else 0
        ancillary = self._prepare_ancillary(segment_bytes, transmit.ecn)
        if len(piece) > MAX_VIEWS:
            piece = [b"".join(piece)]
        statistics = self.statistics
        datagrams = -(-total_bytes(piece) // segment_bytes) if segment_bytes else 1
        is_too_big = False
        for _ in range(2):  # the first error may be an old one, an ICMP answer to something sent before
            try:
                statistics.sent_bytes += self._sendmsg(piece, ancillary, 0, transmit.destination)
                statistics.sent_datagrams += datagrams
                return True
            except BlockingIOError:
                statistics.full += 1
                return False
            except OSError as error:
                self._note_error(error)
                is_too_big = error.errno == errno.EMSGSIZE
        statistics.dropped += datagrams
        statistics.too_big += datagrams * is_too_big
        return True

    def _note_error(self, error: OSError) -> None:
        """Take asynchronous errors off the socket, or each later call would report one of them."""
        if self._socket.fileno() < 0:
            raise TransportError("the transport is closed", errno=errno.EBADF) from error
        for destination in read_error_queue(self._socket):
            self.statistics.unreachable += 1
            self.last_unreachable = destination

    def _count_unusable(self, length: int) -> None:
        if length:
            self.statistics.truncated += 1
        else:
            self.statistics.empty += 1

    def _fill_burst(self, length: int, ancillary: tuple[tuple[int, int, bytes], ...], source: tuple[str, int]) -> Burst:
        try:
            segment_bytes, ecn = self._ancillary_in[ancillary]
        except KeyError:
            if len(self._ancillary_in) >= CACHE_LIMIT:
                self._ancillary_in.clear()
            segment_bytes, ecn = self._ancillary_in[ancillary] = parse_ancillary(ancillary)
        burst = self._burst
        burst.view = self._staging[:length]
        burst.source = self._short_source(source) if self._is_ipv6 else source
        burst.ecn = ecn
        burst.received_ns = 0
        statistics = self.statistics
        statistics.received_bursts += 1
        statistics.received_bytes += length
        if segment_bytes:
            burst.segment_bytes = segment_bytes
            statistics.received_datagrams += -(-length // segment_bytes)
        else:
            burst.segment_bytes = length
            statistics.received_datagrams += 1
        return burst

    def _short_source(self, source: tuple[str, int]) -> Address:
        # The kernel's form of an IPv6 address has four members; cores compare the first two.
        short = self._sources.get(source)
        if short is None:
            if len(self._sources) >= CACHE_LIMIT:
                self._sources.clear()
            short = self._sources[source] = source[:2]
        return short


STAGING_BYTES = 1 << 16
MAX_VIEWS = 1024
"""UIO_MAXIOV: the most views that one sendmsg takes."""
CACHE_LIMIT = 1024
SKIP_LIMIT = 16
"""Unusable datagrams that one `receive` skips, so that a stream of them cannot hold it."""
