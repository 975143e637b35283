"""Zeroes, of any bytes: whole blocks by a command or by writing them out, parts of blocks in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.nbd.backend import Backend, Done, Ended
from stacks.nvme.nbd.outcome import Gathering, attempt
from stacks.nvme.nbd.request import Request
from wire.nbd import CommandFlag

if TYPE_CHECKING:
    from stacks.nvme.nbd.changes import Changes


class Zeroing:
    """One request. is_partial: whether it starts or ends inside a block.

    A client that wants no hole, and a backend that has no command for it, get zeroes that are written out.
    """

    def __init__(self, changes: Changes, request: Request) -> None:
        self._changes = changes
        size = self._block_bytes = changes.export.block_bytes
        start, end = request.offset, request.offset + request.length
        self._first, self._last = -(-start // size), end // size
        self._parts: list[tuple[int, int, int]] = []
        if self._first > self._last:
            self._parts.append((self._last, start % size, end % size))
        else:
            if start % size:
                self._parts.append((self._first - 1, start % size, size))
            if end % size:
                self._parts.append((self._last, 0, end % size))
        self.is_partial = bool(self._parts)

    def start(self, request: Request) -> None:
        """Do it; the blocks are claimed."""
        changes = self._changes
        backend, count = changes.backend, max(0, self._last - self._first)

        def ended(ended: Ended) -> None:
            changes.finish(request, ended)

        gathering = Gathering(len(self._parts) + bool(count), ended)
        for block, begin, end in self._parts:
            PartialZeroing(backend, block, (begin, end), gathering.ended).start(self._block_bytes)
        if not count:
            return
        if changes.export.can_write_zeroes and not request.flags & CommandFlag.NO_HOLE.value:
            attempt(backend.write_zeroes, self._first, count, done=gathering.ended)
        else:
            WrittenZeroes(backend, self._block_bytes, gathering.ended).start(self._first, count)


class PartialZeroing:
    """Zeroes within one block. part: where in it they start and end."""

    def __init__(self, backend: Backend, block: int, part: tuple[int, int], done: Done) -> None:
        self._backend = backend
        self._block = block
        self._part = part
        self._done = done
        self._memory = memoryview(b"")

    def start(self, block_bytes: int) -> None:
        """Read the block."""
        self._memory = memoryview(bytearray(block_bytes))
        attempt(self._backend.read, self._block, self._memory, done=self._read)

    def _read(self, ended: Ended) -> None:
        if ended.status:
            self._done(ended)
            return
        begin, end = self._part
        self._memory[begin:end] = bytes(end - begin)
        attempt(self._backend.write, self._block, self._memory, done=self._done)


class WrittenZeroes:
    """Whole blocks of zeroes, written piece after piece, so that a request of any length takes little memory."""

    def __init__(self, backend: Backend, block_bytes: int, done: Done) -> None:
        self._backend = backend
        self._block_bytes = block_bytes
        self._done = done
        self._block = self._blocks = 0

    def start(self, block: int, blocks: int) -> None:
        """Write the first piece."""
        self._block, self._blocks = block, blocks
        self._write_piece()

    def _write_piece(self) -> None:
        block, count = self._block, min(self._blocks, PIECE_BYTES // self._block_bytes)
        self._block, self._blocks = block + count, self._blocks - count
        zeroes = memoryview(ZEROES)[: count * self._block_bytes]
        attempt(self._backend.write, block, zeroes, done=self._written)

    def _written(self, ended: Ended) -> None:
        if ended.status or not self._blocks:
            self._done(ended)
        else:
            self._write_piece()


PIECE_BYTES = 1 << 20
ZEROES = bytes(PIECE_BYTES)
