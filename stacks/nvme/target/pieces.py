"""A command's blocks read a piece at a time, so that a store is never asked for much at once.

Other commands get their turn between the pieces, and a queue that stops ends its command there.
"""

from __future__ import annotations

from collections.abc import Callable

from stacks.nvme.stores.contract import FLUSH, READ
from stacks.nvme.target.command import Command, not_resumed
from stacks.nvme.target.io_checks import FUA, is_past_end, is_taken_away, store_failed
from wire.nvme.status import StatusCode


class PieceReader:
    """Reads the blocks of `command`, `command.blocks` from `command.block` on, whose namespace and store are set.

    look: called with each piece and its offset in bytes; gives a `StatusCode`, 0 to go on.
    done: called with the command when every piece was fine; otherwise the command has failed.
    """

    def __init__(
        self, command: Command, look: Callable[[memoryview, int], int], done: Callable[[Command], None]
    ) -> None:
        assert command.store is not None
        self._command = command
        self._look = look
        self._done = done
        self._block_bytes = command.store.block_bytes
        self._left = command.blocks
        self._offset = 0
        self._room = memoryview(bytearray(min(command.blocks * self._block_bytes, PIECE_BYTES)))

    def start(self) -> None:
        """Begin; with FUA what is read has been put on the medium before (NVM Command Set 1.0 3.2.1, 3.2.5)."""
        command = self._command
        if command.words[12] & FUA:
            command.verb = FLUSH
            command.resume = self._flushed
            self._submit()
        else:
            self._next()

    def _flushed(self, command: Command) -> None:
        assert command.queue is not None
        command.resume = not_resumed
        if command.status:
            store_failed(command.queue, command)
        else:
            self._next()

    def _next(self) -> None:
        command = self._command
        blocks = min(self._left, len(self._room) // self._block_bytes)
        assert command.queue is not None
        if command.queue.is_stopped:
            command.queue.fail(command, StatusCode.ABORTED_SQ_DELETION.value)
        elif not is_taken_away(command.queue, command) and not is_past_end(command.queue, command, blocks):
            command.verb = READ
            command.view = self._room[: blocks * self._block_bytes]
            command.resume = self._came
            self._submit()

    def _submit(self) -> None:
        assert self._command.queue is not None
        self._command.queue.store_requests.append(self._command)

    def _came(self, command: Command) -> None:
        queue, view = command.queue, command.view
        assert queue is not None
        assert view is not None
        command.resume = not_resumed
        blocks = len(view) // self._block_bytes
        if command.status:
            store_failed(queue, command, lba=command.block)
            return
        code = self._look(view, self._offset)
        if code:
            queue.fail(command, code, lba=command.block)
            return
        command.block += blocks
        self._offset += len(view)
        self._left -= blocks
        if self._left:
            self._next()
        else:
            self._done(command)


PIECE_BYTES = 64 << 10
