"""Ending commands that are under way, because a host asks for it (Abort) or loses its rights (Preempt and Abort).

Where a command is decides what becomes of it:

    waits for memory, for its turn, or for an executor    it ends now
    the host's data is on its way                         it ends when that comes; nobody waits for it
    with a store                                          it goes to its end, but not on to a next piece
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


class Abortion:
    """Ends commands with `code`.

    done: called when no store has any of them any more, once `begun` has said that these were all.
    """

    def __init__(self, code: int, done: Callable[[], None] | None = None) -> None:
        self._code = code
        self._done = done
        self._left = 1
        """Commands that are with a store; and one for the sweep itself, so that it is not over before that is."""

    def begun(self) -> None:
        """Every command has been looked at."""
        self._over()

    def abort(self, queue: Queue, command: Command) -> bool:
        """End a command as soon as that can be; whether it has ended."""
        if queue.take_back(command):
            self._aborted(command)
            return True
        if not command.verb:
            command.resume = self._aborted
            return False
        self._left += 1
        go_on = command.resume

        def back(command: Command) -> None:
            go_on(command)
            if command in queue.under_way:
                # It is done in pieces, and this was not the last.
                self.abort(queue, command)
            self._over()

        command.resume = back
        return False

    def _over(self) -> None:
        self._left -= 1
        if not self._left and self._done is not None:
            self._done()

    def _aborted(self, command: Command) -> None:
        assert command.queue is not None
        command.queue.fail(command, self._code)
