"""Frames that carry bytes, but STREAM and DATAGRAM (RFC 9000 19.6, 19.7, 19.15, 19.17 to 19.19).

What is as long as it says (connection IDs, tokens of stateless resets, data of path challenges) is copied when decoded,
the rest is a slice of the buffer.
"""

from __future__ import annotations

from typing import ClassVar, Self

from wire.errors import WireError
from wire.quic.frame import Frame
from wire.quic.frame_types import (
    FRAME_CONNECTION_CLOSE,
    FRAME_CONNECTION_CLOSE_APPLICATION,
    FRAME_CRYPTO,
    FRAME_NEW_CONNECTION_ID,
    FRAME_NEW_TOKEN,
    FRAME_PATH_CHALLENGE,
    FRAME_PATH_RESPONSE,
)
from wire.quic.varint import VARINT_MAX, Buffer, encode_varint, read_varint


class Crypto(Frame):
    """CRYPTO. data: a slice of what was decoded."""

    __slots__ = FIELDS = ("offset", "data")

    def __init__(self, offset: int, data: Buffer) -> None:
        self.offset = offset
        self.data = memoryview(data)

    def encode(self) -> bytes:
        """The frame with its type; WireError where the offset has more than 62 bits."""
        return b"".join((
            encode_varint(FRAME_CRYPTO), encode_varint(self.offset), encode_varint(len(self.data)), self.data
        ))  # fmt: skip

    @classmethod
    def decode(cls, view: memoryview, offset: int) -> tuple[Crypto, int]:
        """WireError where it is cut off, or the data would end above 2^62 - 1."""
        at, offset = read_varint(view, offset)
        data, offset = _read_bytes(view, offset, "QuicCrypto")
        if at + len(data) > VARINT_MAX:
            raise WireError("the data ends above 2^62 - 1", format="QuicCrypto", field="offset", offset=offset)
        return cls(at, data), offset


class NewToken(Frame):
    """NEW_TOKEN."""

    __slots__ = FIELDS = ("token",)

    def __init__(self, token: Buffer) -> None:
        self.token = token

    def encode(self) -> bytes:
        """The frame with its type."""
        return b"".join((encode_varint(FRAME_NEW_TOKEN), encode_varint(len(self.token)), self.token))

    @classmethod
    def decode(cls, view: memoryview, offset: int) -> tuple[NewToken, int]:
        """WireError where it is cut off."""
        token, offset = _read_bytes(view, offset, "QuicNewToken")
        return cls(token), offset


class NewConnectionId(Frame):
    """NEW_CONNECTION_ID. connection_id, stateless_reset_token: bytes, 1 to 20 of the one and 16 of the other."""

    FIELDS: ClassVar[tuple[str, ...]] = (
        "sequence_number", "retire_prior_to", "connection_id", "stateless_reset_token",
    )  # fmt: skip
    __slots__ = FIELDS

    def __init__(
        self, sequence_number: int, retire_prior_to: int, connection_id: bytes, stateless_reset_token: bytes
    ) -> None:
        self.sequence_number = sequence_number
        self.retire_prior_to = retire_prior_to
        self.connection_id = connection_id
        self.stateless_reset_token = stateless_reset_token

    def encode(self) -> bytes:
        """The frame with its type; WireError where a value has more than 62 bits, or bytes have not their length."""
        return encode_varint(FRAME_NEW_CONNECTION_ID) + self.encode_body()

    def encode_body(self) -> bytes:
        """The frame without its type."""
        if len(self.connection_id) > MAX_LENGTH_BYTE:
            raise _wrong_length("QuicNewConnectionId", "connection_id", self.connection_id)
        if len(self.stateless_reset_token) != RESET_TOKEN_BYTES:
            raise _wrong_length("QuicNewConnectionId", "stateless_reset_token", self.stateless_reset_token)
        return b"".join((
            encode_varint(self.sequence_number), encode_varint(self.retire_prior_to),
            len(self.connection_id).to_bytes(1, "big"), self.connection_id, self.stateless_reset_token,
        ))  # fmt: skip

    @classmethod
    def decode(cls, view: memoryview, offset: int) -> tuple[Self, int]:
        """WireError where it is cut off; a connection ID of any length is told."""
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


class PathData(Frame):
    """Base of PATH_CHALLENGE and PATH_RESPONSE. data: 8 bytes."""

    __slots__ = FIELDS = ("data",)
    TYPE: ClassVar[int]

    def __init__(self, data: bytes) -> None:
        self.data = data

    def encode(self) -> bytes:
        """The frame with its type; WireError where `data` is not 8 bytes."""
        if len(self.data) != PATH_DATA_BYTES:
            raise _wrong_length("QuicPathData", "data", self.data)
        return encode_varint(self.TYPE) + self.data

    @classmethod
    def decode(cls, view: memoryview, offset: int) -> tuple[Self, int]:
        """WireError where it is cut off."""
        end = offset + PATH_DATA_BYTES
        if end > len(view):
            raise _short("QuicPathData", offset)
        return cls(bytes(view[offset:end])), end


class PathChallenge(PathData):
    """PATH_CHALLENGE: 8 bytes."""

    __slots__ = ()
    TYPE = FRAME_PATH_CHALLENGE


class PathResponse(PathData):
    """PATH_RESPONSE: 8 bytes."""

    __slots__ = ()
    TYPE = FRAME_PATH_RESPONSE


class ConnectionClose(Frame):
    """CONNECTION_CLOSE, of the transport or of the application, which has no frame type."""

    __slots__ = FIELDS = ("error_code", "reason", "frame_type", "is_application")

    def __init__(
        self, error_code: int, reason: Buffer, *, frame_type: int = 0, is_application: bool = False
    ) -> None:
        self.error_code = error_code
        self.reason = reason
        self.frame_type = frame_type
        self.is_application = is_application

    def encode(self) -> bytes:
        """The frame with its type; WireError where a value has more than 62 bits."""
        if self.is_application:
            head = encode_varint(FRAME_CONNECTION_CLOSE_APPLICATION) + encode_varint(self.error_code)
        else:
            head = encode_varint(FRAME_CONNECTION_CLOSE) + encode_varint(self.error_code)
            head += encode_varint(self.frame_type)
        return b"".join((head, encode_varint(len(self.reason)), self.reason))

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


def _short(name: str, offset: int) -> WireError:
    return WireError("cut off", format=name, offset=offset)


def _wrong_length(name: str, field: str, value: bytes) -> WireError:
    return WireError(f"{len(value)} bytes", format=name, field=field)


RESET_TOKEN_BYTES = 16
PATH_DATA_BYTES = 8
MAX_LENGTH_BYTE = 0xFF
