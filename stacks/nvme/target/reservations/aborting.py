"""Aborting what preempted hosts have under way: the second half of Preempt and Abort.

Where a command of theirs is decides what becomes of it:

    waits for memory, for its turn, or for an executor    it ends now, with Command Aborted due to Preempt and Abort
    the host's data is on its way                         it ends so when that comes; nobody waits for it
    with a store                                          it goes to its end, but not on to a next piece

The Acquire completes when nothing is with a store any more, and from then on nothing that these hosts sent before
reaches one (NVM Express Base 2.0 8.19.7). Linux nvmet waits for all of it and aborts nothing; SPDK too, ten seconds
long. A host whose data never comes would hold both up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.namespace import Namespace
    from stacks.nvme.target.queue import Queue
    from stacks.nvme.target.subsystem import Subsystem


def abort_preempted(
    subsystem: Subsystem, namespace: Namespace, host_ids: frozenset[bytes], done: Callable[[], None]
) -> None:
    """Abort the commands that these hosts have under way on a namespace; `done` is called when no store has any."""
    namespace.reservations.abort(host_ids)
    abortion = _Abortion(done)
    for queue in subsystem.sharing.queues_of(host_ids):
        for command in list(queue.under_way):
            if command.words[1] == namespace.nsid:
                abortion.abort(queue, command)
    abortion.begun()


class _Abortion:
    """Counts what is with a store; one for the sweep itself, so that it is not over before that is."""

    def __init__(self, done: Callable[[], None]) -> None:
        self._done = done
        self._left = 1

    def begun(self) -> None:
        """Every command has been looked at."""
        self._over()

    def abort(self, queue: Queue, command: Command) -> None:
        """End a command as soon as that can be."""
        if queue.take_back(command):
            _aborted(command)
        elif not command.verb:
            command.resume = _aborted
        else:
            self._left += 1
            go_on = command.resume

            def back(command: Command) -> None:
                go_on(command)
                if command in queue.under_way:
                    # It is done in pieces, and this was not the last.
                    self.abort(queue, command)
                self._over()

            command.resume = back

    def _over(self) -> None:
        self._left -= 1
        if not self._left:
            self._done()


def _aborted(command: Command) -> None:
    assert command.queue is not None
    command.queue.fail(command, StatusCode.ABORTED_PREEMPT.value)
