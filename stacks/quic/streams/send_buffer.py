"""What an application wrote and the peer has not acknowledged, in the pieces in which it was written."""

from __future__ import annotations

from bisect import bisect_right


class SendBuffer:
    """Bytes by their offsets in the stream. start: the least that is kept; end: behind the last that was written."""

    __slots__ = ("_pieces", "_starts", "end", "start")

    def __init__(self) -> None:
        self.start = self.end = 0
        self._pieces: list[memoryview] = []
        self._starts: list[int] = []

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Keep `data`; what may be changed by its owner is copied."""
        if len(data):
            self._pieces.append(memoryview(data if isinstance(data, bytes) else bytes(data)))
            self._starts.append(self.end)
            self.end += len(data)

    def copy(self, start: int, end: int, into: bytearray | memoryview, at: int) -> None:
        """Copy the bytes from `start` to `end` into a packet."""
        index = bisect_right(self._starts, start) - 1
        while start < end:
            piece, offset = self._pieces[index], start - self._starts[index]
            part = piece[offset : offset + end - start]
            stop = at + len(part)
            into[at:stop] = part
            at = stop
            start += len(part)
            index += 1

    def release(self, until: int) -> None:
        """Everything below `until` is acknowledged."""
        self.start = until
        starts = self._starts
        count = 0
        while count < len(starts) and starts[count] + len(self._pieces[count]) <= until:
            count += 1
        if count > RELEASE_PIECES or count == len(starts):
            del starts[:count], self._pieces[:count]

    def clear(self) -> None:
        """Nothing of it will be sent any more."""
        self._pieces.clear()
        self._starts.clear()
        self.start = self.end


RELEASE_PIECES = 16
"""Pieces are forgotten together, since the front of a list is dear to delete."""
