"""STREAM and DATAGRAM frames (RFC 9000 19.8, RFC 9221 4).

Packets are full of STREAM frames: `decode_stream` and `write_stream_header` do without an object, and read and write
the forms of integers that bulk data has by themselves. `Stream` is for what is not in a hurry.
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error
from typing import ClassVar

from wire.errors import WireError
from wire.quic.frame import Frame
from wire.quic.frame_types import (
    FRAME_DATAGRAM,
    FRAME_DATAGRAM_LENGTH,
    FRAME_STREAM,
    STREAM_FIN,
    STREAM_LEN,
    STREAM_OFF,
)
from wire.quic.varint import (
    MAX_OF_4,
    VARINT_MAX,
    Buffer,
    cut_off,
    encode_varint,
    read_varint,
    varint_bytes,
    write_varint,
)


def decode_stream(frame_type: int, view: memoryview, offset: int) -> tuple[int, int, memoryview, bool, int]:
    """Stream, offset in it, data (a slice of `view`), whether it ends there, and the offset behind the frame.

    offset: behind the type. WireError where it is cut off or the data would end above 2^62 - 1.
    """
    at, end = 0, len(view)
    try:
        stream_id = view[offset]
        if stream_id < 0x40:
            offset += 1
        else:
            stream_id, offset = read_varint(view, offset)
        if frame_type & STREAM_OFF:
            first = view[offset]
            if 0x80 <= first < 0xC0:
                at = _READ_4(view, offset)[0] & MAX_OF_4
                offset += 4
            else:
                at, offset = read_varint(view, offset)
        if frame_type & STREAM_LEN:
            first = view[offset]
            if 0x40 <= first < 0x80:
                length = (first & 0x3F) << 8 | view[offset + 1]
                offset += 2
            else:
                length, offset = read_varint(view, offset)
            if offset + length > end:
                raise _short("length", offset)
            end = offset + length
    except (IndexError, struct_error):
        raise cut_off(offset) from None
    if at + end - offset > VARINT_MAX:
        raise WireError("the data ends above 2^62 - 1", format="QuicStream", field="offset", offset=offset)
    return stream_id, at, view[offset:end], frame_type & STREAM_FIN != 0, end


def stream_header_bytes(stream_id: int, offset: int, length: int | None) -> int:
    """How many bytes `write_stream_header` writes."""
    size = 2 if stream_id < 0x40 else 1 + varint_bytes(stream_id)
    if offset:
        size += 4 if 0x4000 <= offset < 0x4000_0000 else varint_bytes(offset)
    return size if length is None else size + varint_bytes(length)


def write_stream_header(
    buffer: bytearray | memoryview, at: int, stream_id: int, offset: int, length: int | None, is_fin: bool
) -> int:
    """Everything of a STREAM frame but the data; where that goes. length: None where it goes to the packet's end.

    WireError where a value has more than 62 bits or the buffer ends: what it holds from `at` on is undefined then.
    """
    frame_type = FRAME_STREAM | is_fin if length is None else FRAME_STREAM | STREAM_LEN | is_fin
    try:
        if 0 <= stream_id < 0x40 and 0x4000 <= offset <= VARINT_MAX:
            if offset < 0x4000_0000:
                _HEAD_4(buffer, at, frame_type | STREAM_OFF, stream_id, 0x8000_0000 | offset)
                at += 6
            else:
                _HEAD_8(buffer, at, frame_type | STREAM_OFF, stream_id, 0xC000_0000_0000_0000 | offset)
                at += 10
        else:
            buffer[at] = frame_type | STREAM_OFF if offset else frame_type
            at = write_varint(buffer, at + 1, stream_id)
            if offset:
                at = write_varint(buffer, at, offset)
    except (IndexError, struct_error):
        raise WireError("no room for the head", format="QuicStream", offset=at) from None
    return at if length is None else write_varint(buffer, at, length)


class Stream(Frame):
    """STREAM. data: a slice of what was decoded."""

    __slots__ = FIELDS = ("stream_id", "offset", "data", "is_fin")

    def __init__(self, stream_id: int, offset: int, data: Buffer, *, is_fin: bool = False) -> None:
        self.stream_id = stream_id
        self.offset = offset
        self.data = memoryview(data)
        self.is_fin = is_fin

    def encode(self, *, is_last: bool = False) -> bytes:
        """The frame with its type. is_last: it goes to the packet's end, and so has no length."""
        length = None if is_last else len(self.data)
        head = bytearray(stream_header_bytes(self.stream_id, self.offset, length))
        write_stream_header(head, 0, self.stream_id, self.offset, length, self.is_fin)
        return bytes(head) + self.data

    @classmethod
    def decode(cls, frame_type: int, view: memoryview, offset: int) -> tuple[Stream, int]:
        """As `decode_stream`."""
        stream_id, at, data, is_fin, offset = decode_stream(frame_type, view, offset)
        return cls(stream_id, at, data, is_fin=is_fin), offset


class Datagram(Frame):
    """DATAGRAM. data: a slice of what was decoded."""

    __slots__ = FIELDS = ("data",)
    TYPE: ClassVar = FRAME_DATAGRAM_LENGTH

    def __init__(self, data: Buffer) -> None:
        self.data = memoryview(data)

    def encode(self, *, is_last: bool = False) -> bytes:
        """The frame with its type. is_last: it goes to the packet's end, and so has no length."""
        if is_last:
            return encode_varint(FRAME_DATAGRAM) + self.data
        return b"".join((encode_varint(FRAME_DATAGRAM_LENGTH), encode_varint(len(self.data)), self.data))

    @classmethod
    def decode(cls, frame_type: int, view: memoryview, offset: int) -> tuple[Datagram, int]:
        """WireError where it is cut off."""
        end = len(view)
        if frame_type == FRAME_DATAGRAM_LENGTH:
            length, offset = read_varint(view, offset)
            if offset + length > end:
                raise WireError("cut off", format="QuicDatagram", field="length", offset=offset)
            end = offset + length
        return cls(view[offset:end]), end


def _short(field: str, offset: int) -> WireError:
    return WireError("cut off", format="QuicStream", field=field, offset=offset)


_READ_4 = Struct(">I").unpack_from
_HEAD_4, _HEAD_8 = Struct(">BBI").pack_into, Struct(">BBQ").pack_into
