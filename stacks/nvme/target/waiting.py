"""Commands that wait for a staging buffer: in order within a queue, queues in turn.

What comes back serves everyone who fits before a newcomer can have it, so nobody who waits is overtaken by a later
command of another queue; and a queue that has its share (`BufferPool.take`) does not hold up the others.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from stacks.nvme.buffers import BufferPool
from stacks.nvme.target.command import Command

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


class WaitingRoom:
    """The waiting commands of a port. There are never more of them than the queues' entries.

    by_queue: empty when nobody waits.
    """

    def __init__(self, pool: BufferPool) -> None:
        self._pool = pool
        self.by_queue: dict[Queue, deque[Command]] = {}

    def __len__(self) -> int:
        return sum(map(len, self.by_queue.values()))

    def is_behind(self, queue: Queue) -> bool:
        """Whether a command of another controller waits for buffers of which `queue` has some."""
        return any(
            other.association != queue.association and self._pool.is_behind(commands[0].data_bytes, queue.held)
            for other, commands in self.by_queue.items()
        )

    def add(self, queue: Queue, command: Command) -> None:
        """Let a command wait; its `resume` is called when there is a buffer for its `data_bytes`."""
        self.by_queue.setdefault(queue, deque()).append(command)

    def serve(self) -> None:
        """A buffer came back: resume who can go on."""
        was_served = bool(self.by_queue)
        while was_served:
            was_served = False
            for queue in list(self.by_queue):
                was_served = self._serve_one(queue) or was_served

    def remove(self, queue: Queue, command: Command) -> bool:
        """Take one command out; whether it waited."""
        commands = self.by_queue.get(queue)
        if commands is None or command not in commands:
            return False
        commands.remove(command)
        if not commands:
            del self.by_queue[queue]
        return True

    def take_all(self, queue: Queue) -> list[Command]:
        """Everything of a queue that has stopped."""
        return list(self.by_queue.pop(queue, ()))

    def _serve_one(self, queue: Queue) -> bool:
        commands = self.by_queue.get(queue)
        if commands is None or not self._pool.has_room(commands[0].data_bytes, queue.held):
            return False
        command = commands.popleft()
        # To the end of the line, or out of it, before anything can happen to it.
        del self.by_queue[queue]
        if commands:
            self.by_queue[queue] = commands
        command.resume(command)
        return True
