"""Sending on a UDP socket: one call where the kernel segments, several where it cannot, and what errors mean.

An error is an exception to nobody here: a full socket is a False, an ICMP answer to something sent earlier is counted,
and whatever cannot leave is a lost datagram. Linux reports asynchronous errors once to whichever call comes next, which
then has done nothing and is repeated.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterable, Sequence
from typing import Protocol

from transports.counters import DatagramStatistics
from transports.datagram import Address, Buffer, Transmit
from transports.errors import TransportError
from transports.segments import MAX_SEGMENTS, MAX_UDP_PAYLOAD_BYTES, cut, total_bytes
from transports.udp_socket import Ancillary, ErrorQueue, ancillary_for, is_ipv6, probing, read_error_queue


class SendSocket(ErrorQueue, Protocol):
    """What is needed of a socket; the tests have one that refuses on demand."""

    def sendmsg(self, buffers: Iterable[Buffer], ancdata: Ancillary, flags: int, address: Address, /) -> int:
        """As `socket.socket.sendmsg`."""

    def sendto(self, data: Buffer, address: Address, /) -> int:
        """As `socket.socket.sendto`, which costs less than `sendmsg` for one buffer."""

    def fileno(self) -> int:
        """As `socket.socket.fileno`."""


class UdpSender:
    """Sends transmits on `opened`, counts in `statistics`.

    offload: whether to let the kernel segment; switched off when it turns out that it cannot.
    """

    def __init__(self, opened: SendSocket, statistics: DatagramStatistics, *, offload: bool) -> None:
        self.last_unreachable: Address | None = None
        """Where the last datagram that brought an ICMP error back went."""
        self._socket = opened
        self._sendmsg = opened.sendmsg
        self._sendto = opened.sendto
        self._statistics = statistics
        self._segments = offload
        self._is_ipv6 = is_ipv6(opened)
        self._ancillary: dict[int, Ancillary] = {}
        self._partial: tuple[Transmit, int] | None = None

    @property
    def segment_limit(self) -> int:
        """The most segments that leave in one send; 1 without offload."""
        return MAX_SEGMENTS if self._segments else 1

    def send(self, transmit: Transmit) -> bool:
        """Send all datagrams of `transmit`; False when the socket is full: offer the same object again later.

        TransportError when the socket is closed.
        """
        segment_bytes, views = transmit.segment_bytes, transmit.views
        if not self._segments or transmit.is_probe or self._partial is not None:
            return self._send_pieces(transmit)
        try:
            if not segment_bytes and not transmit.ecn and len(views) == 1:
                sent = self._sendto(views[0], transmit.destination)
            else:
                ancillary = self._ancillary.get(segment_bytes << 2 | transmit.ecn)
                if ancillary is None:
                    ancillary = self._prepare_ancillary(segment_bytes, transmit.ecn)
                sent = self._sendmsg(views, ancillary, 0, transmit.destination)
        except BlockingIOError:
            self._statistics.full += 1
            return False
        except OSError as error:
            return self._recover(transmit, error)
        statistics = self._statistics
        statistics.sent_bytes += sent
        statistics.sent_datagrams += -(-sent // segment_bytes) if segment_bytes else 1
        return True

    def note_error(self, error: OSError) -> None:
        """Take asynchronous errors off the socket, or each later call would report one of them."""
        if self._socket.fileno() < 0:
            raise TransportError("the transport is closed", errno=errno.EBADF) from error
        for destination in read_error_queue(self._socket):
            self._statistics.unreachable += 1
            self.last_unreachable = destination

    def _prepare_ancillary(self, segment_bytes: int, ecn: int) -> Ancillary:
        if len(self._ancillary) >= CACHE_LIMIT:
            self._ancillary.clear()
        ancillary = ancillary_for(segment_bytes, ecn, is_ipv6=self._is_ipv6)
        self._ancillary[segment_bytes << 2 | ecn] = ancillary
        return ancillary

    def _recover(self, transmit: Transmit, error: OSError) -> bool:
        """Send what one call could not: in smaller parts, or without offload, or simply again."""
        segment_bytes, length = transmit.segment_bytes, total_bytes(transmit.views)
        fits = length <= min(MAX_UDP_PAYLOAD_BYTES, segment_bytes * MAX_SEGMENTS)
        if not segment_bytes or length <= segment_bytes:
            self.note_error(error)
        elif error.errno == errno.EIO or (error.errno == errno.EINVAL and fits):
            return self._fall_back(transmit)
        elif error.errno in (errno.EINVAL, errno.EMSGSIZE) and not fits:
            self._statistics.splits += 1
        else:
            self.note_error(error)
        return self._send_pieces(transmit)

    def _fall_back(self, transmit: Transmit) -> bool:
        # The kernel refuses a segmented send for want of offload, but also when a segment exceeds the interface's
        # MTU. Then the single datagrams fail as well, and the offload is not to blame.
        too_big = self._statistics.too_big
        self._segments = False
        is_done = self._send_pieces(transmit)
        if self._statistics.too_big > too_big:
            self._segments = True
        else:
            self._statistics.fallbacks += 1
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
        ancillary = self._ancillary.get(segment_bytes << 2 | transmit.ecn)
        if ancillary is None:
            ancillary = self._prepare_ancillary(segment_bytes, transmit.ecn)
        if len(piece) > MAX_VIEWS:
            piece = [b"".join(piece)]
        statistics = self._statistics
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
                self.note_error(error)
                is_too_big = error.errno == errno.EMSGSIZE
        statistics.dropped += datagrams
        statistics.too_big += datagrams * is_too_big
        return True


MAX_VIEWS = 1024
"""UIO_MAXIOV: the most views that one sendmsg takes."""
CACHE_LIMIT = 1024
