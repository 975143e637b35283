"""Variable-length integers of 62 bits (RFC 9000 16).

The two highest bits of the first byte say how many bytes there are: 1, 2, 4 or 8. Every length is read, whatever the
value; the shortest is written.
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error

from wire.errors import WireError

Buffer = bytes | bytearray | memoryview


def read_varint(buffer: Buffer, offset: int) -> tuple[int, int]:
    """The integer at `offset`, and the offset behind it; WireError where it is cut off."""
    try:
        first = buffer[offset]
        if first < 0x40:
            return first, offset + 1
        if first < 0x80:
            return (first & 0x3F) << 8 | buffer[offset + 1], offset + 2
        if first < 0xC0:
            return _READ_4(buffer, offset)[0] & MAX_OF_4, offset + 4
        return _READ_8(buffer, offset)[0] & VARINT_MAX, offset + 8
    except (IndexError, struct_error):
        raise cut_off(offset) from None


def write_varint(buffer: bytearray | memoryview, offset: int, value: int) -> int:
    """Write `value` in its shortest form; the offset behind it.

    WireError below 0 or above `VARINT_MAX`, or where the buffer ends: what it holds there is undefined then.
    """
    try:
        if value < 0x40:
            buffer[offset] = value
            return offset + 1
        if value < 0x4000:
            _WRITE_2(buffer, offset, 0x4000 | value)
            return offset + 2
        if value < 0x4000_0000:
            _WRITE_4(buffer, offset, 0x8000_0000 | value)
            return offset + 4
        if value > VARINT_MAX:
            raise too_large(value)
        _WRITE_8(buffer, offset, 0xC000_0000_0000_0000 | value)
        return offset + 8
    except (IndexError, ValueError, struct_error):
        raise _cannot_write(value, offset) from None


def encode_varint(value: int) -> bytes:
    """`value` in its shortest form; WireError below 0 or above `VARINT_MAX`."""
    if value < 0x40:
        if value < 0:
            raise too_large(value)
        return SHORT[value]
    if value < 0x4000:
        return (0x4000 | value).to_bytes(2, "big")
    if value < 0x4000_0000:
        return (0x8000_0000 | value).to_bytes(4, "big")
    if value > VARINT_MAX:
        raise too_large(value)
    return (0xC000_0000_0000_0000 | value).to_bytes(8, "big")


def varint_bytes(value: int) -> int:
    """How many bytes `value` takes."""
    if value < 0x40:
        return 1
    if value < 0x4000:
        return 2
    return 4 if value < 0x4000_0000 else 8


def cut_off(offset: int) -> WireError:
    """The error for an integer at `offset` that the buffer does not hold whole."""
    return WireError("cut off", format="QuicVarint", offset=offset)


def too_large(value: int) -> WireError:
    """The error for a value that no such integer can be."""
    return WireError(f"{value} is no integer of 62 bits", format="QuicVarint")


def _cannot_write(value: int, offset: int) -> WireError:
    if value < 0:
        return too_large(value)
    return WireError(f"no room for {varint_bytes(value)} bytes", format="QuicVarint", offset=offset)


VARINT_MAX = (1 << 62) - 1
MAX_OF_4 = (1 << 30) - 1
SHORT = tuple(value.to_bytes(1, "big") for value in range(0x40))
"""The integers of one byte."""
_READ_4, _READ_8 = Struct(">I").unpack_from, Struct(">Q").unpack_from
_WRITE_2, _WRITE_4, _WRITE_8 = Struct(">H").pack_into, Struct(">I").pack_into, Struct(">Q").pack_into
