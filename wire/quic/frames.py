"""Frames (RFC 9000 19, RFC 9221, ACK frequency, RESET_STREAM_AT): one class each, with `encode` and `decode`.

`decode(view, offset)` starts behind the frame's type and returns the frame and the offset behind it; bytes in it are
slices of the view. STREAM, DATAGRAM and ACK, the hot ones, are in `stream_frames` and `ack_frames`.
"""

from __future__ import annotations

from typing import ClassVar, Self

from wire.errors import WireError
from wire.quic.frame_types import (
    FRAME_ACK_FREQUENCY,
    FRAME_CONNECTION_CLOSE,
    FRAME_CONNECTION_CLOSE_APPLICATION,
    FRAME_CRYPTO,
    FRAME_DATA_BLOCKED,
    FRAME_HANDSHAKE_DONE,
    FRAME_IMMEDIATE_ACK,
    FRAME_MAX_DATA,
    FRAME_MAX_STREAM_DATA,
    FRAME_MAX_STREAMS_BIDI,
    FRAME_MAX_STREAMS_UNI,
    FRAME_NEW_CONNECTION_ID,
    FRAME_NEW_TOKEN,
    FRAME_PATH_CHALLENGE,
    FRAME_PATH_RESPONSE,
    FRAME_PING,
    FRAME_RESET_STREAM,
    FRAME_RESET_STREAM_AT,
    FRAME_RETIRE_CONNECTION_ID,
    FRAME_STOP_SENDING,
    FRAME_STREAM_DATA_BLOCKED,
    FRAME_STREAMS_BLOCKED_BIDI,
    FRAME_STREAMS_BLOCKED_UNI,
)
from wire.quic.varint import VARINT_MAX, Buffer, encode_varint, read_varint


class IntegerFrame:
    """A frame of integers alone, in the order of `FIELDS`."""

    __slots__ = ()
    TYPE: ClassVar[int]
    FIELDS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *values: int) -> None:
        assert len(values) == len(self.FIELDS)
        for name, value in zip(self.FIELDS, values, strict=True):
            setattr(self, name, value)

    def encode(self) -> bytes:
        """The frame with its type; WireError where a value has more than 62 bits."""
        values = (getattr(self, name) for name in self.FIELDS)
        return encode_varint(self.TYPE) + b"".join(map(encode_varint, values))

    @classmethod
    def decode(cls, view: Buffer, offset: int) -> tuple[Self, int]:
        """WireError where it is cut off."""
        values: list[int] = []
        for _ in cls.FIELDS:
            value, offset = read_varint(view, offset)
            values.append(value)
        return cls(*values), offset


class Ping(IntegerFrame):
    """PING."""

    __slots__ = ()
    TYPE = FRAME_PING


class HandshakeDone(IntegerFrame):
    """HANDSHAKE_DONE."""

    __slots__ = ()
    TYPE = FRAME_HANDSHAKE_DONE


class ImmediateAck(IntegerFrame):
    """IMMEDIATE_ACK of the ACK frequency draft."""

    __slots__ = ()
    TYPE = FRAME_IMMEDIATE_ACK


class ResetStream(IntegerFrame):
    """RESET_STREAM."""

    __slots__ = FIELDS = ("stream_id", "error_code", "final_size")
    TYPE = FRAME_RESET_STREAM
    stream_id: int
    error_code: int
    final_size: int


class ResetStreamAt(IntegerFrame):
    """RESET_STREAM_AT: data up to `reliable_size` still arrives."""

    __slots__ = FIELDS = ("stream_id", "error_code", "final_size", "reliable_size")
    TYPE = FRAME_RESET_STREAM_AT
    stream_id: int
    error_code: int
    final_size: int
    reliable_size: int


class StopSending(IntegerFrame):
    """STOP_SENDING."""

    __slots__ = FIELDS = ("stream_id", "error_code")
    TYPE = FRAME_STOP_SENDING
    stream_id: int
    error_code: int


class MaxData(IntegerFrame):
    """MAX_DATA."""

    __slots__ = FIELDS = ("maximum",)
    TYPE = FRAME_MAX_DATA
    maximum: int


class MaxStreamData(IntegerFrame):
    """MAX_STREAM_DATA."""

    __slots__ = FIELDS = ("stream_id", "maximum")
    TYPE = FRAME_MAX_STREAM_DATA
    stream_id: int
    maximum: int


