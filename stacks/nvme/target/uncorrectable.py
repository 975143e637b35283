"""Write Uncorrectable: blocks that cannot be read until they are written, zeroed or deallocated.

What is marked belongs to the namespace, so every host sees it; it is forgotten when the target ends.

Follows NVM Command Set 1.0 3.2.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.io_checks import range_of
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


def write_uncorrectable(queue: Queue, command: Command) -> None:
    """Write Uncorrectable: mark blocks, so that reading them is an Unrecovered Read Error."""
    namespace, block, blocks = range_of(queue, command)
    if not namespace.mark_uncorrectable(block, blocks):
        raise CommandError(StatusCode.WRITE_FAULT, "too many ranges of uncorrectable blocks")
    queue.complete(command)
