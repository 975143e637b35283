"""What was written to a stream and is not acknowledged yet: the application's own bytes, where they cannot change."""

from __future__ import annotations

from bisect import bisect_right

Data = bytes | bytearray | memoryview


class SendBuffer:
    """Bytes from `start` up to `end` of the stream, in chunks.

    Large writes of `bytes` (or read-only views of them) are kept as they are; small ones are gathered; what the caller
    may still change is copied once.
    """

    __slots__ = ("_chunks", "_ends", "_hint", "_tail", "end", "start")

    def __init__(self) -> None:
        self.start = self.end = 0
        self._chunks: list[bytes | memoryview] = []
        self._ends: list[int] = []
        self._hint = 0
        self._tail: bytearray | None = None

    def append(self, data: Data) -> None:
        """More, behind all that is there."""
        size = data.nbytes if isinstance(data, memoryview) else len(data)
        if size < GATHERED_BYTES:
            if self._tail is None:
                self._tail = bytearray()
            self._tail += data
            self.end += size
            if len(self._tail) >= CHUNK_BYTES:
                self._freeze()
        else:
            self._freeze()
            self.end += size
            self._add(_kept(data))

    def copy(self, start: int, end: int, into: memoryview, at: int) -> None:
        """Put the bytes from `start` up to `end`, which are there, into `into` from `at` on."""
        ends, index = self._ends, self._hint
        if not ends or end > ends[-1]:
            self._freeze()
        chunk = self._chunks[index] if index < len(ends) else b""
        base = ends[index] - len(chunk) if chunk else end
        if not base <= start < base + len(chunk):
            index = self._hint = bisect_right(ends, start)
            chunk = self._chunks[index]
            base = ends[index] - len(chunk)
        while end > ends[index]:
            piece = chunk[start - base :]
            behind = at + len(piece)
            into[at:behind] = piece
            at, start, base = behind, ends[index], ends[index]
            index += 1
            chunk = self._chunks[index]
            self._hint = index
        into[at : at + end - start] = chunk[start - base : end - base]

    def release(self, start: int) -> None:
        """Forget what is below `start`."""
        self.start = start
        ends, count = self._ends, 0
        while count < len(ends) and ends[count] <= start:
            count += 1
        if count:
            del self._chunks[:count], ends[:count]
            self._hint = max(0, self._hint - count)

    def _freeze(self) -> None:
        if self._tail:
            self._add(bytes(self._tail))
            self._tail = None

    def _add(self, chunk: bytes | memoryview) -> None:
        self._chunks.append(chunk)
        self._ends.append((self._ends[-1] if self._ends else self.end - len(chunk)) + len(chunk))


def _kept(data: Data) -> bytes | memoryview:
    if isinstance(data, memoryview) and isinstance(data.obj, bytes) and data.c_contiguous:
        return data if data.format == "B" and data.ndim == 1 else data.cast("B")
    return bytes(data)


GATHERED_BYTES = 2048
CHUNK_BYTES = 16_384
