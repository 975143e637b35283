"""The I/O commands of the NVM command set, by opcode. This is the data path.

Each handler checks what the command says, fills in the store request that the command also is, and names what comes
next in `resume`; errors are raised as `CommandError` or, once the command is under way, given to `Queue.fail`.

Commands that are rarer or go in pieces have modules of their own. Bits of CDW12 and CDW13 that are for protection
information, directives and hints are ignored, as the document asks where there are none of those.

Follows NVM Command Set 1.0 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.nvme.stores.contract import DEALLOCATE, FLUSH, READ, WRITE
from stacks.nvme.target.command import Command
from stacks.nvme.target.compare import compare
from stacks.nvme.target.copy import copy
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.fabrics import io_fabrics
from stacks.nvme.target.io_checks import (
    FUA,
    check_readable,
    is_gone,
    is_past_end,
    namespace_of,
    not_accessible,
    range_of,
    store_failed,
    writable,
)
from stacks.nvme.target.reservations import commands as reservations
from stacks.nvme.target.uncorrectable import write_uncorrectable
from stacks.nvme.target.verify import verify
from stacks.nvme.target.zeroing import write_zeroes
from wire.nvme.commands_codec import DatasetRange
from wire.nvme.opcodes import DatasetAttribute, IoOpcode
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


def read(queue: Queue, command: Command) -> None:
    """Read: from the store into a buffer, from there to the host."""
    words = command.words
    namespace = queue.readable.get(words[1])
    if namespace is None:
        raise not_accessible(queue, words[1])
    block, blocks = words[10] | words[11] << 32, (words[12] & 0xFFFF) + 1
    length = blocks << namespace.block_shift
    if block + blocks > namespace.plain_blocks:
        check_readable(namespace, block, blocks)
    if length != command.data_bytes or length > queue.max_transfer_bytes or command.capsule_data:
        queue.require_length(command, length)
        raise CommandError(StatusCode.INVALID_SGL_TYPE, "read data does not go into a capsule", location=39)
    if length <= queue.lend_bytes and namespace.view is not None and not words[12] & FUA:
        # The blocks themselves go to the host, as they are when they are sent.
        try:
            view = namespace.view(block, blocks)
        except Exception:  # noqa: BLE001 (a store is anybody's code; reading there says what is wrong)
            view = None
        if view is not None and len(view) == length:
            queue.lend_bytes -= length
            namespace.reads += 1
            namespace.bytes_read += length
            command.view = view
            command.send_bytes = length
            queue.complete(command)
            return
    buffer = queue.pool.take(length, queue.held)
    if buffer is None:
        queue.wait_for_buffer(command, _start_again)
        return
    command.buffer = buffer
    command.verb = READ
    command.namespace = namespace
    command.store = namespace.store
    command.block = block
    command.blocks = blocks
    if words[12] & FUA:
        # What a read with FUA returns is on the medium: the flush after it commits what was cached (NVM 3.2.4).
        command.is_fua = True
    command.view = buffer.view[:length]
    command.resume = _read_done
    queue.store_requests.append(command)


def _read_done(command: Command) -> None:
    queue = command.queue
    assert queue is not None
    if command.status:
        store_failed(queue, command)
        return
    namespace, length = command.namespace, command.data_bytes
    assert namespace is not None
    namespace.reads += 1
    namespace.bytes_read += length
    command.send_bytes = length
    queue.complete(command)


def write(queue: Queue, command: Command) -> None:
    """Write: from the host or the capsule into the store; with FUA, or without a write cache, on to the medium."""
    words = command.words
    namespace, block, blocks = range_of(queue, command)
    length = blocks << namespace.block_shift
    queue.require_length(command, length)
    command.namespace = namespace
    command.store = namespace.store
    command.block = block
    command.blocks = blocks
    command.is_fua = bool(words[12] & FUA) or not queue.has_write_cache
    if command.capsule_data:
        command.view = command.capsule_data
        command.verb = WRITE
        command.resume = _written
        queue.store_requests.append(command)
    else:
        queue.receive_data(command, length, _write_fetched)


def _write_fetched(command: Command) -> None:
    queue = command.queue
    assert queue is not None
    if is_gone(queue, command) or is_past_end(queue, command, command.blocks):
        return
    command.verb = WRITE
    command.resume = _written
    queue.store_requests.append(command)


def _written(command: Command) -> None:
    queue, namespace = command.queue, command.namespace
    assert queue is not None
    assert namespace is not None
    if command.status:
        store_failed(queue, command)
        return
    if namespace.uncorrectable is not None:
        namespace.written(command.block, command.blocks)
    namespace.writes += 1
    namespace.bytes_written += command.data_bytes
    queue.complete(command)


def _done(command: Command) -> None:
    queue = command.queue
    assert queue is not None
    if command.status:
        store_failed(queue, command)
        return
    queue.complete(command)


def flush(queue: Queue, command: Command) -> None:
    """Flush: everything completed before this is on the medium when it completes."""
    namespace = namespace_of(queue, command)
    command.verb = FLUSH
    command.namespace = namespace
    command.store = namespace.store
    command.resume = _done
    queue.store_requests.append(command)


def dataset_management(queue: Queue, command: Command) -> None:
    """Dataset Management: deallocate ranges; its other attributes are hints that nobody here uses."""
    namespace = writable(namespace_of(queue, command))
    length = ((command.words[10] & 0xFF) + 1) * DatasetRange.SIZE
    # Linux sends room for all 256 ranges whatever their number, so longer than needed is right here.
    if command.data_bytes < length or command.data_bytes > RANGES_MAX_BYTES:
        raise CommandError(StatusCode.INVALID_SGL_DATA_LENGTH, "ranges", location=32)
    command.namespace = namespace
    command.store = namespace.store
    queue.receive_data(command, command.data_bytes, _deallocate)


def _deallocate(command: Command) -> None:
    queue = command.queue
    assert queue is not None
    if is_gone(queue, command):
        return
    namespace, ranges = command.namespace, []
    assert namespace is not None
    for index in range((command.words[10] & 0xFF) + 1):
        assert command.view is not None
        entry = DatasetRange.decode(command.view, index * DatasetRange.SIZE)
        if entry.slba + entry.blocks > namespace.block_count:
            queue.fail(command, StatusCode.LBA_OUT_OF_RANGE.value)
            return
        if entry.blocks:
            ranges.append((entry.slba, entry.blocks))
    if not command.words[11] & DatasetAttribute.DEALLOCATE.value or not ranges:
        queue.complete(command)
        return
    command.verb = DEALLOCATE
    command.ranges = ranges
    command.resume = _deallocated
    queue.store_requests.append(command)


def _deallocated(command: Command) -> None:
    namespace, store = command.namespace, command.store
    assert namespace is not None
    assert store is not None
    if not command.status and store.is_zero_after_deallocate:
        # Otherwise nothing may have happened to them, and they stay as they were.
        for block, blocks in command.ranges:
            namespace.written(block, blocks)
    _done(command)


def _start_again(command: Command) -> None:
    assert command.queue is not None
    command.queue.dispatch(command)


RANGES_MAX_BYTES = 256 * DatasetRange.SIZE


def _refuse(_: Queue, __: Command) -> None:
    raise CommandError(StatusCode.COMMAND_SEQUENCE_ERROR, "the controller is not enabled")


IO_HANDLERS: dict[int, Callable[[Queue, Command], None]] = {
    IoOpcode.FLUSH.value: flush,
    IoOpcode.WRITE.value: write,
    IoOpcode.READ.value: read,
    IoOpcode.WRITE_UNCORRECTABLE.value: write_uncorrectable,
    IoOpcode.COMPARE.value: compare,
    IoOpcode.WRITE_ZEROES.value: write_zeroes,
    IoOpcode.DATASET_MANAGEMENT.value: dataset_management,
    IoOpcode.RESERVATION_REGISTER.value: reservations.register,
    IoOpcode.RESERVATION_REPORT.value: reservations.report,
    IoOpcode.RESERVATION_ACQUIRE.value: reservations.acquire,
    IoOpcode.RESERVATION_RELEASE.value: reservations.release,
    IoOpcode.VERIFY.value: verify,
    IoOpcode.COPY.value: copy,
    IoOpcode.FABRICS.value: io_fabrics,
}

STOPPED_IO_HANDLERS: dict[int, Callable[[Queue, Command], None]] = {
    **dict.fromkeys(range(256), _refuse),
    IoOpcode.FABRICS.value: io_fabrics,
}
"""Of a queue whose controller is shut down; it can still be disconnected."""