class MaxStreams(IntegerFrame):
    """MAX_STREAMS, of bidirectional streams; `encode_uni` for the others."""

    __slots__ = FIELDS = ("maximum",)
    TYPE = FRAME_MAX_STREAMS_BIDI
    maximum: int

    def encode_uni(self) -> bytes:
        """Of unidirectional streams."""
        return FRAME_MAX_STREAMS_UNI.to_bytes(1, "big") + encode_varint(self.maximum)


class DataBlocked(IntegerFrame):
    """DATA_BLOCKED."""

    __slots__ = FIELDS = ("limit",)
    TYPE = FRAME_DATA_BLOCKED
    limit: int


class StreamDataBlocked(IntegerFrame):
    """STREAM_DATA_BLOCKED."""

    __slots__ = FIELDS = ("stream_id", "limit")
    TYPE = FRAME_STREAM_DATA_BLOCKED
    stream_id: int
    limit: int


class StreamsBlocked(IntegerFrame):
    """STREAMS_BLOCKED, of bidirectional streams; `encode_uni` for the others."""

    __slots__ = FIELDS = ("limit",)
    TYPE = FRAME_STREAMS_BLOCKED_BIDI
    limit: int

    def encode_uni(self) -> bytes:
        """Of unidirectional streams."""
        return FRAME_STREAMS_BLOCKED_UNI.to_bytes(1, "big") + encode_varint(self.limit)


class RetireConnectionId(IntegerFrame):
    """RETIRE_CONNECTION_ID."""

    __slots__ = FIELDS = ("sequence_number",)
    TYPE = FRAME_RETIRE_CONNECTION_ID
    sequence_number: int


class AckFrequency(IntegerFrame):
    """ACK_FREQUENCY (draft-ietf-quic-ack-frequency): the delay is in microseconds."""

    __slots__ = FIELDS = (
        "sequence_number", "ack_eliciting_threshold", "requested_max_ack_delay", "reordering_threshold",
    )  # fmt: skip
    TYPE = FRAME_ACK_FREQUENCY
    sequence_number: int
    ack_eliciting_threshold: int
    requested_max_ack_delay: int
    reordering_threshold: int


class Crypto:
    """CRYPTO. data: a slice of what was decoded."""

    __slots__ = ("data", "offset")

    def __init__(self, offset: int, data: Buffer) -> None:
        self.offset = offset
        self.data = memoryview(data)

    def encode(self) -> bytes:
        """The frame with its type."""
        head = FRAME_CRYPTO.to_bytes(1, "big") + encode_varint(self.offset) + encode_varint(len(self.data))
        return head + self.data

    @classmethod
    def decode(cls, view: memoryview, offset: int) -> tuple[Crypto, int]:
        """WireError where it is cut off, or the data would end above 2^62 - 1."""
        at, offset = read_varint(view, offset)
        data, offset = _read_bytes(view, offset, "QuicCrypto")
        if at + len(data) > VARINT_MAX:
            raise WireError("the data ends above 2^62 - 1", format="QuicCrypto", field="offset", offset=offset)
        return cls(at, data), offset


class NewToken:
    """NEW_TOKEN."""

    __slots__ = ("token",)

    def __init__(self, token: Buffer) -> None:
        self.token = token

    def encode(self) -> bytes:
        """The frame with its type."""
        return FRAME_NEW_TOKEN.to_bytes(1, "big") + encode_varint(len(self.token)) + self.token

    @classmethod
    def decode(cls, view: memoryview, offset: int) -> tuple[NewToken, int]:
        """WireError where it is cut off."""
        token, offset = _read_bytes(view, offset, "QuicNewToken")
        return cls(token), offset


