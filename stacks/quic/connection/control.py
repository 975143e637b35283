"""Control frames that belong to no other concern: HANDSHAKE_DONE, NEW_TOKEN, PING, ACK frequency.

Each is said again when it is lost; what was said meanwhile anew under the same name takes its place.
"""

from __future__ import annotations

from collections import OrderedDict

from stacks.quic.packet_writer import PacketWriter


class ControlFrames:
    """A `FrameSource` for 1-RTT packets. has_frames: whether anything waits."""

    __slots__ = ("_current", "_waiting", "has_frames")

    def __init__(self) -> None:
        self.has_frames = False
        self._waiting: OrderedDict[str, bytes] = OrderedDict()
        self._current: dict[str, bytes] = {}

    def say(self, name: str, frame: bytes) -> None:
        """Send `frame`; a former one of the same name is obsolete."""
        self._current[name] = frame
        self._waiting[name] = frame
        self.has_frames = True

    def write_frames(self, packet: PacketWriter, now: int) -> None:  # noqa: ARG002
        """As of `FrameSource`."""
        while self._waiting:
            name, frame = next(iter(self._waiting.items()))
            if not packet.put(frame, ControlRecord(self, name, frame)):
                return
            del self._waiting[name]
        self.has_frames = False

    def arrived(self, name: str, frame: bytes) -> None:
        """It need not be said again."""
        if self._current.get(name) is frame:
            del self._current[name]
            self._waiting.pop(name, None)
            self.has_frames = bool(self._waiting)

    def repeat(self, name: str, frame: bytes) -> None:
        """It got lost."""
        if self._current.get(name) is frame:
            self._waiting[name] = frame
            self.has_frames = True


class ControlRecord:
    """One frame that was sent."""

    __slots__ = ("_frame", "_name", "_owner")

    def __init__(self, owner: ControlFrames, name: str, frame: bytes) -> None:
        self._owner = owner
        self._name = name
        self._frame = frame

    def acked(self, now: int) -> None:  # noqa: ARG002
        """As of `SentFrame`."""
        self._owner.arrived(self._name, self._frame)

    def lost(self, now: int) -> None:  # noqa: ARG002
        """As of `SentFrame`."""
        self._owner.repeat(self._name, self._frame)
