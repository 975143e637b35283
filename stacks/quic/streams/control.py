"""Frames about streams: credit, limits, resets, STOP_SENDING, and that we are blocked (RFC 9000 4, 13.3, 19).

What is said is always what holds when the packet is built; where a frame is lost, it is said anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.quic.packet_writer import PacketWriter
from stacks.quic.streams.sending import SendStream
from wire.quic.frames import (
    DataBlocked,
    MaxData,
    MaxStreamData,
    MaxStreams,
    ResetStream,
    ResetStreamAt,
    StopSending,
    StreamDataBlocked,
    StreamsBlocked,
)

if TYPE_CHECKING:
    from stacks.quic.streams.streams import Streams

Key = tuple[str, int]


class StreamControl:
    """What is to be said, each thing once. has_frames: anything at all."""

    __slots__ = ("_due", "_stop_codes", "_streams", "has_frames")

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._due: dict[Key, None] = {}
        self._stop_codes: dict[int, int] = {}
        self.has_frames = False

    def max_data(self) -> None:
        """The connection's window moved."""
        self._say(("max_data", 0))

    def max_stream_data(self, stream_id: int) -> None:
        """A stream's window moved."""
        self._say(("max_stream_data", stream_id))

    def max_streams(self, kind: int) -> None:
        """The peer may open more; kind: 1 for unidirectional streams."""
        self._say(("max_streams", kind))

    def reset(self, stream: SendStream) -> None:
        """A stream of ours was reset."""
        self._say(("reset", stream.stream_id))

    def stop_sending(self, stream_id: int, code: int) -> None:
        """We read no more of a stream."""
        self._stop_codes[stream_id] = code
        self._say(("stop_sending", stream_id))

    def note_blocked(self, stream: SendStream) -> None:
        """A stream could not be served: say what it lacks, if that is credit."""
        streams = self._streams
        if stream.next_offset >= stream.buffer.end:
            return
        if not streams._may_be_seen(stream.stream_id):
            self._say(("streams_blocked", stream.stream_id >> 1 & 1))
        elif stream.next_offset >= stream.credit:
            self._say(("stream_data_blocked", stream.stream_id))
        elif streams.sent_bytes >= streams.send_credit:
            self._say(("data_blocked", 0))

    def write_frames(self, packet: PacketWriter) -> None:
        """As of `FrameSource`."""
        due = self._due
        while due:
            key = next(iter(due))
            frame = self._frame(key)
            if frame is not None and not packet.put(frame, ControlRecord(self, key)):
                return
            del due[key]
        self.has_frames = False

    def repeat(self, key: Key) -> None:
        """The frame was lost."""
        self._say(key)
        self._streams.has_frames = True

    def arrived(self, key: Key) -> None:
        """The frame was acknowledged."""
        name, number = key
        if name == "reset":
            stream = self._streams.sender(number)
            if stream is not None and stream.reset_code is not None and stream.buffer.start >= stream.reliable_bytes:
                self._streams.reset_done(stream)
        elif name == "stop_sending":
            self._stop_codes.pop(number, None)

    def _say(self, key: Key) -> None:
        self._due[key] = None
        self.has_frames = True

    def _frame(self, key: Key) -> bytes | None:
        name, number = key
        return FRAMES[name](self, number)

    def _max_data(self, _: int) -> bytes | None:
        return MaxData(self._streams.receive_window).encode()

    def _max_stream_data(self, stream_id: int) -> bytes | None:
        stream = self._streams.receiver(stream_id)
        if stream is None or stream.final_size is not None or stream.is_stopped:
            return None
        return MaxStreamData(stream_id, stream.window).encode()

    def _max_streams(self, kind: int) -> bytes | None:
        frame = MaxStreams(self._streams.peer_stream_limits[kind])
        return frame.encode_uni() if kind else frame.encode()

    def _reset(self, stream_id: int) -> bytes | None:
        stream = self._streams.sender(stream_id)
        if stream is None or stream.reset_code is None:
            return None
        if stream.reliable_bytes:
            return ResetStreamAt(stream_id, stream.reset_code, stream.next_offset, stream.reliable_bytes).encode()
        return ResetStream(stream_id, stream.reset_code, stream.next_offset).encode()

    def _stop_sending(self, stream_id: int) -> bytes | None:
        code = self._stop_codes.get(stream_id)
        return None if code is None else StopSending(stream_id, code).encode()

    def _data_blocked(self, _: int) -> bytes | None:
        streams = self._streams
        return DataBlocked(streams.send_credit).encode() if streams.sent_bytes >= streams.send_credit else None

    def _stream_data_blocked(self, stream_id: int) -> bytes | None:
        stream = self._streams.sender(stream_id)
        if stream is None or stream.next_offset < stream.credit or stream.next_offset >= stream.buffer.end:
            return None
        return StreamDataBlocked(stream_id, stream.credit).encode()

    def _streams_blocked(self, kind: int) -> bytes | None:
        frame = StreamsBlocked(self._streams.stream_limit(kind))
        return frame.encode_uni() if kind else frame.encode()


class ControlRecord:
    """One frame that was sent."""

    __slots__ = ("_key", "_owner")

    def __init__(self, owner: StreamControl, key: Key) -> None:
        self._owner = owner
        self._key = key

    def acked(self, now: int) -> None:  # noqa: ARG002
        """As of `SentFrame`."""
        self._owner.arrived(self._key)

    def lost(self, now: int) -> None:  # noqa: ARG002
        """As of `SentFrame`."""
        self._owner.repeat(self._key)


# ruff: noqa: SLF001 - the table is of the class above
FRAMES: dict[str, Callable[[StreamControl, int], bytes | None]] = {
    "max_data": StreamControl._max_data,
    "max_stream_data": StreamControl._max_stream_data,
    "max_streams": StreamControl._max_streams,
    "reset": StreamControl._reset,
    "stop_sending": StreamControl._stop_sending,
    "data_blocked": StreamControl._data_blocked,
    "stream_data_blocked": StreamControl._stream_data_blocked,
    "streams_blocked": StreamControl._streams_blocked,
}
