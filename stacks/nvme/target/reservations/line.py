"""The reservations of one namespace in a running target: its state, and the commands that change it, one at a time.

    command -> Change -> submit -> decide -> save -> apply: access of every host, notifications, the command's answer

A state counts from the moment that it is saved, where it has to be: a command that answers with success has changed
what comes back after a loss of power, and one that fails has changed nothing. Saving is a store request like any
other, so it may run in a thread; the next change waits for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stacks.nvme.stores.contract import WRITE, Store
from stacks.nvme.stores.reservations import ReservationStore
from stacks.nvme.target.command import Command
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.reservations.record import decode_record, encode_record
from stacks.nvme.target.reservations.rules import Outcome
from stacks.nvme.target.reservations.state import ReservationState
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.namespace import Namespace
    from stacks.nvme.target.queue import Queue
    from stacks.nvme.target.subsystem import Subsystem


class Change:
    """A command that is to change a namespace's reservations.

    queue, command: where it came from; decide: what it makes of the state that it finds, or CommandError.
    done: called once, with the outcome when that is in force, or with the error that the command is to end with.
    """

    __slots__ = ("command", "decide", "done", "host_id", "namespace", "queue", "subsystem")

    def __init__(
        self,
        queue: Queue,
        command: Command,
        namespace: Namespace,
        *,
        decide: Callable[[ReservationState], Outcome],
        done: Callable[[Change, Outcome | CommandError], None],
    ) -> None:
        assert queue.controller is not None
        self.queue = queue
        self.command = command
        self.namespace = namespace
        self.subsystem: Subsystem = queue.controller.subsystem
        self.host_id = queue.controller.host_id
        self.decide = decide
        self.done = done


class NamespaceReservations:
    """The reservations of a namespace.

    kept: where they are kept through a loss of power; without it they cannot be.
    state: what is in force. mask: feature 82h, the notifications that nobody is sent; like the namespace, it belongs
    to all controllers together.
    Raises LocalError when what was kept cannot be read.
    """

    __slots__ = ("_is_saving", "_saved", "_store", "_waiting", "mask", "state")

    def __init__(self, kept: ReservationStore | None = None) -> None:
        self.state = ReservationState() if kept is None else decode_record(kept.load(), where=kept.where)
        self.mask = 0
        self._store = None if kept is None else _RecordStore(kept)
        self._saved: bytes | None = encode_record(self.state)
        self._waiting: deque[Change] = deque()
        self._is_saving = False

    @property
    def can_persist(self) -> bool:
        """Whether Persist Through Power Loss is to be had."""
        return self._store is not None

    def submit(self, change: Change) -> None:
        """Make a change, once those before it are made."""
        self._waiting.append(change)
        self._go_on()

    def abort(self, host_ids: frozenset[bytes]) -> None:
        """End the I/O commands of these hosts that have not begun: they were sent before a preempt and abort."""
        doomed = [change for change in self._waiting if change.queue.qid and change.host_id in host_ids]
        for change in doomed:
            self._waiting.remove(change)
            change.done(change, CommandError(StatusCode.ABORTED_PREEMPT, "preempted"))

    def _go_on(self) -> None:
        while self._waiting and not self._is_saving:
            self._begin(self._waiting.popleft())

    def _begin(self, change: Change) -> None:
        try:
            if change.queue.is_stopped:
                raise CommandError(StatusCode.ABORTED_SQ_DELETION, "the queue has stopped")
            outcome = change.decide(self.state)
        except CommandError as error:
            change.done(change, error)
            return
        record = encode_record(outcome.state)
        if self._store is None or record == self._saved:
            self._apply(change, outcome)
        else:
            self._save(change, outcome, record)

    def _save(self, change: Change, outcome: Outcome, record: bytes) -> None:
        # A request of its own: what belongs to a queue is taken back when that stops, and then nobody would go on.
        target = change.queue.port.target
        request = Command()
        request.verb = WRITE
        request.store = self._store
        request.view = memoryview(record)

        def saved(request: Command) -> None:
            self._is_saving = False
            if request.status:
                # Either record may be there now, so that the next change must save whatever it comes to.
                self._saved = None
                target.tell_store_failure(change.namespace, request.failure, request.trace)
                change.done(change, CommandError(request.status, request.failure))
            else:
                self._saved = record
                self._apply(change, outcome)
            self._go_on()

        request.resume = saved
        self._is_saving = True
        target.store_requests.append(request)

    def _apply(self, change: Change, outcome: Outcome) -> None:
        self.state = outcome.state
        change.subsystem.sharing.changed(change.namespace, outcome.notices)
        change.done(change, outcome)


class _RecordStore(Store):
    """What keeps the record, as a store with one verb, so that every executor knows how to run it."""

    block_bytes, block_count = 512, 1
    slow_verbs = frozenset((WRITE,))

    def __init__(self, kept: ReservationStore) -> None:
        self._kept = kept

    def read(self, block: int, into: memoryview) -> None:
        """Never asked for: the record was loaded before."""
        raise NotImplementedError

    def write(self, block: int, data: Sequence[memoryview]) -> None:  # noqa: ARG002 (there is one record)
        """Keep the record."""
        self._kept.save(b"".join(data))
