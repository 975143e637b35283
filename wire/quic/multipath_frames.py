"""Frames of several paths at once (draft-ietf-quic-multipath-21 4); PATH_ACK is in `ack_frames`."""

from __future__ import annotations

from typing import Self

from wire.quic.byte_frames import NewConnectionId
from wire.quic.frame_types import (
    FRAME_MAX_PATH_ID,
    FRAME_PATH_ABANDON,
    FRAME_PATH_CIDS_BLOCKED,
    FRAME_PATH_NEW_CONNECTION_ID,
    FRAME_PATH_RETIRE_CONNECTION_ID,
    FRAME_PATH_STATUS_AVAILABLE,
    FRAME_PATH_STATUS_BACKUP,
    FRAME_PATHS_BLOCKED,
)
from wire.quic.integer_frames import IntegerFrame
from wire.quic.varint import encode_varint, read_varint


class PathAbandon(IntegerFrame):
    """PATH_ABANDON."""

    __slots__ = FIELDS = ("path_id", "error_code")
    TYPE = FRAME_PATH_ABANDON
    path_id: int
    error_code: int


class PathStatusBackup(IntegerFrame):
    """PATH_STATUS_BACKUP."""

    __slots__ = FIELDS = ("path_id", "sequence_number")
    TYPE = FRAME_PATH_STATUS_BACKUP
    path_id: int
    sequence_number: int


class PathStatusAvailable(IntegerFrame):
    """PATH_STATUS_AVAILABLE; its sequence numbers are those of PATH_STATUS_BACKUP, too."""

    __slots__ = FIELDS = ("path_id", "sequence_number")
    TYPE = FRAME_PATH_STATUS_AVAILABLE
    path_id: int
    sequence_number: int


class PathNewConnectionId(NewConnectionId):
    """PATH_NEW_CONNECTION_ID: a NEW_CONNECTION_ID of one path."""

    __slots__ = ("path_id",)
    FIELDS = ("path_id", *NewConnectionId.FIELDS)

    def __init__(
        self,
        sequence_number: int,
        retire_prior_to: int,
        connection_id: bytes,
        stateless_reset_token: bytes,
        *,
        path_id: int = 0,
    ) -> None:
        super().__init__(sequence_number, retire_prior_to, connection_id, stateless_reset_token)
        self.path_id = path_id

    def encode(self) -> bytes:
        """The frame with its type; WireError as of NEW_CONNECTION_ID."""
        return encode_varint(FRAME_PATH_NEW_CONNECTION_ID) + encode_varint(self.path_id) + self.encode_body()

    @classmethod
    def decode(cls, view: memoryview, offset: int) -> tuple[Self, int]:
        """WireError where it is cut off."""
        path_id, offset = read_varint(view, offset)
        frame, offset = super().decode(view, offset)
        frame.path_id = path_id
        return frame, offset


class PathRetireConnectionId(IntegerFrame):
    """PATH_RETIRE_CONNECTION_ID."""

    __slots__ = FIELDS = ("path_id", "sequence_number")
    TYPE = FRAME_PATH_RETIRE_CONNECTION_ID
    path_id: int
    sequence_number: int


class MaxPathId(IntegerFrame):
    """MAX_PATH_ID: the highest path that the receiver may open."""

    __slots__ = FIELDS = ("maximum",)
    TYPE = FRAME_MAX_PATH_ID
    maximum: int


class PathsBlocked(IntegerFrame):
    """PATHS_BLOCKED: at which limit."""

    __slots__ = FIELDS = ("limit",)
    TYPE = FRAME_PATHS_BLOCKED
    limit: int


class PathCidsBlocked(IntegerFrame):
    """PATH_CIDS_BLOCKED: for want of which connection ID."""

    __slots__ = FIELDS = ("path_id", "next_sequence_number")
    TYPE = FRAME_PATH_CIDS_BLOCKED
    path_id: int
    next_sequence_number: int
