"""Frames that are integers alone (RFC 9000 19, draft-ietf-quic-ack-frequency 4, -reliable-stream-reset 4)."""

from __future__ import annotations

from typing import ClassVar, Self

from wire.quic.frame import Frame
from wire.quic.frame_types import (
    FRAME_ACK_FREQUENCY,
    FRAME_DATA_BLOCKED,
    FRAME_HANDSHAKE_DONE,
    FRAME_IMMEDIATE_ACK,
    FRAME_MAX_DATA,
    FRAME_MAX_STREAM_DATA,
    FRAME_MAX_STREAMS_BIDI,
    FRAME_MAX_STREAMS_UNI,
    FRAME_PING,
    FRAME_RESET_STREAM,
    FRAME_RESET_STREAM_AT,
    FRAME_RETIRE_CONNECTION_ID,
    FRAME_STOP_SENDING,
    FRAME_STREAM_DATA_BLOCKED,
    FRAME_STREAMS_BLOCKED_BIDI,
    FRAME_STREAMS_BLOCKED_UNI,
)
from wire.quic.varint import Buffer, encode_varint, read_varint


class IntegerFrame(Frame):
    """A frame of integers alone, in the order of `FIELDS`."""

    __slots__ = ()
    TYPE: ClassVar[int]

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
