"""The TCP connections of a capture, put together from their segments."""

from __future__ import annotations

from collections.abc import Iterable

from tests.captures.frames import frames
from wire.segments import Segment, Stream, segment_of
from wire.seqnum import seq_add
from wire.tcp import TcpFlag


class Direction:
    """What one end sent, in order. ends: how many bytes were there after which frame, for each that added any."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ends: list[tuple[int, int]] = []
        self.has_fin = self.has_rst = False
        self._stream: Stream | None = None

    def take(self, number: int, segment: Segment) -> None:
        """Add a segment."""
        flags = segment.header.flags
        self.has_rst = self.has_rst or bool(flags & TcpFlag.RST)
        self.has_fin = self.has_fin or bool(flags & TcpFlag.FIN)
        if segment.begins:
            self._stream = Stream(seq_add(segment.header.sequence, 1))
        elif self._stream is not None and segment.payload:
            for piece in self._stream.take(segment.header.sequence, bytes(segment.payload)):
                self.data += piece
            self.ends.append((number, len(self.data)))


class Connection:
    """What its client (who sent the SYN) and its server said."""

    def __init__(self, first: Segment) -> None:
        self.client = first.sender
        self.server = first.receiver
        self.there = Direction()
        self.back = Direction()


def connections_of(packets: Iterable[bytes], port: int) -> list[Connection]:
    """The connections to a port, in the order in which they began."""
    found: list[Connection] = []
    by_ends: dict[tuple[object, object], Direction] = {}
    for number, frame in enumerate(packets, start=1):
        segment = segment_of(frame)
        if segment is None:
            continue
        ends = segment.sender, segment.receiver
        if segment.begins and not segment.acknowledges and segment.receiver[1] == port:
            found.append(connection := Connection(segment))
            by_ends[ends], by_ends[ends[::-1]] = connection.there, connection.back
        if ends in by_ends:
            by_ends[ends].take(number, segment)
    return found


def connections(capture: str, port: int) -> list[Connection]:
    """The connections to a port in one of the captures from real machines."""
    return connections_of(frames(capture), port)