class NewConnectionId:
    """NEW_CONNECTION_ID. connection_id, stateless_reset_token: bytes, 1 to 20 of the one and 16 of the other."""

    __slots__ = ("connection_id", "retire_prior_to", "sequence_number", "stateless_reset_token")

    def __init__(
        self, sequence_number: int, retire_prior_to: int, connection_id: bytes, stateless_reset_token: bytes
    ) -> None:
        self.sequence_number = sequence_number
        self.retire_prior_to = retire_prior_to
        self.connection_id = connection_id
        self.stateless_reset_token = stateless_reset_token

    def encode(self) -> bytes:
        """The frame with its type."""
        return b"".join((
            FRAME_NEW_CONNECTION_ID.to_bytes(1, "big"), encode_varint(self.sequence_number),
            encode_varint(self.retire_prior_to), len(self.connection_id).to_bytes(1, "big"), self.connection_id,
            self.stateless_reset_token,
        ))  # fmt: skip

    @classmethod
    def decode(cls, view: memoryview, offset: int) -> tuple[NewConnectionId, int]:
        """WireError where it is cut off."""
        sequence_number, offset = read_varint(view, offset)
        retire_prior_to, offset = read_varint(view, offset)
        if offset >= len(view):
            raise _short("QuicNewConnectionId", offset)
        end = offset + 1 + view[offset]
        if end + RESET_TOKEN_BYTES > len(view):
            raise _short("QuicNewConnectionId", offset)
        connection_id = bytes(view[offset + 1 : end])
        token = bytes(view[end : end + RESET_TOKEN_BYTES])
        return cls(sequence_number, retire_prior_to, connection_id, token), end + RESET_TOKEN_BYTES


class _PathFrame:
    __slots__ = ("data",)
    TYPE: ClassVar[int]

    def __init__(self, data: bytes) -> None:
        self.data = data

    def encode(self) -> bytes:
        """The frame with its type."""
        return self.TYPE.to_bytes(1, "big") + self.data


class PathChallenge(_PathFrame):
    """PATH_CHALLENGE: 8 bytes."""

    __slots__ = ()
    TYPE = FRAME_PATH_CHALLENGE

    @classmethod
    def decode(cls, view: memoryview, offset: int) -> tuple[PathChallenge, int]:
        """WireError where it is cut off."""
        return cls(_read_path_data(view, offset)), offset + PATH_DATA_BYTES


class PathResponse(_PathFrame):
    """PATH_RESPONSE: 8 bytes."""

    __slots__ = ()
    TYPE = FRAME_PATH_RESPONSE

    @classmethod
    def decode(cls, view: memoryview, offset: int) -> tuple[PathResponse, int]:
        """WireError where it is cut off."""
        return cls(_read_path_data(view, offset)), offset + PATH_DATA_BYTES


class ConnectionClose:
    """CONNECTION_CLOSE, of the transport or of the application, which has no frame type."""

    __slots__ = ("error_code", "frame_type", "is_application", "reason")

    def __init__(
        self, error_code: int, reason: Buffer, *, frame_type: int = 0, is_application: bool = False
    ) -> None:
        self.error_code = error_code
        self.reason = reason
        self.frame_type = frame_type
        self.is_application = is_application

    def encode(self) -> bytes:
        """The frame with its type."""
        if self.is_application:
            head = FRAME_CONNECTION_CLOSE_APPLICATION.to_bytes(1, "big") + encode_varint(self.error_code)
        else:
            head = FRAME_CONNECTION_CLOSE.to_bytes(1, "big") + encode_varint(self.error_code)
            head += encode_varint(self.frame_type)
        return head + encode_varint(len(self.reason)) + self.reason

    @classmethod
    def decode(cls, frame_type: int, view: memoryview, offset: int) -> tuple[ConnectionClose, int]:
        """frame_type: which of the two. WireError where it is cut off."""
        is_application = frame_type == FRAME_CONNECTION_CLOSE_APPLICATION
        error_code, offset = read_varint(view, offset)
        wrong_type = 0
        if not is_application:
            wrong_type, offset = read_varint(view, offset)
        reason, offset = _read_bytes(view, offset, "QuicConnectionClose")
        return cls(error_code, reason, frame_type=wrong_type, is_application=is_application), offset


def _read_bytes(view: memoryview, offset: int, name: str) -> tuple[memoryview, int]:
    length, offset = read_varint(view, offset)
    end = offset + length
    if end > len(view):
        raise _short(name, offset)
    return view[offset:end], end


def _read_path_data(view: memoryview, offset: int) -> bytes:
    if offset + PATH_DATA_BYTES > len(view):
        raise _short("QuicPath", offset)
    return bytes(view[offset : offset + PATH_DATA_BYTES])


def _short(name: str, offset: int) -> WireError:
    return WireError("cut off", format=name, offset=offset)


RESET_TOKEN_BYTES = 16
PATH_DATA_BYTES = 8
