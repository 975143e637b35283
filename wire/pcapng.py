"""pcapng: the capture files that Wireshark reads and writes.

Writing is three functions that return blocks: `section_header`, `interface_description`, then one `enhanced_packet` per
frame, little-endian with nanosecond timestamps. Reading is `PacketReader`, which is fed a file in pieces of any size
and yields packets of either byte order and any timestamp resolution, or `decode_packets` for a file in memory. Nothing
here opens a file.

The blocks are variable and of either byte order, so this codec is hand-written; the definition that it is tested
against is `pcapng_definition`. Memory is bounded: a block over 16 MiB is refused. Blocks that carry no packet
(statistics, names, secrets, custom) are skipped.

Follows draft-ietf-opsawg-pcapng (3.1, 3.5, 4.1 to 4.4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from wire.errors import WireError

Buffer = bytes | bytearray | memoryview
Order = Literal["little", "big"]


class CapturedPacket:
    """One captured frame.

    timestamp_ns: nanoseconds since 1970, 0 for a simple packet, which has none; data: the captured bytes;
    original_length: the frame's length on the wire, in bytes; link_type: of its interface, 1 for Ethernet;
    interface: index in the section.
    """

    __slots__ = ("data", "interface", "link_type", "original_length", "timestamp_ns")

    def __init__(self, timestamp_ns: int, data: bytes, *, original_length: int, link_type: int, interface: int) -> None:
        self.timestamp_ns = timestamp_ns
        self.data = data
        self.original_length = original_length
        self.link_type = link_type
        self.interface = interface


def section_header(application: str = "") -> bytes:
    """The block that starts a file; `application` names the writer (4.1)."""
    head = _u32(BYTE_ORDER_MAGIC) + _u16(1) + _u16(0) + b"\xff" * 8
    return _block(SECTION_HEADER, (head, _options((SHB_USERAPPL, application.encode()))))


def interface_description(name: str = "", *, link_type: int = 1, snap_length: int = 0) -> bytes:
    """An interface with nanosecond timestamps; snap_length in bytes, 0 for no limit (4.2)."""
    head = _u16(link_type) + _u16(0) + _u32(snap_length)
    return _block(INTERFACE_DESCRIPTION, (head, _options((IF_NAME, name.encode()), (IF_TSRESOL, b"\x09"))))


def enhanced_packet(
    timestamp_ns: int, views: Sequence[Buffer], *, interface: int = 0, original_length: int | None = None
) -> bytes:
    """A captured frame, given as the pieces it consists of (4.3).

    timestamp_ns: nanoseconds since 1970, below 2^64; original_length: bytes on the wire, when more than captured.
    WireError when a number does not fit its field.
    """
    captured = sum(len(view) for view in views)
    wire_length = captured if original_length is None else original_length
    head = b"".join(map(_u32, (interface, timestamp_ns >> 32, timestamp_ns & U32, captured, wire_length)))
    return _block(ENHANCED_PACKET, (head, *views, bytes(-captured % 4)))


def decode_packets(buffer: Buffer) -> Iterator[CapturedPacket]:
    """The packets of a whole file in memory; WireError where it stops being one."""
    reader = PacketReader()
    yield from reader.feed(buffer)
    reader.close()


class PacketReader:
    """Reads a file that comes in pieces, and keeps at most one block of it."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._order: Order = "little"
        self._in_section = False
        self._interfaces: list[_Interface] = []
        self._offset = 0

    def feed(self, data: Buffer) -> Iterator[CapturedPacket]:
        """The packets completed by `data`; consume the iterator before feeding more. WireError: not pcapng."""
        self._pending += data
        start = 0
        try:
            while length := self._next_length(start):
                block = bytes(memoryview(self._pending)[start : start + length])
                packet = self._read(block)
                start += length
                self._offset += length
                if packet:
                    yield packet
        finally:
            del self._pending[:start]

    def close(self) -> None:
        """WireError when the file ended within a block."""
        if self._pending:
            raise self._error("the file ends within a block")

    def _next_length(self, start: int) -> int:
        """Bytes of the block at `start`, or 0 when it is not all there yet."""
        head = self._pending[start : start + 12]
        if len(head) < 12:
            return 0
        if head[:4] == _u32(SECTION_HEADER):
            self._order = self._section_order(head[8:12])
        elif not self._in_section:
            raise self._error("does not start with a section header")
        length = self._u32(head, 4)
        if length % 4 or not 12 <= length <= BLOCK_LIMIT_BYTES:
            raise self._error(f"block length {length}", "length")
        return length if len(self._pending) - start >= length else 0

    def _section_order(self, magic: Buffer) -> Order:
        for order in ORDERS:
            if int.from_bytes(magic, order) == BYTE_ORDER_MAGIC:
                return order
        raise self._error("no byte-order magic", "magic")

    def _read(self, block: bytes) -> CapturedPacket | None:
        kind, length = self._u32(block, 0), len(block)
        if self._u32(block, length - 4) != length:
            raise self._error("the two block lengths differ", "length")
        body_bytes = length - 12
        if body_bytes < MINIMUM_BODY_BYTES.get(kind, 0):
            raise self._error("block too short", "length")
        body = block[8:-4]
        match kind:
            case 0x0A0D0D0A:
                self._in_section = True
                self._interfaces.clear()
            case 1:
                self._interfaces.append(self._read_interface(body))
            case 3:
                return self._read_simple(body)
            case 6:
                return self._read_enhanced(body)
        return None

    def _read_interface(self, body: bytes) -> _Interface:
        if len(self._interfaces) >= INTERFACE_LIMIT:
            raise self._error(f"more than {INTERFACE_LIMIT} interfaces")
        interface = _Interface(self._u16(body, 0), self._u32(body, 4))
        for code, value in self._read_options(body, 8):
            if code == IF_TSRESOL and len(value) == 1:
                exponent = value[0] & 0x7F
                interface.ticks_per_second = 2**exponent if value[0] & 0x80 else 10**exponent
            elif code == IF_TSOFFSET and len(value) == 8:
                interface.offset_seconds = int.from_bytes(value, self._order, signed=True)
        return interface

    def _read_options(self, body: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
        while offset + 4 <= len(body):
            code, length = self._u16(body, offset), self._u16(body, offset + 2)
            if code == END_OF_OPTIONS:
                return
            if offset + 4 + length > len(body):
                raise self._error("option runs past the block", "options")
            yield code, body[offset + 4 : offset + 4 + length]
            offset += 4 + length + -length % 4

    def _read_enhanced(self, body: bytes) -> CapturedPacket:
        number, captured, original = self._u32(body, 0), self._u32(body, 12), self._u32(body, 16)
        interface = self._interface(number)
        if captured > len(body) - 20:
            raise self._error("packet runs past the block", "captured_length")
        ticks = self._u32(body, 4) << 32 | self._u32(body, 8)
        return CapturedPacket(
            ticks * NS_PER_SECOND // interface.ticks_per_second + interface.offset_seconds * NS_PER_SECOND,
            body[20 : 20 + captured],
            original_length=original,
            link_type=interface.link_type,
            interface=number,
        )

    def _read_simple(self, body: bytes) -> CapturedPacket:
        interface, original = self._interface(0), self._u32(body, 0)
        captured = min(original, interface.snap_length or original)
        if captured > len(body) - 4:
            raise self._error("packet runs past the block", "original_length")
        data = body[4 : 4 + captured]
        return CapturedPacket(0, data, original_length=original, link_type=interface.link_type, interface=0)

    def _interface(self, number: int) -> _Interface:
        if number >= len(self._interfaces):
            raise self._error(f"no interface {number}", "interface")
        return self._interfaces[number]

    def _u16(self, data: Buffer, offset: int) -> int:
        return int.from_bytes(data[offset : offset + 2], self._order)

    def _u32(self, data: Buffer, offset: int) -> int:
        return int.from_bytes(data[offset : offset + 4], self._order)

    def _error(self, reason: str, field: str = "") -> WireError:
        return WireError(reason, format="Pcapng", field=field, offset=self._offset)


class _Interface:
    __slots__ = ("link_type", "offset_seconds", "snap_length", "ticks_per_second")

    def __init__(self, link_type: int, snap_length: int) -> None:
        self.link_type = link_type
        self.snap_length = snap_length
        self.ticks_per_second = 10**6
        self.offset_seconds = 0


def _block(kind: int, parts: Sequence[Buffer]) -> bytes:
    length = _u32(12 + sum(len(part) for part in parts))
    return b"".join((_u32(kind), length, *parts, length))


def _options(*options: tuple[int, bytes]) -> bytes:
    """The options that have a value, and the end mark."""
    given = ((code, value) for code, value in options if value)
    return b"".join(_u16(code) + _u16(len(value)) + value + bytes(-len(value) % 4) for code, value in given) + bytes(4)


def _u16(value: int) -> bytes:
    return _unsigned(value, 2)


def _u32(value: int) -> bytes:
    return _unsigned(value, 4)


def _unsigned(value: int, size: int) -> bytes:
    try:
        return value.to_bytes(size, "little")
    except OverflowError:
        raise WireError(f"{value} does not fit in {size} bytes", format="Pcapng") from None


LINK_TYPE_ETHERNET = 1

SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 1
SIMPLE_PACKET = 3
ENHANCED_PACKET = 6
MINIMUM_BODY_BYTES = {SECTION_HEADER: 16, INTERFACE_DESCRIPTION: 8, SIMPLE_PACKET: 4, ENHANCED_PACKET: 20}

BYTE_ORDER_MAGIC = 0x1A2B3C4D
ORDERS: tuple[Order, ...] = ("little", "big")
END_OF_OPTIONS = 0
IF_NAME = 2
IF_TSRESOL = 9
IF_TSOFFSET = 14
SHB_USERAPPL = 4

BLOCK_LIMIT_BYTES = 16 << 20
"""Wireshark's own limit: larger blocks are taken for garbage."""

INTERFACE_LIMIT = 1024
"""More interfaces than any machine has; a file that repeats them may not fill our memory."""

U32 = 0xFFFFFFFF
NS_PER_SECOND = 10**9
