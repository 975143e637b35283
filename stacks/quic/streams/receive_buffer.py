"""What came of a stream: bytes in order that wait to be read, and runs of bytes behind gaps.

In order, a frame is one append. Small pieces are gathered, so that a flood of them costs no more than its bytes; gaps
are counted over a whole connection (`GapBudget`), because each costs more than the byte that makes it.
"""

from __future__ import annotations

from bisect import bisect_right

from stacks.quic.errors import QuicError, TransportErrorCode

Chunk = bytes | bytearray


class GapBudget:
    """How many runs behind gaps all streams of a connection may have together.

    An honest sender makes a gap by a lost or late packet: there are never more than packets in a window.
    """

    __slots__ = ("count", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.count = 0

    def take(self) -> None:
        """Another one; QuicError INTERNAL_ERROR where there are too many."""
        if self.count >= self.limit:
            raise QuicError(TransportErrorCode.INTERNAL_ERROR, f"more than {self.limit} gaps in what was received")
        self.count += 1


class ReceiveBuffer:
    """start: how far it was read. end: how far it is complete, in bytes of the stream. chunks: what is between."""

    __slots__ = ("_budget", "_head", "_runs", "chunks", "end", "start")

    def __init__(self, budget: GapBudget) -> None:
        self.start = self.end = 0
        self._budget = budget
        self.chunks: list[Chunk] = []
        self._head = 0  # bytes of the first chunk that were read
        self._runs: list[_Run] | None = None

    @property
    def gaps(self) -> int:
        """How many runs there are behind gaps."""
        return 0 if self._runs is None else len(self._runs)

    def add(self, offset: int, view: memoryview) -> None:
        """Bytes at `offset`; copied as far as they are new."""
        behind = offset + len(view)
        if offset > self.end:
            if behind > offset:
                self._add_behind_gap(offset, behind, view)
            return
        if behind > self.end:
            append(self.chunks, view if offset == self.end else view[self.end - offset :])
            self.end = behind
            if self._runs is not None:
                self._close_gap(self._runs)

    def read(self, limit: int) -> bytes:
        """The next bytes in order, `limit` at most."""
        chunks = self.chunks
        if limit >= self.end - self.start:
            if not chunks:
                return b""
            if self._head:
                chunks[0] = chunks[0][self._head :]
                self._head = 0
            data = bytes(chunks[0]) if len(chunks) == 1 else b"".join(chunks)
            chunks.clear()
            self.start = self.end
            return data
        return self._read_part(limit)

    def discard(self) -> None:
        """Forget everything; nothing is to be read or added any more."""
        self.chunks.clear()
        self.start, self._head = self.end, 0
        if self._runs is not None:
            self._budget.count -= len(self._runs)
            self._runs = None

    def _read_part(self, limit: int) -> bytes:
        parts: list[Chunk] = []
        chunks, left, count = self.chunks, limit, 0
        while left > 0:
            chunk = chunks[count]
            rest = len(chunk) - self._head
            if rest > left:
                parts.append(chunk[self._head : self._head + left])
                self._head += left
                break
            parts.append(chunk[self._head :] if self._head else chunk)
            self._head = 0
            left -= rest
            count += 1
        del chunks[:count]
        self.start += limit
        return b"".join(parts)

    def _add_behind_gap(self, offset: int, behind: int, view: memoryview) -> None:
        """Into the run that reaches `offset`, or a new one; it swallows those that it meets."""
        if self._runs is None:
            self._runs = []
        runs = self._runs
        index = bisect_right(runs, offset, key=_start)
        if index and runs[index - 1].end >= offset:
            index -= 1
        else:
            self._budget.take()
            runs.insert(index, _Run(offset))
        run, following = runs[index], index + 1
        while True:
            upto = behind
            if following < len(runs) and runs[following].start < behind:
                upto = runs[following].start
            if upto > run.end:
                append(run.chunks, view[run.end - offset : upto - offset])
                run.end = upto
            if following == len(runs) or runs[following].start > run.end:
                return
            run.chunks += runs[following].chunks
            run.end = runs[following].end
            del runs[following]
            self._budget.count -= 1

    def _close_gap(self, runs: list[_Run]) -> None:
        """Take over the runs that the complete part has reached."""
        count = 0
        while count < len(runs) and runs[count].start <= self.end:
            run = runs[count]
            count += 1
            if run.end > self.end:
                self._take(run)
        if count:
            del runs[:count]
            self._budget.count -= count
            if not runs:
                self._runs = None

    def _take(self, run: _Run) -> None:
        skipped = self.end - run.start
        for chunk in run.chunks:
            if skipped >= len(chunk):
                skipped -= len(chunk)
                continue
            self.chunks.append(chunk[skipped:] if skipped else chunk)
            skipped = 0
        self.end = run.end


class _Run:
    """Bytes without a gap, behind one."""

    __slots__ = ("chunks", "end", "start")

    def __init__(self, start: int) -> None:
        self.start = self.end = start
        self.chunks: list[Chunk] = []


def append(chunks: list[Chunk], view: memoryview) -> None:
    """Put a copy of `view` behind the others; a small one into the last, if that is small too."""
    if len(view) >= GATHERED_BYTES:
        chunks.append(bytes(view))
        return
    last = chunks[-1] if chunks else None
    if isinstance(last, bytearray) and len(last) < CHUNK_BYTES:
        last += view
    else:
        chunks.append(bytearray(view))


def _start(run: _Run) -> int:
    return run.start


GATHERED_BYTES = 512
CHUNK_BYTES = 4096
