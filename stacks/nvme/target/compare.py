"""Compare: the host's data against the store's, a piece at a time, so that a store is never asked for much at once.

Follows NVM Command Set 1.0 3.2.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.stores.contract import READ
from stacks.nvme.target.command import Command
from stacks.nvme.target.io_checks import is_gone, is_past_end, range_of, store_failed
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


def compare(queue: Queue, command: Command) -> None:
    """Compare: the host's data against the store's, a piece at a time."""
    namespace, block, blocks = range_of(queue, command, changes=False)
    length = blocks << namespace.block_shift
    queue.require_length(command, length)
    command.namespace = namespace
    command.store = namespace.store
    command.block = block
    command.blocks = blocks
    command.offset = 0
    if command.capsule_data:
        command.view = command.capsule_data
        _data_here(command)
    else:
        queue.receive_data(command, length, _data_here)


def _data_here(command: Command) -> None:
    queue = command.queue
    assert queue is not None
    if is_gone(queue, command):
        return
    command.scratch, size = command.view, min(command.data_bytes, COMPARE_PIECE_BYTES)
    command.view = memoryview(bytearray(size))
    _next(command)


def _next(command: Command) -> None:
    queue, store, view = command.queue, command.store, command.view
    assert queue is not None
    assert store is not None
    assert view is not None
    left = command.data_bytes - command.offset
    if is_past_end(queue, command, left // store.block_bytes):
        return
    command.verb = READ
    command.view = view[: min(len(view), left)]
    command.resume = _piece
    queue.store_requests.append(command)


def _piece(command: Command) -> None:
    queue, store, view, expected = command.queue, command.store, command.view, command.scratch
    assert queue is not None
    assert store is not None
    assert view is not None
    assert expected is not None
    if command.status:
        store_failed(queue, command)
    elif queue.is_stopped:
        queue.fail(command, StatusCode.ABORTED_SQ_DELETION.value)
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
            _next(command)


COMPARE_PIECE_BYTES = 64 << 10
