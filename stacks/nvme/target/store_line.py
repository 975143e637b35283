"""The line of store requests: from the commands that need a store to an executor, and back.

    queue.store_requests.append(command)     a command has something for its store; `resume` is what comes then
    poll                                     an executor takes what is there
    came_back                                the store is done with it: `resume`

A command's `verb` is set for as long as it is in the line or with a store, and `NO_VERB` at all other times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from stacks.nvme.stores.contract import READ, StoreRequest
from stacks.nvme.stores.portions import portion_of
from stacks.nvme.target.command import NO_VERB, Command
from stacks.nvme.target.exclusions import Exclusions, changes_of
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.namespace import Namespace
    from stacks.nvme.target.queue import Queue


class StoreLine:
    """The line of a target.

    requests: those that no executor has seen. queues: gives every I/O queue, also those that are gone while a store
    has commands of theirs. changed: called when exclusions begin or end. exclusions: who has blocks to himself.
    """

    def __init__(self, queues: Callable[[], Iterable[Queue]], changed: Callable[[], None]) -> None:
        self.requests: list[Command] = []
        self.exclusions = Exclusions(self.requests, self._under_way, changed)
        self._queues = queues

    def poll(self) -> Sequence[Command]:
        """The requests that may go, in order; at most a portion for each store, so that everybody gets his turn."""
        requests, later = portion_of(self.requests[:])
        self.requests[:] = later
        return self.exclusions.sift(requests) if self.exclusions.active else requests

    def came_back(self, requests: Sequence[StoreRequest]) -> None:
        """An executor has run them; their status is set."""
        for command in requests:
            assert isinstance(command, Command)
            command.verb = NO_VERB
            command.resume(command)

    def withdraw(self, queue: Queue) -> list[Command]:
        """Take a queue's requests back that no executor has seen."""
        return self._take_back([command for command in self._unseen() if command.queue is queue])

    def take_back(self, command: Command) -> bool:
        """Take one request back; whether no executor has seen it."""
        return bool(self._take_back([each for each in self._unseen() if each is command]))

    def fail_past_end(self, namespace: Namespace) -> None:
        """Fail the commands of a namespace that has shrunk whose requests no executor has seen."""
        late = [
            command
            for command in self._unseen()
            if command.namespace is namespace and _end(command) > namespace.block_count
        ]
        for command in self._take_back(late):
            assert command.queue is not None
            command.queue.fail(command, StatusCode.LBA_OUT_OF_RANGE.value)

    def fail_gone(self, namespace: Namespace) -> None:
        """Fail the commands of a namespace that was taken away whose requests no executor has seen."""
        for command in self._take_back([command for command in self._unseen() if command.namespace is namespace]):
            assert command.queue is not None
            command.queue.fail(command, StatusCode.INVALID_FIELD.value, location=4)

    def _unseen(self) -> list[Command]:
        return [*self.requests, *self.exclusions.held] if self.exclusions.active else self.requests

    def _take_back(self, commands: list[Command]) -> list[Command]:
        if commands:
            taken = set(commands)
            self.requests[:] = [command for command in self.requests if command not in taken]
            for command in commands:
                command.verb = NO_VERB
            if self.exclusions.active:
                self.exclusions.take_back(commands)
        return commands

    def _under_way(self) -> Iterator[Command]:
        for queue in self._queues():
            yield from (command for command in queue.under_way if command.verb)


def _end(request: StoreRequest) -> int:
    # The first block behind those that a request is about.
    if request.verb == READ:
        assert request.store is not None
        assert request.view is not None
        return request.block + len(request.view) // request.store.block_bytes
    return max((block + blocks for block, blocks in changes_of(request)), default=0)
