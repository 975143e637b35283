"""The I/O commands of the NVM command set, by opcode. This is the data path.

Each handler checks what the command says, fills in the store request that the command also is, and names what comes
next in `resume`; errors are raised as `CommandError` or, once the command is under way, given to `Queue.fail`.

Follows NVM Command Set 1.0 3. Left out, with Invalid Opcode: Write Uncorrectable, Verify, Copy, reservations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.nvme.stores.contract import DEALLOCATE, FLUSH, READ, WRITE, WRITE_ZEROES
from stacks.nvme.target.command import Command
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.fabrics import io_fabrics
from stacks.nvme.target.namespace import Namespace
from wire.nvme.commands_codec import DatasetRange
from wire.nvme.kinds import AnaState
from wire.nvme.opcodes import NSID_BROADCAST, DatasetAttribute, IoOpcode
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


def read(queue: Queue, command: Command) -> None:
    """Read: from the store into a buffer, from there to the host."""
    words = command.words
    namespace = queue.namespaces.get(words[1])
    if namespace is None:
        raise _not_accessible(queue, words[1])
    block, blocks = words[10] | words[11] << 32, (words[12] & 0xFFFF) + 1
    length = blocks << namespace.block_shift
    if block + blocks > namespace.block_count:
        raise CommandError(StatusCode.LBA_OUT_OF_RANGE, "past the end", location=40)
    if length != command.data_bytes or length > queue.max_transfer_bytes or command.capsule_data:
        queue.require_length(command, length)
        raise CommandError(StatusCode.INVALID_SGL_TYPE, "read data does not go into a capsule", location=39)
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
        _store_failed(queue, command)
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
    namespace, block, blocks = _range_of(queue, command)
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
    if _is_gone(queue, command):
        return
    command.verb = WRITE
    command.resume = _written
    queue.store_requests.append(command)


def _written(command: Command) -> None:
    queue, namespace = command.queue, command.namespace
    assert queue is not None
    assert namespace is not None
    if command.status:
        _store_failed(queue, command)
        return
    namespace.writes += 1
    namespace.bytes_written += command.data_bytes
    queue.complete(command)


def _done(command: Command) -> None:
    queue = command.queue
    assert queue is not None
    if command.status:
        _store_failed(queue, command)
        return
    queue.complete(command)


def flush(queue: Queue, command: Command) -> None:
    """Flush: everything completed before this is on the medium when it completes."""
    namespace = _namespace_of(queue, command)
    command.verb = FLUSH
    command.namespace = namespace
    command.store = namespace.store
    command.resume = _done
    queue.store_requests.append(command)


def write_zeroes(queue: Queue, command: Command) -> None:
    """Write Zeroes: no data; DEAC changes nothing, since deallocated blocks read as zeroes wherever a store can."""
    namespace, block, blocks = _range_of(queue, command)
    command.verb = WRITE_ZEROES
    command.namespace = namespace
    command.store = namespace.store
    command.block = block
    command.blocks = blocks
    command.is_fua = bool(command.words[12] & FUA) or not queue.has_write_cache
    command.resume = _done
    queue.store_requests.append(command)


def dataset_management(queue: Queue, command: Command) -> None:
    """Dataset Management: deallocate ranges; its other attributes are hints that nobody here uses."""
    namespace = _writable(_namespace_of(queue, command))
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
    if _is_gone(queue, command):
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
    command.resume = _done
    queue.store_requests.append(command)


def compare(queue: Queue, command: Command) -> None:
    """Compare: the host's data against the store's, a piece at a time."""
    namespace, block, blocks = _range_of(queue, command, changes=False)
    length = blocks << namespace.block_shift
    queue.require_length(command, length)
    command.namespace = namespace
    command.store = namespace.store
    command.block = block
    command.blocks = blocks
    command.offset = 0
    if command.capsule_data:
        command.view = command.capsule_data
        _compare_data(command)
    else:
        queue.receive_data(command, length, _compare_data)


def _compare_data(command: Command) -> None:
    queue = command.queue
    assert queue is not None
    if _is_gone(queue, command):
        return
    command.scratch, size = command.view, min(command.data_bytes, COMPARE_PIECE_BYTES)
    command.view = memoryview(bytearray(size))
    _compare_next(command)


def _compare_next(command: Command) -> None:
    queue, store, view = command.queue, command.store, command.view
    assert queue is not None
    assert store is not None
    assert view is not None
    command.verb = READ
    command.view = view[: min(len(view), command.data_bytes - command.offset)]
    command.resume = _compare_piece
    queue.store_requests.append(command)


def _compare_piece(command: Command) -> None:
    queue, store, view, expected = command.queue, command.store, command.view, command.scratch
    assert queue is not None
    assert store is not None
    assert view is not None
    assert expected is not None
    if command.status:
        _store_failed(queue, command)
    elif view != expected[command.offset : command.offset + len(view)]:
        queue.fail(command, StatusCode.COMPARE_FAILURE.value)
    else:
        command.offset += len(view)
        command.block += len(view) // store.block_bytes
        if command.offset == command.data_bytes:
            assert command.namespace is not None
            command.namespace.reads += 1
            command.namespace.bytes_read += command.data_bytes
            queue.complete(command)
        else:
            _compare_next(command)


def _namespace_of(queue: Queue, command: Command) -> Namespace:
    namespace = queue.namespaces.get(command.words[1])
    if namespace is None:
        raise _not_accessible(queue, command.words[1])
    return namespace


def _range_of(queue: Queue, command: Command, *, changes: bool = True) -> tuple[Namespace, int, int]:
    namespace, words = _namespace_of(queue, command), command.words
    block, blocks = words[10] | words[11] << 32, (words[12] & 0xFFFF) + 1
    if block + blocks > namespace.block_count:
        raise CommandError(StatusCode.LBA_OUT_OF_RANGE, "past the end", location=40)
    return _writable(namespace) if changes else namespace, block, blocks


def _writable(namespace: Namespace) -> Namespace:
    if namespace.store.is_read_only:
        raise CommandError(StatusCode.NAMESPACE_WRITE_PROTECTED, "read-only namespace", location=4)
    return namespace


def _not_accessible(queue: Queue, nsid: int) -> CommandError:
    assert queue.controller is not None
    subsystem = queue.controller.subsystem
    namespace = subsystem.namespaces.get(nsid)
    if namespace is not None:
        code = _ANA_CODES.get(subsystem.ana_states.get(namespace.ana_group), StatusCode.ANA_TRANSITION)
        return CommandError(code, f"namespace {nsid} is not reached this way")
    what = "all namespaces at once" if nsid == NSID_BROADCAST else f"no namespace {nsid}"
    return CommandError(StatusCode.INVALID_NAMESPACE, what, location=4)


def _is_gone(queue: Queue, command: Command) -> bool:
    # The namespace may have been removed, and its store closed, while the host's data was on its way.
    if queue.namespaces.get(command.words[1]) is command.namespace:
        return False
    error = _not_accessible(queue, command.words[1])
    queue.fail(command, error.code, location=error.location)
    return True


def _store_failed(queue: Queue, command: Command) -> None:
    if command.status == StatusCode.INTERNAL_ERROR:
        target = queue.port.target
        target.store_failures += 1
        target.last_store_failure = command.failure
    elif command.status >> 8 == StatusCode.WRITE_FAULT.value >> 8 and command.namespace is not None:
        command.namespace.media_errors += 1
    queue.fail(command, command.status)


def _start_again(command: Command) -> None:
    assert command.queue is not None
    command.queue.dispatch(command)


_ANA_CODES: dict[AnaState | None, StatusCode] = {
    AnaState.INACCESSIBLE: StatusCode.ANA_INACCESSIBLE,
    AnaState.PERSISTENT_LOSS: StatusCode.ANA_PERSISTENT_LOSS,
    AnaState.CHANGE: StatusCode.ANA_TRANSITION,
}

FUA = 1 << 30
"""Force Unit Access in CDW12."""
COMPARE_PIECE_BYTES = 64 << 10
RANGES_MAX_BYTES = 256 * DatasetRange.SIZE


def _refuse(_: Queue, __: Command) -> None:
    raise CommandError(StatusCode.COMMAND_SEQUENCE_ERROR, "the controller is not enabled")


IO_HANDLERS: dict[int, Callable[[Queue, Command], None]] = {
    IoOpcode.FLUSH.value: flush,
    IoOpcode.WRITE.value: write,
    IoOpcode.READ.value: read,
    IoOpcode.COMPARE.value: compare,
    IoOpcode.WRITE_ZEROES.value: write_zeroes,
    IoOpcode.DATASET_MANAGEMENT.value: dataset_management,
    IoOpcode.FABRICS.value: io_fabrics,
}

STOPPED_IO_HANDLERS: dict[int, Callable[[Queue, Command], None]] = {
    **dict.fromkeys(range(256), _refuse),
    IoOpcode.FABRICS.value: io_fabrics,
}
"""Of a queue whose controller is shut down; it can still be disconnected."""
