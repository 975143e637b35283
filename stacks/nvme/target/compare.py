"""Compare: the host's data against the store's, a piece at a time.

Follows NVM Command Set 1.0 3.2.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from stacks.nvme.target.io_checks import is_gone, range_of
from stacks.nvme.target.pieces import PieceReader
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


def compare(queue: Queue, command: Command) -> None:
    """Compare: the host's data against the store's."""
    namespace, block, blocks = range_of(queue, command, changes=False)
    length = blocks << namespace.block_shift
    queue.require_length(command, length)
    command.namespace = namespace
    command.store = namespace.store
    command.block = block
    command.blocks = blocks
    if command.capsule_data:
        command.view = command.capsule_data
        compare_with_data(command)
    else:
        queue.receive_data(command, length, compare_with_data)


def compare_with_data(command: Command) -> None:
    """The host's data is in `command.view`: compare it."""
    queue, expected = command.queue, command.view
    assert queue is not None
    assert expected is not None
    if is_gone(queue, command):
        return

    def look(piece: memoryview, offset: int) -> int:
        is_same = piece == expected[offset : offset + len(piece)]
        return 0 if is_same else StatusCode.COMPARE_FAILURE.value

    PieceReader(command, look, _compared).start()


def _compared(command: Command) -> None:
    namespace = command.namespace
    assert command.queue is not None
    assert namespace is not None
    namespace.reads += 1
    namespace.bytes_read += command.data_bytes
    command.queue.complete(command)
