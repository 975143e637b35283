"""All frames: one class each, with `encode` and `decode` (RFC 9000 19, RFC 9221, and of drafts; see `frame_types`).

`decode(view, offset)` starts behind the frame's type and returns the frame and the offset behind it; bytes in it are
slices of the view. Where a class has several types, `decode` is given the type first. Nothing is judged but lengths,
and what an encoding itself forbids: ranges below packet 0, data that ends above 2^62 - 1.

`read_frames` is for tools and tests: a payload as objects. The hot ones, STREAM and ACK, have functions that do without
(`stream_frames.decode_stream`, `ack_frames.decode_ack`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from wire.errors import WireError
from wire.quic import frame_types as t
from wire.quic.ack_frames import Ack, PathAck
from wire.quic.byte_frames import (
    ConnectionClose,
    Crypto,
    NewConnectionId,
    NewToken,
    PathChallenge,
    PathData,
    PathResponse,
)
from wire.quic.frame import Frame
from wire.quic.integer_frames import (
    AckFrequency,
    DataBlocked,
    HandshakeDone,
    ImmediateAck,
    IntegerFrame,
    MaxData,
    MaxStreamData,
    MaxStreams,
    Ping,
    ResetStream,
    ResetStreamAt,
    RetireConnectionId,
    StopSending,
    StreamDataBlocked,
    StreamsBlocked,
)
from wire.quic.multipath_frames import (
    MaxPathId,
    PathAbandon,
    PathCidsBlocked,
    PathNewConnectionId,
    PathRetireConnectionId,
    PathsBlocked,
    PathStatusAvailable,
    PathStatusBackup,
)
from wire.quic.stream_frames import Datagram, Stream


class Padding(Frame):
    """PADDING, as many as follow each other. count: of them, which is their length in bytes, too."""

    __slots__ = FIELDS = ("count",)

    def __init__(self, count: int = 1) -> None:
        self.count = count

    def encode(self) -> bytes:
        """All of them."""
        return bytes(self.count)

    @classmethod
    def decode(cls, view: memoryview, offset: int) -> tuple[Padding, int]:
        """offset: behind the first."""
        rest = bytes(view[offset:])
        count = len(rest) - len(rest.lstrip(b"\0"))
        return cls(count + 1), offset + count


def read_frames(payload: memoryview) -> Iterator[tuple[int, Frame]]:
    """Type and frame of each frame in a payload, in order; WireError at the first that is unknown or cannot be read."""
    offset, end = 0, len(payload)
    while offset < end:
        start = offset
        frame_type, offset = t.decode_type(payload, offset)
        if frame_type not in DECODERS:
            raise WireError(f"frame type {frame_type:#x} is unknown", format="QuicFrame", offset=start)
        frame, offset = DECODERS[frame_type](frame_type, payload, offset)
        yield frame_type, frame


Decode = Callable[[int, memoryview, int], tuple[Frame, int]]


class _Typeless(Protocol):
    def decode(self, view: memoryview, offset: int, /) -> tuple[Frame, int]: ...


def _plain(kind: _Typeless) -> Decode:
    return lambda _, view, offset: kind.decode(view, offset)


INTEGER_FRAMES: tuple[type[IntegerFrame], ...] = (
    Ping, HandshakeDone, ImmediateAck, ResetStream, ResetStreamAt, StopSending, MaxData, MaxStreamData, MaxStreams,
    DataBlocked, StreamDataBlocked, StreamsBlocked, RetireConnectionId, AckFrequency, PathAbandon, PathStatusBackup,
    PathStatusAvailable, PathRetireConnectionId, MaxPathId, PathsBlocked, PathCidsBlocked,
)  # fmt: skip
DECODERS: dict[int, Decode] = {
    t.FRAME_PADDING: _plain(Padding),
    t.FRAME_ACK: Ack.decode,
    t.FRAME_ACK_ECN: Ack.decode,
    t.FRAME_CRYPTO: _plain(Crypto),
    t.FRAME_NEW_TOKEN: _plain(NewToken),
    **dict.fromkeys(range(t.FRAME_STREAM, t.FRAME_STREAM + 8), Stream.decode),
    t.FRAME_MAX_STREAMS_UNI: _plain(MaxStreams),
    t.FRAME_STREAMS_BLOCKED_UNI: _plain(StreamsBlocked),
    t.FRAME_NEW_CONNECTION_ID: _plain(NewConnectionId),
    t.FRAME_PATH_CHALLENGE: _plain(PathChallenge),
    t.FRAME_PATH_RESPONSE: _plain(PathResponse),
    t.FRAME_CONNECTION_CLOSE: ConnectionClose.decode,
    t.FRAME_CONNECTION_CLOSE_APPLICATION: ConnectionClose.decode,
    t.FRAME_DATAGRAM: Datagram.decode,
    t.FRAME_DATAGRAM_LENGTH: Datagram.decode,
    t.FRAME_PATH_ACK: PathAck.decode,
    t.FRAME_PATH_ACK_ECN: PathAck.decode,
    t.FRAME_PATH_NEW_CONNECTION_ID: _plain(PathNewConnectionId),
    **{kind.TYPE: _plain(kind) for kind in INTEGER_FRAMES},
}
"""From type to what reads the frame behind it: (type, view, offset) -> (frame, offset behind it)."""

__all__ = [
    "DECODERS", "INTEGER_FRAMES", "Ack", "AckFrequency", "ConnectionClose", "Crypto", "DataBlocked", "Datagram",
    "Frame", "HandshakeDone", "ImmediateAck", "IntegerFrame", "MaxData", "MaxPathId", "MaxStreamData", "MaxStreams",
    "NewConnectionId", "NewToken", "Padding", "PathAbandon", "PathAck", "PathChallenge", "PathCidsBlocked",
    "PathData", "PathNewConnectionId", "PathResponse", "PathRetireConnectionId", "PathStatusAvailable",
    "PathStatusBackup", "PathsBlocked", "Ping", "ResetStream", "ResetStreamAt", "RetireConnectionId", "StopSending",
    "Stream", "StreamDataBlocked", "StreamsBlocked", "read_frames",
]  # fmt: skip
