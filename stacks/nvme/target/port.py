"""A port: one way into a target. A binding drives it.

    binding                                  port and queues
    capsule arrived          ->  queue.handle_capsule(command)
    poll_fetches             <-  commands that need host data in command.view
    the data is there        ->  handle_fetched(command)
    poll_completions         <-  commands to answer: view[:send_bytes], then the completion entry
    both are delivered       ->  release(command): its buffer goes back to the pool
    poll_closing             <-  queues whose connection is to be ended
    the connection is gone   ->  queue.closed()

Each list is drained in batches. Store requests go the same way through the target, for all its ports at once.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, TypeVar

from stacks.nvme.buffers import BufferPool
from stacks.nvme.target.command import Command
from stacks.nvme.target.discovery_record import PortAddress
from stacks.nvme.target.queue import CONNECT_TIMEOUT_NS, Queue
from stacks.nvme.target.waiting import WaitingRoom
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.subsystem import Subsystem
    from stacks.nvme.target.target import Target


class Port:
    """A port of `target`; made by `Target.add_port`.

    portid: its number (PORTID), 1 to 65535; ANA states can be set for it.
    pool: staging memory that the binding has registered; its largest buffer bounds a transfer (MDTS).
    address: where hosts find it, for the discovery log; None keeps it out of there.
    serves: NQNs of the subsystems that are reached through it, None for all; the discovery service always is, so a port
    that serves nothing is one for discovery alone.
    in_capsule_bytes: data that a capsule of an I/O queue may carry; sgl_support: SGLS of Identify.
    """

    def __init__(
        self,
        target: Target,
        pool: BufferPool,
        *,
        portid: int,
        address: PortAddress | None = None,
        serves: Collection[str] | None = None,
        in_capsule_bytes: int = 0,
        sgl_support: int = 0,
    ) -> None:
        self.target = target
        self.portid = portid
        self.serves = None if serves is None else frozenset(serves)
        self.pool = pool
        self.address = address
        self.in_capsule_bytes = in_capsule_bytes
        self.sgl_support = sgl_support
        self.max_transfer_bytes = pool.largest_bytes
        self.fetches: list[Command] = []
        self.completions: list[Command] = []
        self.closing: list[Queue] = []
        self.waiting = WaitingRoom(pool)

    def open_queue(self, *, expected_qid: int | None = None, local_host: str = "", remote: str = "") -> Queue:
        """A queue for a new connection; its first command must be Connect, and come soon.

        expected_qid: the QID that the connection announced; local_host, remote: see `Queue`.
        """
        queue = Queue(self, expected_qid=expected_qid, local_host=local_host, remote=remote)
        self.target.arm(queue, CONNECT_TIMEOUT_NS)
        return queue

    @property
    def transport(self) -> int:
        """Its `TransportType`, 0 where the binding does not say."""
        return 0 if self.address is None else self.address.transport.value

    def reaches(self, subsystem: Subsystem) -> bool:
        """Whether hosts reach the subsystem through this port."""
        is_served = self.serves is None or subsystem.nqn in self.serves or subsystem.is_discovery
        return is_served and self in self.target.ports

    def poll_fetches(self) -> list[Command]:
        """Commands whose `view` is to be filled from the host, since the last call."""
        return _drained(self.fetches)

    def poll_completions(self) -> list[Command]:
        """Commands to answer, in order, since the last call."""
        return _drained(self.completions)

    def poll_closing(self) -> list[Queue]:
        """Queues whose connection is to be ended, since the last call."""
        return _drained(self.closing)

    def handle_fetched(self, command: Command) -> None:
        """The host's data is in `command.view`."""
        queue = command.queue
        assert queue is not None
        if queue.is_stopped:
            queue.fail(command, StatusCode.ABORTED_SQ_DELETION.value)
        else:
            command.resume(command)

    def release(self, command: Command) -> None:
        """The binding is done with the command: its buffer goes to whoever waits for one."""
        command.view = None
        command.send_bytes = command.dw0 = command.dw1 = 0
        command.is_fua = False
        self.give_back(command)

    def give_back(self, command: Command) -> None:
        """The command goes on, but needs its buffer no more."""
        buffer, command.buffer = command.buffer, None
        if buffer is not None:
            self.pool.give_back(buffer)
            if self.waiting.by_queue:
                self.waiting.serve()


_Item = TypeVar("_Item")


def _drained(batch: list[_Item]) -> list[_Item]:
    taken = batch[:]
    batch.clear()
    return taken
