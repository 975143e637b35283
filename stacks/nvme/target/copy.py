"""Copy: ranges of a namespace, one after the other, to where the host says, a piece at a time.

Where the destination overlaps a source range, the document leaves open what comes out of it. Here a range is copied
from whichever end leaves it whole, and the ranges in their order.

Follows NVM Command Set 1.0 3.2.2. Descriptor format 0h only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from stacks.nvme.stores.contract import READ, WRITE
from stacks.nvme.target.command import Command, not_resumed
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.io_checks import (
    FUA,
    check_readable,
    is_gone,
    is_taken_away,
    namespace_of,
    store_failed,
    writable,
)
from stacks.nvme.target.pieces import PIECE_BYTES
from wire.nvme.commands_codec import CopyRange
from wire.nvme.status import IoCommandStatus, StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.namespace import Namespace
    from stacks.nvme.target.queue import Queue


def copy(queue: Queue, command: Command) -> None:
    """Copy: fetch the list of source ranges, check all of it, then move blocks."""
    namespace, words = writable(namespace_of(queue, command)), command.words
    if words[12] >> 8 & 0xF:
        raise CommandError(StatusCode.INVALID_FIELD, "a descriptor format other than 0h", location=49)
    ranges = (words[12] & 0xFF) + 1
    if ranges > COPY_RANGES_MAX:
        raise CommandError(IoCommandStatus.COMMAND_SIZE_LIMIT_EXCEEDED, f"{ranges} source ranges", location=48)
    command.namespace = namespace
    command.store = namespace.store
    # As with Dataset Management, a host may send more room than its ranges take.
    if not ranges * CopyRange.SIZE <= command.data_bytes <= COPY_RANGES_MAX * CopyRange.SIZE:
        raise CommandError(StatusCode.INVALID_SGL_DATA_LENGTH, f"{ranges} source ranges", location=32)
    queue.receive_data(command, command.data_bytes, _ranges_here)


def _ranges_here(command: Command) -> None:
    queue, namespace = command.queue, command.namespace
    assert queue is not None
    assert namespace is not None
    if is_gone(queue, command):
        return
    try:
        ranges = _checked_ranges(command, namespace)
    except CommandError as error:
        queue.fail(command, error.code, location=error.location, lba=error.lba)
        return
    queue.port.give_back(command)
    _Copier(queue, command, ranges).next()


def _checked_ranges(command: Command, namespace: Namespace) -> list[tuple[int, int]]:
    assert command.view is not None
    entries = [
        CopyRange.decode(command.view, index * CopyRange.SIZE) for index in range((command.words[12] & 0xFF) + 1)
    ]
    ranges = [(entry.slba, entry.nlb + 1) for entry in entries]
    total = sum(blocks for _, blocks in ranges)
    if total > COPY_BLOCKS_MAX or any(blocks > COPY_RANGE_BLOCKS_MAX for _, blocks in ranges):
        raise CommandError(IoCommandStatus.COMMAND_SIZE_LIMIT_EXCEEDED, f"{total} blocks")
    if _destination(command) + total > namespace.block_count:
        raise CommandError(StatusCode.LBA_OUT_OF_RANGE, "the destination is past the end", location=40)
    for block, blocks in ranges:
        check_readable(namespace, block, blocks, location=None)
    return ranges


class _Copier:
    """Moves the pieces of a Copy command, each through the command's own store request: a read, then a write."""

    def __init__(self, queue: Queue, command: Command, ranges: Sequence[tuple[int, int]]) -> None:
        assert command.namespace is not None
        self._queue = queue
        self._command = command
        self._namespace = command.namespace
        self._room = memoryview(bytearray(PIECE_BYTES))
        self._shift = command.namespace.block_shift
        self._pieces = _pieces(ranges, _destination(command), PIECE_BYTES >> self._shift)
        self._bytes = sum(blocks for _, blocks in ranges) << self._shift
        self._is_fua = bool(command.words[12] & FUA) or not queue.has_write_cache
        self._range = self._source = self._target = self._blocks = 0
        self._has_written = False

    def next(self) -> None:
        """Go on to the next piece, or complete."""
        command, piece = self._command, next(self._pieces, None)
        if piece is None:
            self._namespace.count_copy(self._bytes)
            self._queue.complete(command)
            return
        self._range, self._source, self._target, self._blocks = piece
        if self._has_ended():
            return
        command.verb = READ
        command.block = self._source
        command.view = self._room[: self._blocks << self._shift]
        command.resume = self._read
        self._queue.store_requests.append(command)

    def _read(self, command: Command) -> None:
        command.resume = not_resumed
        if command.status:
            self._failed(lba=self._source)
        elif not self._has_ended():
            command.verb = WRITE
            command.block = self._target
            command.is_fua = self._is_fua
            command.resume = self._written
            self._queue.store_requests.append(command)

    def _written(self, command: Command) -> None:
        command.resume = not_resumed
        command.is_fua = False
        if command.status:
            self._failed(lba=self._target)
            return
        self._has_written = True
        self._namespace.written(self._target, self._blocks)
        self.next()

    def _has_ended(self) -> bool:
        # Whether the queue has stopped, or the namespace gone or shrunk under the copy; then the command has failed.
        end = max(self._source, self._target) + self._blocks
        if self._queue.is_stopped:
            self._queue.fail(self._command, StatusCode.ABORTED_SQ_DELETION.value, dw0=self._first_failed)
        elif is_taken_away(self._queue, self._command, dw0=self._first_failed):
            pass
        elif end > self._namespace.block_count:
            self._queue.fail(self._command, StatusCode.LBA_OUT_OF_RANGE.value, dw0=self._first_failed)
        else:
            return False
        return True

    def _failed(self, *, lba: int) -> None:
        store_failed(self._queue, self._command, lba=lba, dw0=self._first_failed)

    @property
    def _first_failed(self) -> int:
        # The lowest range that is not copied, 0 also when nothing has been written (NVM Command Set 1.0 3.2.2.1).
        return self._range if self._has_written else 0


def _pieces(
    ranges: Sequence[tuple[int, int]], target: int, blocks_max: int
) -> Iterator[tuple[int, int, int, int]]:
    """(range, source, destination, blocks) of each piece."""
    for index, (source, blocks) in enumerate(ranges):
        offsets = range(0, blocks, blocks_max)
        for at in reversed(offsets) if source < target < source + blocks else offsets:
            yield index, source + at, target + at, min(blocks_max, blocks - at)
        target += blocks


def _destination(command: Command) -> int:
    return command.words[10] | command.words[11] << 32


COPY_RANGES_MAX = 128
"""MSRC + 1: as many as fit in 4096 bytes."""
COPY_RANGE_BLOCKS_MAX = 1 << 15
"""MSSRL."""
COPY_BLOCKS_MAX = 1 << 18
"""MCL: a gigabyte of 4096-byte blocks is done well before a host's patience ends."""
