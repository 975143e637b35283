"""STREAM and DATAGRAM frames: the hot ones, read and written without an object (RFC 9000 19.8, RFC 9221 4)."""

from __future__ import annotations

from wire.errors import WireError
from wire.quic.frame_types import FRAME_DATAGRAM_LENGTH, FRAME_STREAM, STREAM_FIN, STREAM_LEN, STREAM_OFF
from wire.quic.varint import VARINT_MAX, Buffer, encode_varint, read_varint, varint_bytes, write_varint


def decode_stream(frame_type: int, view: memoryview, offset: int) -> tuple[int, int, memoryview, bool, int]:
    """Stream, offset in it, data (a slice of `view`), whether it ends there, and the offset behind the frame.

    offset: behind the type. WireError where it is cut off or the data would end above 2^62 - 1.
    """
    stream_id, offset = read_varint(view, offset)
    at = 0
    if frame_type & STREAM_OFF:
        at, offset = read_varint(view, offset)
    if frame_type & STREAM_LEN:
        length, offset = read_varint(view, offset)
        end = offset + length
        if end > len(view):
            raise WireError("cut off", format="QuicStream", field="length", offset=offset)
    else:
        end = len(view)
    if at + end - offset > VARINT_MAX:
        raise WireError("the data ends above 2^62 - 1", format="QuicStream", field="offset", offset=offset)
    return stream_id, at, view[offset:end], bool(frame_type & STREAM_FIN), end


def stream_header_bytes(stream_id: int, offset: int, length: int | None) -> int:
    """How many bytes `write_stream_header` writes."""
    size = 1 + varint_bytes(stream_id)
    if offset:
        size += varint_bytes(offset)
    return size if length is None else size + varint_bytes(length)


def write_stream_header(
    buffer: bytearray | memoryview, at: int, stream_id: int, offset: int, length: int | None, is_fin: bool
) -> int:
    """Everything of a STREAM frame but the data; where that goes. length: None where it goes to the packet's end."""
    frame_type = FRAME_STREAM | is_fin
    start, at = at, write_varint(buffer, at + 1, stream_id)
    if offset:
        frame_type |= STREAM_OFF
        at = write_varint(buffer, at, offset)
    if length is not None:
        frame_type |= STREAM_LEN
        at = write_varint(buffer, at, length)
    buffer[start] = frame_type
    return at


class Datagram:
    """DATAGRAM. data: a slice of what was decoded."""

    __slots__ = ("data",)

    def __init__(self, data: Buffer) -> None:
        self.data = memoryview(data)

    def encode(self) -> bytes:
        """With its length."""
        return b"".join((FRAME_DATAGRAM_LENGTH.to_bytes(1, "big"), encode_varint(len(self.data)), self.data))

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
