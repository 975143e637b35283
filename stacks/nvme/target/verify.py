"""Verify: read blocks and keep nothing, to learn whether they can be read.

Follows NVM Command Set 1.0 3.2.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.io_checks import range_of
from stacks.nvme.target.pieces import PieceReader
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


def verify(queue: Queue, command: Command) -> None:
    """Verify: success when a Read of the same blocks would succeed."""
    if command.words[12] & PRACT:
        raise CommandError(StatusCode.INVALID_FIELD, "PRACT with Verify", location=51)
    namespace, block, blocks = range_of(queue, command, changes=False)
    command.namespace = namespace
    command.store = namespace.store
    command.block = block
    command.blocks = blocks

    def verified(command: Command) -> None:
        # What was verified counts as read, though no host has read it (NVM Command Set 1.0 3.2.5).
        namespace.bytes_read += blocks << namespace.block_shift
        queue.complete(command)

    PieceReader(command, _is_fine, verified).start()


def _is_fine(_: memoryview, __: int) -> int:
    return 0


PRACT = 1 << 29
"""Protection Information Action in CDW12."""
