"""Variable-length integers of 62 bits (RFC 9000 16)."""

from __future__ import annotations

from wire.errors import WireError

Buffer = bytes | bytearray | memoryview


def read_varint(buffer: Buffer, offset: int) -> tuple[int, int]:
    """The integer at `offset`, and the offset behind it; WireError where it is cut off."""
    try:
        first = buffer[offset]
    except IndexError:
        raise _short(offset) from None
    if first < 0x40:
        return first, offset + 1
    end = offset + (1 << (first >> 6))
    if end > len(buffer):
        raise _short(offset)
    return int.from_bytes(buffer[offset:end], "big") & MASKS[first >> 6], end


def write_varint(buffer: bytearray | memoryview, offset: int, value: int) -> int:
    """Write `value` in its shortest form; the offset behind it. WireError above `VARINT_MAX`."""
    if value < 0x40:
        buffer[offset] = value
        return offset + 1
    encoded = encode_varint(value)
    end = offset + len(encoded)
    buffer[offset:end] = encoded
    return end


def encode_varint(value: int) -> bytes:
    """`value` in its shortest form; WireError below 0 or above `VARINT_MAX`."""
    if 0 <= value < 0x40:
        return value.to_bytes(1, "big")
    if 0 <= value < 0x4000:
        return (0x4000 | value).to_bytes(2, "big")
    if 0 <= value < 0x4000_0000:
        return (0x8000_0000 | value).to_bytes(4, "big")
    if 0 <= value <= VARINT_MAX:
        return (0xC000_0000_0000_0000 | value).to_bytes(8, "big")
    raise WireError(f"{value} is no integer of 62 bits", format="QuicVarint")


def varint_bytes(value: int) -> int:
    """How many bytes `value` takes."""
    if value < 0x40:
        return 1
    if value < 0x4000:
        return 2
    return 4 if value < 0x4000_0000 else 8


def _short(offset: int) -> WireError:
    return WireError("cut off", format="QuicVarint", offset=offset)


VARINT_MAX = (1 << 62) - 1
MASKS = (0x3F, 0x3FFF, 0x3FFF_FFFF, VARINT_MAX)
