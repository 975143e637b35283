"""Aborting what preempted hosts have under way: the second half of Preempt and Abort.

The Acquire completes when nothing of theirs is with a store any more, and from then on nothing that these hosts sent
before reaches one (NVM Express Base 2.0 8.19.7). Linux nvmet waits for all of it and aborts nothing; SPDK too, ten
seconds long. A host whose data never comes would hold both up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.nvme.target.aborting import Abortion
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.namespace import Namespace
    from stacks.nvme.target.subsystem import Subsystem


def abort_preempted(
    subsystem: Subsystem, namespace: Namespace, host_ids: frozenset[bytes], done: Callable[[], None]
) -> None:
    """Abort the commands that these hosts have under way on a namespace; `done` is called when no store has any."""
    namespace.reservations.abort(host_ids)
    abortion = Abortion(StatusCode.ABORTED_PREEMPT.value, done)
    for queue in subsystem.sharing.queues_of(host_ids):
        for command in list(queue.under_way):
            if command.words[1] == namespace.nsid and command in queue.under_way:
                abortion.abort(queue, command)
    abortion.begun()
