"""Write Uncorrectable: blocks that cannot be read until they are written, zeroed or deallocated.

What is marked belongs to the namespace, so every host sees it; it is forgotten when the target ends.

Follows NVM Command Set 1.0 3.2.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.stores.contract import NOTHING
from stacks.nvme.target.command import Command
from stacks.nvme.target.io_checks import is_past_end, range_of
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


def write_uncorrectable(queue: Queue, command: Command) -> None:
    """Write Uncorrectable: mark blocks, so that reading them is an Unrecovered Read Error."""
    namespace, block, blocks = range_of(queue, command)
    # No store knows of it; but among the commands that change blocks it has its turn.
    command.verb = NOTHING
    command.namespace = namespace
    command.store = namespace.store
    command.block = block
    command.blocks = blocks
    command.resume = _mark
    queue.store_requests.append(command)


def _mark(command: Command) -> None:
    queue, namespace = command.queue, command.namespace
    assert queue is not None
    assert namespace is not None
    if is_past_end(queue, command, command.blocks):
        return
    if namespace.mark_uncorrectable(command.block, command.blocks):
        queue.complete(command)
    else:
        # Too many ranges.
        queue.fail(command, StatusCode.WRITE_FAULT.value)
