"""Frames about streams: credit, limits, resets, STOP_SENDING, and that we are blocked (RFC 9000 4, 13.3, 19).

What is said is always what holds when the packet is built. A lost frame is said again only if it is still the one that
would be said: so a lost MAX_DATA that a newer one followed is not.
"""

from __future__ import annotations

from typing import Protocol

from stacks.quic.packet_writer import PacketWriter

Key = tuple[int, int]
"""One of the kinds below, and the stream or the kind of streams that it is about; 0 for the connection."""

MAX_DATA, MAX_STREAM_DATA, MAX_STREAMS, RESET, STOP, BLOCKED, STREAM_BLOCKED, STREAMS_BLOCKED = range(8)


class ControlOwner(Protocol):
    """Whoever knows what is to be said: the streams of a connection."""

    has_frames: bool

    def control_frame(self, key: Key) -> bytes | None:
        """What is to be said for a key now; None for nothing (any more)."""

    def control_told(self, key: Key) -> None:
        """It went into a packet."""

    def control_arrived(self, key: Key) -> None:
        """The peer has the frame that would still be said."""


class ControlFrames:
    """What is to be said, each thing once, in the order in which it came up. due: the keys."""

    __slots__ = ("_owner", "due")

    def __init__(self, owner: ControlOwner) -> None:
        self.due: dict[Key, None] = {}
        self._owner = owner

    def say(self, kind: int, number: int = 0) -> None:
        """Have it said in the next packet that has room."""
        self.due[kind, number] = None
        self._owner.has_frames = True

    def write(self, packet: PacketWriter) -> bool:
        """As many as fit; whether that is all."""
        due = self.due
        for key in list(due):
            frame = self._owner.control_frame(key)
            if frame is not None:
                if not packet.put(frame, ControlRecord(self, key, frame)):
                    return False
                self._owner.control_told(key)
            del due[key]
        return True

    def acked(self, key: Key, frame: bytes) -> None:
        """The peer has `frame`."""
        if frame == self._owner.control_frame(key):
            self._owner.control_arrived(key)

    def lost(self, key: Key, frame: bytes) -> None:
        """The peer has not."""
        if key not in self.due and frame == self._owner.control_frame(key):
            self.say(*key)


class ControlRecord:
    """One frame that was sent."""

    __slots__ = ("_frame", "_key", "_owner")

    def __init__(self, owner: ControlFrames, key: Key, frame: bytes) -> None:
        self._owner = owner
        self._key = key
        self._frame = frame

    def acked(self, now: int) -> None:  # noqa: ARG002
        """As of `SentFrame`."""
        self._owner.acked(self._key, self._frame)

    def lost(self, now: int) -> None:  # noqa: ARG002
        """As of `SentFrame`."""
        self._owner.lost(self._key, self._frame)
