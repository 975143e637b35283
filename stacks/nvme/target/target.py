"""A target: subsystems, the ports through which hosts come, keep-alive, and the way to the stores.

Transport-neutral and sans-IO: bindings drive its ports, an executor runs its store requests, and a driver brings the
time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from stacks.nvme.buffers import BufferPool
from stacks.nvme.stores.contract import StoreRequest
from stacks.nvme.target.command import Command
from stacks.nvme.target.controller import Controller
from stacks.nvme.target.controller_state import ControllerState
from stacks.nvme.target.discovery import PortAddress
from stacks.nvme.target.namespace import Namespace
from stacks.nvme.target.port import Port
from stacks.nvme.target.queue import Queue
from stacks.nvme.target.subsystem import Subsystem
from stacks.runtime import LocalError, Timers
from wire.nvme.opcodes import DISCOVERY_NQN


class Target:
    """Subsystems under their NQNs. A discovery subsystem is always among them.

    subsystems: what to serve; more can be added while running. Raises LocalError for an NQN that comes twice.
    store_failures: commands whose store raised what is no OSError. last_store_failure: what any store raised last.
    on_store_failure: called with the namespace and that text, for each command that its store failed; it must not
    raise, and sees as many calls as the hosts send commands.
    """

    def __init__(self, subsystems: Iterable[Subsystem] = ()) -> None:
        self.subsystems: dict[str, Subsystem] = {DISCOVERY_NQN: Subsystem(DISCOVERY_NQN)}
        self.ports: list[Port] = []
        self.store_requests: list[Command] = []
        self.discovery_generation = 0
        self.keep_alive_expirations = 0
        self.queues_overdue = 0
        self.store_failures = 0
        self.last_store_failure = ""
        self.on_store_failure: Callable[[Namespace, str], None] | None = None
        self._timers: Timers[Controller | Queue] = Timers()
        self._now = 0
        self._started_ns: int | None = None
        for subsystem in subsystems:
            self.add_subsystem(subsystem)

    @property
    def up_time_ns(self) -> int:
        """Time since the target first saw the clock."""
        return 0 if self._started_ns is None else self._now - self._started_ns

    @property
    def controllers(self) -> list[Controller]:
        """All controllers of all subsystems."""
        return [each for subsystem in self.subsystems.values() for each in subsystem.controllers.values()]

    def add_subsystem(self, subsystem: Subsystem) -> None:
        """Serve one more subsystem, and tell the hosts that keep a discovery controller."""
        if subsystem.nqn in self.subsystems:
            raise LocalError(f"subsystem {subsystem.nqn} is there already")
        self.subsystems[subsystem.nqn] = subsystem
        self._discovery_changed()

    def remove_subsystem(self, nqn: str) -> Subsystem:
        """Stop serving a subsystem and close its hosts' queues; LocalError when there is none."""
        if nqn not in self.subsystems or nqn == DISCOVERY_NQN:
            raise LocalError(f"there is no subsystem {nqn} to remove")
        subsystem = self.subsystems.pop(nqn)
        for controller in list(subsystem.controllers.values()):
            controller.fail()
        self._discovery_changed()
        return subsystem

    def add_port(
        self,
        pool: BufferPool,
        *,
        address: PortAddress | None = None,
        in_capsule_bytes: int = 0,
        sgl_support: int = 0,
    ) -> Port:
        """One more way in, for a binding to drive; the arguments are `Port`'s."""
        port = Port(self, pool, address=address, in_capsule_bytes=in_capsule_bytes, sgl_support=sgl_support)
        self.ports.append(port)
        self._discovery_changed()
        return port

    def poll_store_requests(self) -> Sequence[StoreRequest]:
        """Store requests since the last call, in order; any executor may run them."""
        requests = self.store_requests[:]
        self.store_requests.clear()
        return requests

    def handle_store_completions(self, requests: Sequence[StoreRequest], now: int) -> None:
        """Requests that an executor has run, with their status set."""
        self.tick(now)
        for command in requests:
            assert isinstance(command, Command)
            command.resume(command)

    def tick(self, now: int) -> None:
        """Note the time; bindings call it before they hand anything in."""
        if self._started_ns is None:
            self._started_ns = now
        self._now = now

    def arm_keep_alive(self, controller: Controller) -> None:
        """(Re)start or, without a timeout, stop a controller's keep-alive timer."""
        if controller.silence_ns:
            self._timers.arm(controller, self._now + controller.silence_ns)
        else:
            self._timers.cancel(controller)

    def arm_close(self, queue: Queue, patience_ns: int) -> None:
        """Close a queue when this time is over, or end it when it is closing already."""
        self._timers.arm(queue, self._now + patience_ns)

    def cancel_close(self, queue: Queue) -> None:
        """What the queue was to do in time is done."""
        self._timers.cancel(queue)

    def tell_store_failure(self, namespace: Namespace | None, failure: str) -> None:
        """Remember what a store raised, and tell the program."""
        self.last_store_failure = failure
        if self.on_store_failure is not None and namespace is not None:
            self.on_store_failure(namespace, failure)

    def withdraw(self, queue: Queue) -> list[Command]:
        """Take a queue's store requests back that no executor has seen."""
        withdrawn = [command for command in self.store_requests if command.queue is queue]
        if withdrawn:
            self.store_requests[:] = [command for command in self.store_requests if command.queue is not queue]
        return withdrawn

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is next due."""
        return self._timers.next_deadline()

    def handle_timeout(self, now: int) -> None:
        """Fail every controller that heard nothing for a whole keep-alive interval (NVMe Base 2.0 3.9), and end
        queues that were not connected, or not closed, in time.
        """
        self.tick(now)
        for late in self._timers.expired(now):
            if isinstance(late, Queue):
                self.queues_overdue += 1
                late.handle_overdue()
            elif late.has_traffic:
                late.has_traffic = False
                self.arm_keep_alive(late)
            else:
                self.keep_alive_expirations += 1
                late.fail()

    def end_controller(self, controller: Controller) -> None:
        """Forget a controller whose admin queue is gone; its other queues are closed."""
        self._timers.cancel(controller)
        controller.subsystem.controllers.pop(controller.cntlid, None)
        if controller.state is ControllerState.READY:
            controller.subsystem.unsafe_shutdowns += 1
        for queue in list(controller.io_queues.values()):
            queue.ask_to_close()
            controller.subsystem.queue_departed(queue)
        waiting, controller.events.requests = controller.events.requests, []
        for command in waiting:
            controller.port.release(command)

    def _discovery_changed(self) -> None:
        self.discovery_generation += 1
        self.subsystems[DISCOVERY_NQN].discovery_changed()
