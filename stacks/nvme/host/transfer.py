"""An operation of a program, which may take several commands."""

from __future__ import annotations

from collections.abc import Callable

from stacks.nvme.host.command import HostCommand
from wire.nvme.status import StatusCode, status_text


class Transfer:
    """An I/O operation of a program; `done` is called with it once, when all its commands are over.

    what: its name for messages; status: 0, or the status of the first command that failed.
    ending: why the connection ended, as a sentence, where that is why it failed.
    """

    __slots__ = ("done", "ending", "left", "status", "what")

    def __init__(self, what: str, done: Callable[[Transfer], None] | None) -> None:
        self.what = what
        self.done = done
        self.left = 0
        self.status = 0
        self.ending = ""

    @property
    def is_done(self) -> bool:
        """Whether all of it is over."""
        return self.left == 0

    @property
    def problem(self) -> str:
        """What went wrong, in words for a message: a status, or how the connection ended. Empty for success."""
        return self.ending or (status_text(self.status, is_io=True) if self.status else "")

    def piece_done(self, command: HostCommand) -> None:
        """One of its commands is over."""
        if command.status and self.status in _OUTRANKED:
            self.status = command.status
            if command.queue is not None:
                self.ending = command.queue.failure
        self.left -= 1
        if not self.left and self.done is not None:
            self.done(self)


Done = Callable[[Transfer], None] | None

_OUTRANKED = (0, StatusCode.ABORTED_FAILED_FUSED.value)
"""Statuses that another command's failure says more than: none, and that the other half of a pair has failed."""
