"""The transmission of one client: requests in, operations on the backend, replies out.

    take   -> Request -> backend                          reads, at once
                      -> Changes -> Claims -> backend     what changes blocks
    backend -> Answers -> Replies -> sent                 then the request is free again

Many requests are taken from one receive, and many replies leave with one send. Requests are carried out and answered in
any order, as the protocol has it.

Follows the NBD project's doc/proto.md, transmission phase.
"""

from __future__ import annotations

from stacks.nvme.nbd.answers import Answers
from stacks.nvme.nbd.changes import Changes
from stacks.nvme.nbd.checks import FLUSH, READ, TRIM, WRITE, Problem, problem
from stacks.nvme.nbd.configuration import NbdConfig, NbdCounters
from stacks.nvme.nbd.outcome import attempt, refused
from stacks.nvme.nbd.request import HEAD_BYTES, Request
from stacks.runtime import LocalError
from wire.nbd import PORTABLE_BYTES_MAX, CommandKind, NbdError, NbdRequest


class Transmission:
    """One client's.

    answers: what answers it. needs_room: whether the next request waits until one of those under way is over.
    is_disconnecting: the client said that it ends; is_broken: it said nonsense. is_stopping: nothing more is done.
    """

    def __init__(self, changes: Changes, answers: Answers, *, config: NbdConfig, counters: NbdCounters) -> None:
        export = changes.export
        self.needs_room = self.is_disconnecting = self.is_broken = self.is_stopping = False
        self._export = export
        self._backend = changes.backend
        self._changes = changes
        self._answers = answers
        self._requests = answers.requests
        self._limit = config.client_requests
        self._counters = counters
        self._size = export.size_bytes
        self._mask = export.block_bytes - 1
        self._shift = self._mask.bit_length()
        self._filling: Request | None = None
        self._filled = 0
        self._to_skip = 0
        self._refused: tuple[Request, NbdError, str] | None = None

    # What the client says

    def take(self, buffer: memoryview, start: int, end: int) -> int:
        """Act on what is there; up to where it is used."""
        self.needs_room = False
        while True:
            if self._filling is not None or self._to_skip:
                start = self._take_data(buffer, start, end)
                if self._filling is not None or self._to_skip:
                    return start
            if end - start < REQUEST_BYTES or self.is_disconnecting or self.is_broken:
                return start
            start = self._take_reads(buffer, start, end)
            if end - start < REQUEST_BYTES or self.needs_room or not self._take_one(buffer, start):
                return start
            start += REQUEST_BYTES

    def sink(self) -> memoryview | None:
        """Where data under way goes, if there is so much that it should be received there."""
        if self._filling is None or len(self._filling.data) - self._filled < DIRECT_BYTES:
            return None
        return self._filling.data[self._filled :]

    def sunk(self, length: int) -> None:
        """So much was received into `sink`."""
        self._filled += length

    def stop(self) -> None:
        """Carry out no more requests."""
        self.is_stopping = True
        self._size = 0

    def close(self) -> None:
        """The client says nothing more: a write that is not all there is none."""
        for request in (self._filling, self._refused[0] if self._refused is not None else None):
            if request is not None:
                self._answers.release(request)
        self._filling = self._refused = None
        self._to_skip = 0

    def _take_reads(self, buffer: memoryview, start: int, end: int) -> int:
        # Reads of whole blocks in a row, which is what most of all requests are.
        mask, shift, size, room = self._mask, self._shift, self._size, self._limit - self._answers.under_way
        first, moved = start, 0
        while end - start >= REQUEST_BYTES:
            magic, word, cookie_high, cookie, high, offset, length = WORDS(buffer, start)
            offset |= high << 32
            if word or magic != REQUEST_MAGIC or (offset | length) & mask or not 0 < length <= PORTABLE_BYTES_MAX:
                break
            if offset + length > size:
                break
            request = self._requests.take(length) if room else None
            if request is None:
                self._wait()
                break
            start += REQUEST_BYTES
            room -= 1
            moved += length
            request.cookie = cookie_high << 32 | cookie
            request.offset = offset
            request.length = length
            if request.shaped != length:
                request.shape(length)
            self._read(request, offset >> shift)
        count = (start - first) // REQUEST_BYTES
        self._answers.under_way += count
        self._counters.reads += count
        self._counters.bytes_read += moved
        return start

    def _take_one(self, buffer: memoryview, start: int) -> bool:
        """Take a request of any kind; False when that is not possible, or was the last."""
        magic, word, cookie_high, cookie, high, offset, length = WORDS(buffer, start)
        kind = word & 0xFFFF
        if magic != REQUEST_MAGIC or kind == DISC:
            self.is_disconnecting = magic == REQUEST_MAGIC
            self.is_broken = not self.is_disconnecting
            return False
        data_bytes = length if kind in MOVES and length <= PORTABLE_BYTES_MAX else 0
        request = self._requests.take(data_bytes) if self._answers.under_way < self._limit else None
        if request is None:
            self._wait()
            return False
        self._answers.under_way += 1
        request.cookie = cookie_high << 32 | cookie
        request.offset = offset | high << 32
        request.length = length
        request.flags = word >> 16
        self._begin(request, kind)
        return True

    def _wait(self) -> None:
        self.needs_room = True
        self._counters.waits += 1

    def _take_data(self, buffer: memoryview, start: int, end: int) -> int:
        """Take data of a write, or what is left of a refused one."""
        if self._to_skip:
            skipped = min(self._to_skip, end - start)
            self._to_skip -= skipped
            if not self._to_skip and self._refused is not None:
                self._answers.fail(*self._refused)
                self._refused = None
            return start + skipped
        request = self._filling
        assert request is not None
        filled = self._filled
        taken = min(len(request.data) - filled, end - start)
        if taken:
            request.data[filled : filled + taken] = buffer[start : start + taken]
            self._filled = filled = filled + taken
        if filled == len(request.data):
            self._filling = None
            self._changes.write(request)
        return start + taken

    # What is done about it

    def _begin(self, request: Request, kind: int) -> None:
        offset, length = request.offset, request.length
        wrong: Problem | None = SHUTTING_DOWN
        if not self.is_stopping:
            is_structured = self._answers.is_structured
            wrong = problem(self._export, kind, request.flags, offset, length, is_structured=is_structured)
        if wrong is not None:
            self._refuse(request, kind, *wrong)
        elif kind == FLUSH:
            self._counters.flushes += 1
            attempt(self._backend.flush, done=request.flush_ended)
        elif not length:
            # The protocol leaves this open; nothing is done, with success, as qemu does.
            (self._answers.succeed_empty if kind == READ else self._answers.succeed)(request)
        elif kind == READ:
            self._counters.reads += 1
            self._counters.bytes_read += length
            request.shape(length, lead=offset & self._mask, block_bytes=self._mask + 1)
            self._read(request, offset >> self._shift)
        else:
            request.first = offset >> self._shift
            request.last = (offset + length + self._mask) >> self._shift
            self._change(request, kind)

    def _change(self, request: Request, kind: int) -> None:
        if kind == WRITE:
            self._counters.writes += 1
            self._counters.bytes_written += request.length
            lead = request.offset & self._mask
            if lead or request.shaped != request.length:
                request.shape(request.length, lead=lead, block_bytes=self._mask + 1)
            self._filling, self._filled = request, 0
        elif kind == TRIM:
            self._counters.trims += 1
            self._changes.trim(request)
        else:
            self._counters.write_zeroes += 1
            self._changes.write_zeroes(request)

    def _read(self, request: Request, block: int) -> None:
        try:
            if request.region is None:
                self._backend.read(block, request.blocks, done=request.read_ended)
            else:
                self._backend.read(
                    block, request.blocks, region=request.region, offset=HEAD_BYTES, done=request.read_ended
                )
        except LocalError as error:
            request.read_ended(refused(error))

    def _refuse(self, request: Request, kind: int, error: NbdError, text: str) -> None:
        if kind == WRITE and request.length:
            self._to_skip = request.length
            self._refused = request, error, text
        else:
            self._answers.fail(request, error, text)


WORDS = NbdRequest.words(1, NbdRequest.SIZE)
REQUEST_BYTES, REQUEST_MAGIC = NbdRequest.SIZE, NbdRequest().magic
DISC = CommandKind.DISC.value
MOVES = frozenset({READ, WRITE})
SHUTTING_DOWN = (NbdError.ESHUTDOWN, "the server is shutting down")

DIRECT_BYTES = 16 << 10
"""Data of which so much is still to come is received where it belongs; less is cheaper to copy."""
