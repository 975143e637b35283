"""Fused Compare and Write: two commands that are one step, which nothing comes between.

A pair (`pairing` makes it) fetches the data of both, has the blocks to itself (`exclusions`), reads, compares, writes.

A half that waits goes on through its `resume`, like every command that waits; a half that fails, for whatever reason,
lets the pair know (`Queue.fail`). When the first fails so does the second (Failed Fused Command); the first does not
mind what becomes of the second.

Follows NVM Express Base 2.0 3.4.2 and NVM Command Set 1.0 2.1.3.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from stacks.nvme.stores.contract import READ, WRITE
from stacks.nvme.target.command import Command, not_resumed
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.exclusions import Exclusion
from stacks.nvme.target.io_checks import (
    FUA,
    check_readable,
    is_gone,
    is_past_end,
    namespace_of,
    range_of,
    store_failed,
)
from wire.nvme.opcodes import IoOpcode
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.namespace import Namespace
    from stacks.nvme.target.queue import Queue


class Stage(enum.Enum):
    """How far a pair has come."""

    NEW = "new"
    FIRST_DATA = "the data to compare with is on its way"
    SECOND_DATA = "the data to write is on its way"
    CLAIM = "waiting until others are done with the blocks"
    COMPARE = "the blocks are read"
    WRITE = "the blocks are written"


class Pair:
    """A Compare and a Write that are one step, from when both are there."""

    def __init__(self, queue: Queue, first: Command, second: Command) -> None:
        self._queue = queue
        self._first: Command | None = first
        self._second: Command | None = second
        self._stage = Stage.NEW
        self._expected = memoryview(b"")
        self._exclusion: Exclusion | None = None

    def begin(self) -> None:
        """Check what both commands say, and get the data of the first."""
        first, second = self._first, self._second
        assert first is not None
        assert second is not None
        location = _mismatch(first, second)
        if location is not None:
            # Both are wrong.
            self._let_go(second)
            for command in (first, second):
                self._queue.fail(command, StatusCode.INVALID_FIELD.value, location=location)
            return
        try:
            # Whether the blocks can be read is another matter, for when it is their turn.
            namespace, (block, blocks) = namespace_of(self._queue, first, changes=False), _range(first)
            check_readable(namespace, block, blocks, is_read=False)
            if blocks > ACWU + 1:
                raise CommandError(StatusCode.ATOMIC_WRITE_UNIT_EXCEEDED, f"{blocks} blocks", location=48)
            self._queue.require_length(first, blocks << namespace.block_shift)
        except CommandError as error:
            self._queue.fail(first, error.code, location=error.location, lba=error.lba)
            return
        for command in (first, second):
            command.namespace, command.store = namespace, namespace.store
            command.block, command.blocks = block, blocks
        second.resume = self._fetch_second
        self._check_second(second)
        self._stage = Stage.FIRST_DATA
        # One after the other, and the first gives its buffer back before the second takes one: pairs that hold one and
        # wait for another could wait for each other.
        self._queue.receive_data(first, first.data_bytes, self._first_here)

    def half_failed(self, command: Command) -> None:
        """One of the two has failed, here or elsewhere."""
        is_first = command is self._first
        self._let_go(command)
        if is_first:
            self._first_failed()
        elif self._stage is Stage.SECOND_DATA:
            # The first has waited for the data of the second, and goes on alone.
            self._compare_now()
        elif self._stage is Stage.WRITE:
            self._end()

    def stop(self) -> None:
        """The queue has stopped: end what is in no line that the queue clears itself."""
        if self._stage is Stage.CLAIM:
            self._compare_now()

    # The steps

    def _first_failed(self) -> None:
        second = self._second
        # While its data is on its way the second cannot end; it does when that is there.
        if self._stage is not Stage.SECOND_DATA and second is not None:
            self._queue.fail(second, StatusCode.ABORTED_FAILED_FUSED.value)
        self._end()

    def _check_second(self, second: Command) -> None:
        try:
            namespace, _, blocks = range_of(self._queue, second)
            self._queue.require_length(second, blocks << namespace.block_shift)
        except CommandError as error:
            # What the first says is not changed by that.
            self._queue.fail(second, error.code, location=error.location)

    def _first_here(self, first: Command) -> None:
        assert first.view is not None
        if first.capsule_data:
            self._expected = first.view
        else:
            self._expected = memoryview(bytes(first.view))
            self._queue.port.give_back(first)
        first.view = None
        first.resume = self._compare
        second = self._second
        if second is None:
            self._compare_now()
        else:
            self._stage = Stage.SECOND_DATA
            second.resume(second)

    def _fetch_second(self, second: Command) -> None:
        self._queue.receive_data(second, second.data_bytes, self._second_here)

    def _second_here(self, second: Command) -> None:
        first = self._first
        if first is None:
            self._let_go(second)
            self._queue.fail(second, StatusCode.ABORTED_FAILED_FUSED.value)
            return
        second.resume = self._write
        self._stage = Stage.CLAIM
        assert first.store is not None
        self._exclusion = Exclusion(
            first.store, first.block, first.blocks, owner=second, granted=self._compare_now
        )
        self._queue.port.target.line.exclusions.claim(self._exclusion)

    def _compare_now(self) -> None:
        self._stage = Stage.COMPARE
        first = self._first
        assert first is not None
        first.resume(first)

    def _compare(self, first: Command) -> None:
        queue = self._queue
        if queue.is_stopped:
            queue.fail(first, StatusCode.ABORTED_SQ_DELETION.value)
            return
        if is_gone(queue, first) or is_past_end(queue, first, first.blocks):
            return
        try:
            check_readable(_namespace(first), first.block, first.blocks)
        except CommandError as error:
            queue.fail(first, error.code, location=error.location, lba=error.lba)
            return
        first.verb = READ
        first.is_fua = bool(first.words[12] & FUA)
        first.view = memoryview(bytearray(len(self._expected)))
        first.resume = self._compared
        queue.store_requests.append(first)

    def _compared(self, first: Command) -> None:
        queue, namespace = self._queue, _namespace(first)
        first.resume = not_resumed
        if first.status:
            store_failed(queue, first)
        elif first.view != self._expected:
            queue.fail(first, StatusCode.COMPARE_FAILURE.value)
        else:
            namespace.reads += 1
            namespace.bytes_read += first.data_bytes
            self._stage = Stage.WRITE
            self._let_go(first)
            queue.complete(first)
            self._write_now()

    def _write_now(self) -> None:
        second = self._second
        if second is None:
            self._end()
        else:
            second.resume(second)

    def _write(self, second: Command) -> None:
        queue = self._queue
        if queue.is_stopped:
            queue.fail(second, StatusCode.ABORTED_SQ_DELETION.value)
        elif not is_gone(queue, second) and not is_past_end(queue, second, second.blocks):
            second.verb = WRITE
            second.is_fua = bool(second.words[12] & FUA) or not queue.has_write_cache
            second.resume = self._written
            queue.store_requests.append(second)

    def _written(self, second: Command) -> None:
        namespace = _namespace(second)
        second.resume = not_resumed
        if second.status:
            store_failed(self._queue, second)
            return
        namespace.written(second.block, second.blocks)
        namespace.writes += 1
        namespace.bytes_written += second.data_bytes
        self._let_go(second)
        self._queue.complete(second)
        self._end()

    def _let_go(self, command: Command) -> None:
        command.pair = None
        if command is self._first:
            self._first = None
        else:
            self._second = None

    def _end(self) -> None:
        exclusion, self._exclusion = self._exclusion, None
        if exclusion is not None:
            self._queue.port.target.line.exclusions.end(exclusion)


def _mismatch(first: Command, second: Command) -> int | None:
    # Where two commands say that they are no pair, as a byte of the submission entry; None when they are one.
    if (first.opcode, second.opcode) != (IoOpcode.COMPARE, IoOpcode.WRITE):
        return 1
    if first.words[1] != second.words[1]:
        return 4
    return None if _range(first) == _range(second) else 40


def _namespace(command: Command) -> Namespace:
    assert command.namespace is not None
    return command.namespace


def _range(command: Command) -> tuple[int, int]:
    words = command.words
    return words[10] | words[11] << 32, (words[12] & 0xFFFF) + 1


ACWU = 15
"""The most blocks of a pair, 0-based as in Identify: one store request each way."""
