"""Write Zeroes: a piece at a time, so that a store is never asked for much at once.

Other commands get their turn between the pieces. Follows NVM Command Set 1.0 3.2.8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.stores.contract import WRITE_ZEROES
from stacks.nvme.target.command import Command, not_resumed
from stacks.nvme.target.io_checks import FUA, is_past_end, is_taken_away, range_of, store_failed
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


def write_zeroes(queue: Queue, command: Command) -> None:
    """Write Zeroes: no data; DEAC changes nothing, since a store deallocates wherever such blocks read as zeroes."""
    namespace, block, blocks = range_of(queue, command)
    command.namespace = namespace
    command.store = namespace.store
    command.block = block
    _Zeroing(queue, command, blocks).next()


class _Zeroing:
    """Zeroes `left` blocks from `command.block` on; with FUA, or without a write cache, the last piece is flushed."""

    def __init__(self, queue: Queue, command: Command, left: int) -> None:
        assert command.store is not None
        self._queue = queue
        self._command = command
        self._left = left
        self._piece = PIECE_BYTES // command.store.block_bytes
        self._is_fua = bool(command.words[12] & FUA) or not queue.has_write_cache

    def next(self) -> None:
        """Go on to the next piece."""
        command = self._command
        command.blocks = blocks = min(self._left, self._piece)
        self._left -= blocks
        command.verb = WRITE_ZEROES
        command.is_fua = self._is_fua and not self._left
        command.resume = self._done
        self._queue.store_requests.append(command)

    def _done(self, command: Command) -> None:
        queue, namespace = self._queue, command.namespace
        command.resume = not_resumed
        command.is_fua = False
        assert namespace is not None
        if command.status:
            store_failed(queue, command, lba=command.block)
            return
        namespace.written(command.block, command.blocks)
        if not self._left:
            queue.complete(command)
            return
        command.block += command.blocks
        if queue.is_stopped:
            queue.fail(command, StatusCode.ABORTED_SQ_DELETION.value)
        elif not is_taken_away(queue, command) and not is_past_end(queue, command, min(self._left, self._piece)):
            self.next()


PIECE_BYTES = 16 << 20
