"""Packets on their way out: one queue pair's packets, sealed with their ICRC and joined into segmented sends.

A send is a list of views that alternate between a few bytes of headers (with the ICRC of the packet before) and the
payload as it lies in registered memory. All packets of a send have one size, but for the last, which may be shorter;
segment k carries IPv4 Identification k, which its ICRC takes in (wire.roce.flow_icrc).
"""

from __future__ import annotations

from collections.abc import Sequence

from stacks.rdma.counters import RdmaCounters
from stacks.rdma.opcodes import ACKNOWLEDGE, DATAGRAM, UNRELIABLE
from transports.datagram import ECN_ECT0, Address, Transmit
from wire.checksum import crc32
from wire.roce.flow_icrc import BTH_BYTES, ICRC_BYTES, FlowIcrc

ACK_REQUEST = 0x80000000
"""The AckReq bit in the third word of the BTH."""
SOLICITED = 0x80
"""The SE bit in the second byte of the BTH."""


class Egress:
    """Builds the packets that go from one queue pair to its peer.

    icrc: of the flow that they travel in. dest_qp: the peer's number. destination: where the flow ends.
    path_mtu: largest payload, in bytes. counters: the device's. segment_limit: most packets of one send.
    transport: the upper three bits of every opcode; those that are given here are operations, the lower five.
    """

    def __init__(
        self,
        icrc: FlowIcrc,
        dest_qp: int,
        destination: Address,
        path_mtu: int,
        counters: RdmaCounters,
        *,
        transport: int,
        segment_limit: int,
    ) -> None:
        self.destination = destination
        self.path_mtu = path_mtu
        self._counters = counters
        self.full_bytes = BTH_BYTES + path_mtu + ICRC_BYTES
        self.max_middles = min(segment_limit, MAX_SEND_BYTES // self.full_bytes)
        self._segment_limit = segment_limit
        self._transport = transport << 13
        self._ack_request = 0 if transport in (UNRELIABLE, DATAGRAM) else ACK_REQUEST
        self._tail = _DEFAULT_PKEY + b"\0" + dest_qp.to_bytes(3, "big")
        self._prefixes: dict[int, bytes] = {}
        self._lone: dict[int, tuple[bytes, bytes, int]] = {}
        self._seed = icrc.seed
        self._deltas = icrc.deltas
        self._ack_prefix = self._prefix(ACKNOWLEDGE, 0)
        self._ack_seed = icrc.seed(self._ack_prefix, _ACK_BYTES)

    def acknowledge(self, syndrome: int, psn: int, *, msn: int, ack_req: bool = False) -> Transmit:
        """An ACK or NAK, as a send of its own; `psn` and `msn` are wrapped here. ack_req: of selective repeat."""
        word = psn & 0xFFFFFF | ACK_REQUEST if ack_req else psn & 0xFFFFFF
        tail = (word << 32 | syndrome << 24 | msn & 0xFFFFFF).to_bytes(8, "big")
        icrc = crc32(tail, self._ack_seed).to_bytes(ICRC_BYTES, "little")
        self._counters.sent_pkts += 1
        return Transmit((self._ack_prefix + tail + icrc,), 0, None, self.destination)

    def notify(self) -> Transmit:
        """A CNP, as a send of its own (IBTA A17.9.3): BECN set, PSN 0, 16 reserved bytes."""
        tail = bytes(4 + CNP_RESERVED_BYTES)
        head = _CNP_HEAD + _DEFAULT_PKEY + _BECN + self._tail[3:]
        icrc = crc32(tail, self._seed(head, BTH_BYTES + CNP_RESERVED_BYTES + ICRC_BYTES))
        self._counters.sent_pkts += 1
        packet = head + tail + icrc.to_bytes(ICRC_BYTES, "little")
        return Transmit((packet,), 0, None, self.destination, ECN_ECT0)

    def limit_segments(self, packets: int) -> None:
        """Put at most so many packets into one send."""
        self._segment_limit = min(self._segment_limit, packets)
        self.max_middles = min(self.max_middles, packets)

    def lone(self, opcode: int, psn: int, *, extension: bytes, payload: memoryview) -> Transmit:
        """A message of one packet as a send of its own, with AckReq where anybody answers; `psn` is not wrapped."""
        length = len(payload)
        constants = self._lone.get(opcode << 16 | length)
        if constants is None:
            constants = self._lone_constants(opcode, len(extension), length)
        prefix, padding, seed = constants
        head = (psn & 0xFFFFFF | self._ack_request).to_bytes(4, "big") + extension
        crc = crc32(payload, crc32(head, seed))
        if padding:
            crc = crc32(padding, crc)
        trailer = padding + crc.to_bytes(ICRC_BYTES, "little")
        self._counters.sent_pkts += 1
        views = (prefix + head, payload, trailer)
        return Transmit((b"".join(views),) if length <= INLINE_BYTES else views, 0, None, self.destination)

    def _lone_constants(self, opcode: int, extension_bytes: int, length: int) -> tuple[bytes, bytes, int]:
        """What lone messages of one opcode and length share: the BTH's first words, padding, the ICRC's seed."""
        if len(self._lone) >= LONE_LENGTHS:
            self._lone.clear()
        pad = -length & 3
        prefix = self._prefix(opcode, pad << 4)
        seed = self._seed(prefix, BTH_BYTES + extension_bytes + length + pad + ICRC_BYTES)
        constants = self._lone[opcode << 16 | length] = prefix, _PADDING[pad], seed
        return constants

    def middles(self, opcode: int, psn: int, pages: Sequence[memoryview], *, last: int, wants_ack: bool) -> Transmit:
        """Packets of exactly one path MTU each as a send of their own, without extended headers and PadCnt.

        psn: of the first, not wrapped. last: opcode of the last of them. wants_ack: AckReq in that one.
        """
        size, count = self.full_bytes, len(pages)
        prefix = self._prefix(opcode, 0)
        seed, trailer, word = self._seed(prefix, size), b"", psn & 0xFFFFFF
        views: list[bytes | memoryview] = []
        for page, delta in zip(pages[:-1], self._deltas, strict=False):
            number = word.to_bytes(4, "big")
            word = word + 1 & 0xFFFFFF
            views += (trailer + prefix + number, page)
            trailer = crc32(page, crc32(number, seed ^ delta)).to_bytes(4, "little")
        prefix, page, delta = self._prefix(last, 0), pages[-1], self._deltas[count - 1]
        number = (word | ACK_REQUEST if wants_ack else word).to_bytes(4, "big")
        crc = crc32(page, crc32(number, self._seed(prefix, size) ^ delta))
        views += (trailer + prefix + number, page, crc.to_bytes(4, "little"))
        self._counters.sent_pkts += count
        return Transmit(views, size if count > 1 else 0, None, self.destination)

    def start(self) -> Send:
        """A new, empty send."""
        return Send()

    def add(
        self,
        send: Send,
        opcode: int,
        flags: int,
        *,
        psn: int,
        extension: bytes,
        payload: Sequence[memoryview],
        length: int,
    ) -> None:
        """Append one packet; the caller has made sure that it fits.

        flags: the second byte of the BTH without PadCnt. psn: 24 bits, with ACK_REQUEST where wanted.
        extension: the extended headers. payload: views of `length` bytes in all.
        """
        pad = -length & 3
        size = BTH_BYTES + len(extension) + length + pad + ICRC_BYTES
        prefix = self._prefix(opcode, flags | pad << 4)
        head = psn.to_bytes(4, "big") + extension
        crc = crc32(head, self._seed(prefix, size) ^ self._deltas[send.count])
        views = send.views
        if length <= INLINE_BYTES:
            body = b"".join(payload) + _PADDING[pad]
            send.trailer += prefix + head + body + crc32(body, crc).to_bytes(4, "little")
        else:
            views.append(send.trailer + prefix + head)
            for view in payload:
                crc = crc32(view, crc)
                views.append(view)
            padding = _PADDING[pad]
            send.trailer = padding + crc32(padding, crc).to_bytes(4, "little")
        send.count += 1
        send.total_bytes += size
        if not send.segment_bytes:
            send.segment_bytes = size
        send.is_closed = size != send.segment_bytes

    def add_middles(
        self, send: Send, opcode: int, psn: int, pages: Sequence[memoryview], *, wants_ack: bool = False
    ) -> None:
        """Append packets of exactly one path MTU each, without extended headers and PadCnt.

        psn: of the first, not wrapped. wants_ack: AckReq in the last of them. The short way of `add` for the many
        packets in the middle of messages.
        """
        size, count = self.full_bytes, len(pages)
        prefix = self._prefix(opcode, 0)
        seed, views, trailer = self._seed(prefix, size), send.views, send.trailer
        word, last = psn & 0xFFFFFF, psn + count - 1 & 0xFFFFFF
        for page, delta in zip(pages, self._deltas[send.count :], strict=False):
            number = (word | ACK_REQUEST if word == last and wants_ack else word).to_bytes(4, "big")
            word = word + 1 & 0xFFFFFF
            views += (trailer + prefix + number, page)
            trailer = crc32(page, crc32(number, seed ^ delta)).to_bytes(4, "little")
        send.trailer = trailer
        send.count += count
        send.total_bytes += size * count
        if not send.segment_bytes:
            send.segment_bytes = size

    def add_onlies(
        self,
        send: Send,
        opcode: int,
        psn: int,
        *,
        extensions: Sequence[bytes],
        payloads: Sequence[memoryview],
        length: int,
    ) -> None:
        """Append messages of one packet each: one opcode, one size, every packet with AckReq (where anybody answers).

        The short way of `add`.

        psn: of the first, not wrapped. extensions: the extended headers, all of one size. payloads: of `length` bytes
        each, in one view. The caller has made sure that they fit.
        """
        pad = -length & 3
        size = BTH_BYTES + len(extensions[0]) + length + pad + ICRC_BYTES
        prefix, padding = self._prefix(opcode, pad << 4), _PADDING[pad]
        seed, deltas, ack_request = self._seed(prefix, size), self._deltas, self._ack_request
        count, trailer = send.count, send.trailer
        parts: list[bytes | memoryview] = []
        for extension, payload in zip(extensions, payloads, strict=True):
            head = (psn & 0xFFFFFF | ack_request).to_bytes(4, "big") + extension
            crc = crc32(payload, crc32(head, seed ^ deltas[count]))
            if pad:
                crc = crc32(padding, crc)
            parts += (trailer + prefix + head, payload)
            trailer = padding + crc.to_bytes(4, "little")
            psn += 1
            count += 1
        if length <= INLINE_BYTES:
            send.trailer = b"".join(parts) + trailer
        else:
            send.views += parts
            send.trailer = trailer
        send.count = count
        send.total_bytes += size * len(payloads)
        if not send.segment_bytes:
            send.segment_bytes = size

    def fits(self, send: Send, size: int) -> bool:
        """Whether one more packet of `size` bytes may join the send."""
        return (
            not send.is_closed
            and send.count < self._segment_limit
            and size <= send.segment_bytes
            and send.total_bytes + size <= MAX_SEND_BYTES
        )

    def room_for(self, send: Send, size: int) -> int:
        """How many packets of `size` bytes, the size of those in the send, may still join it."""
        if send.is_closed:
            return 0
        return min(self._segment_limit - send.count, (MAX_SEND_BYTES - send.total_bytes) // size)

    def finish(self, send: Send) -> Transmit:
        """The send as the transport wants it."""
        if send.trailer:
            send.views.append(send.trailer)
        self._counters.sent_pkts += send.count
        segment_bytes = send.segment_bytes if send.count > 1 else 0
        return Transmit(send.views, segment_bytes, None, self.destination)

    def _prefix(self, opcode: int, flags: int) -> bytes:
        key = opcode << 8 | flags
        prefix = self._prefixes.get(key)
        if prefix is None:
            prefix = self._prefixes[key] = (self._transport | key).to_bytes(2, "big") + self._tail
        return prefix


class Send:
    """A segmented send while it is put together.

    trailer: bytes that the next view starts with, at least the ICRC of the last packet.
    is_closed: its last packet is shorter than the others.
    """

    __slots__ = ("count", "is_closed", "segment_bytes", "total_bytes", "trailer", "views")

    def __init__(self) -> None:
        self.views: list[bytes | memoryview] = []
        self.trailer = b""
        self.count = 0
        self.segment_bytes = 0
        self.total_bytes = 0
        self.is_closed = False


LONE_LENGTHS = 256
"""Opcodes and lengths whose constants are kept."""
INLINE_BYTES = 256
"""Payloads up to this are copied beside their headers: a view of its own would cost the kernel more than the copy."""
_ACK_BYTES = BTH_BYTES + 4 + ICRC_BYTES
MAX_SEND_BYTES = 65_000
"""A little under the largest UDP datagram, for IPv4 and IPv6 alike."""
_DEFAULT_PKEY = b"\xff\xff"
_CNP_HEAD = b"\x81\0"
_BECN = b"\x40"
CNP_RESERVED_BYTES = 16
_PADDING = (b"", b"\0", b"\0\0", b"\0\0\0")
