"""What was written to a stream and is not acknowledged yet: the application's own bytes, where they cannot change."""

from __future__ import annotations

from bisect import bisect_right

Data = bytes | bytearray | memoryview


class SendBuffer:
    """Bytes from `start` up to `end` of the stream; chunks: they, in order, but for the newest small ones.

    Large writes of `bytes` (or read-only views of them) are kept as they are; small ones are gathered; what the caller
    may still change is copied once.
    """

    __slots__ = ("_base", "_base_end", "_chunk", "_ends", "_tail", "chunks", "end", "start")

    def __init__(self) -> None:
        self.start = self.end = 0
        self.chunks: list[bytes | memoryview] = []
        self._ends: list[int] = []
        self._chunk: bytes | memoryview = b""  # the one at hand, and where it is
        self._base = self._base_end = 0
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
        base = self._base
        if not base <= start < end <= self._base_end:
            base = self._find(start, end, into, at)
            at += max(0, base - start)
            start = max(start, base)
        into[at : at + end - start] = self._chunk[start - base : end - base]

    def chunk_at(self, start: int) -> tuple[memoryview, int]:
        """The chunk that the byte `start`, which is there, lies in, and where in it."""
        if not self._base <= start < self._base_end:
            if not self._ends or start >= self._ends[-1]:
                self._freeze()
            index = bisect_right(self._ends, start)
            self._chunk, self._base_end = self.chunks[index], self._ends[index]
            self._base = self._base_end - len(self._chunk)
        return memoryview(self._chunk), start - self._base

    def _find(self, start: int, end: int, into: memoryview, at: int) -> int:
        """Have the chunk at hand in which the bytes end; where it begins. Those that are in chunks before are put."""
        if not self._ends or end > self._ends[-1]:
            self._freeze()
        ends = self._ends
        index = bisect_right(ends, start)
        chunk = self.chunks[index]
        base = ends[index] - len(chunk)
        while end > ends[index]:
            piece = chunk[start - base :]
            into[at : at + len(piece)] = piece
            at += len(piece)
            start = base = ends[index]
            index += 1
            chunk = self.chunks[index]
        self._chunk, self._base, self._base_end = chunk, base, ends[index]
        return base

    def release(self, start: int) -> None:
        """Forget what is below `start`."""
        self.start = start
        ends, count = self._ends, 0
        if not ends or ends[0] > start:
            return
        while count < len(ends) and ends[count] <= start:
            count += 1
        if count:
            del self.chunks[:count], ends[:count]
            if self._base_end <= start:
                self._chunk, self._base, self._base_end = b"", 0, 0

    def _freeze(self) -> None:
        if self._tail:
            self._add(bytes(self._tail))
            self._tail = None

    def _add(self, chunk: bytes | memoryview) -> None:
        self.chunks.append(chunk)
        self._ends.append((self._ends[-1] if self._ends else self.end - len(chunk)) + len(chunk))


def _kept(data: Data) -> bytes | memoryview:
    if isinstance(data, memoryview) and isinstance(data.obj, bytes) and data.c_contiguous:
        return data if data.format == "B" and data.ndim == 1 else data.cast("B")
    return bytes(data)


GATHERED_BYTES = 2048
CHUNK_BYTES = 16_384
