"""A target: subsystems, the ports through which hosts come, the discovery service, time, and the way to the stores.

Transport-neutral and sans-IO: bindings drive its ports, an executor runs its store requests, and a driver brings the
time. Subsystems, ports and referrals come and go while it serves; like those of `Subsystem`, the methods for that are
synchronous, and a LocalError of one line says what cannot be.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from typing import Protocol

from stacks.nvme.buffers import BufferPool
from stacks.nvme.stores.contract import StoreRequest
from stacks.nvme.target.busy_time import SAMPLE_NS
from stacks.nvme.target.controller import Controller
from stacks.nvme.target.controller_kind import DISCOVERY
from stacks.nvme.target.controller_state import ControllerState
from stacks.nvme.target.discovery import DiscoveryService
from stacks.nvme.target.discovery_record import PortAddress
from stacks.nvme.target.namespace import Namespace
from stacks.nvme.target.port import Port
from stacks.nvme.target.queue import Queue
from stacks.nvme.target.store_line import StoreLine
from stacks.nvme.target.subsystem import Subsystem
from stacks.runtime import LocalError, Timers
from wire.nvme.opcodes import DISCOVERY_NQN


class Timed(Hashable, Protocol):
    """Whoever waits for a time: a controller for its host, a queue for its end, an ANA group for its next state."""

    def handle_deadline(self) -> None:
        """The time has come."""


class Target:
    """Subsystems under their NQNs. A discovery subsystem is always among them.

    subsystems: what to serve; more can be added while running. Raises LocalError for an NQN that comes twice.
    discovery_nqn: a name of its own for the discovery service, which goes by the well-known one as well.
    discovery: the discovery service, its log and referrals. line: what waits for a store.
    keep_alive_expirations: controllers given up because their hosts were silent; associations_expired: those that were
    never enabled, or not again. queues_overdue: connections that were not used, or not closed, in time.
    store_failures: commands whose store raised what is no OSError. last_store_failure: what any store raised last,
    last_store_trace: its traceback, as text, empty for an OSError.
    on_store_failure: called with the namespace and that text, for each command that its store failed; it must not
    raise, and sees as many calls as the hosts send commands.
    on_access_changed: called when a queue may do more or less than before, or its namespaces are for somebody else for
    a while, and before anybody is told; on_collect: before counts are looked at. For those who do I/O of queues
    elsewhere; what they have done until then counts, and nothing that the change forbids comes later.
    """

    def __init__(self, subsystems: Iterable[Subsystem] = (), *, discovery_nqn: str = DISCOVERY_NQN) -> None:
        self.subsystems: dict[str, Subsystem] = {}
        self.ports: list[Port] = []
        self.discovery = DiscoveryService(self)
        self.line = StoreLine(self._io_queues, self.access_changed)
        self.store_requests = self.line.requests
        self.keep_alive_expirations = 0
        self.associations_expired = 0
        self.queues_overdue = 0
        self.store_failures = 0
        self.last_store_failure = ""
        self.last_store_trace = ""
        self.on_store_failure: Callable[[Namespace, str], None] | None = None
        self.on_access_changed: list[Callable[[], None]] = []
        self.on_collect: list[Callable[[], None]] = []
        self._timers: Timers[Timed] = Timers()
        self._now = 0
        self._started_ns: int | None = None
        self._sampled_ns = 0
        self._discovery = Subsystem(discovery_nqn, kind=DISCOVERY)
        for subsystem in (self._discovery, *subsystems):
            self.add_subsystem(subsystem)

    @property
    def now(self) -> int:
        """The time as of the last `tick`."""
        return self._now

    @property
    def up_time_ns(self) -> int:
        """Time since the target first saw the clock."""
        return 0 if self._started_ns is None else self._now - self._started_ns

    @property
    def controllers(self) -> list[Controller]:
        """All controllers of all subsystems."""
        return [each for subsystem in self.subsystems.values() for each in subsystem.controllers.values()]

    @property
    def discovery_generation(self) -> int:
        """How often what there is to discover has changed."""
        return self.discovery.generation

    def find_subsystem(self, nqn: str) -> Subsystem | None:
        """The subsystem of that name; the well-known discovery NQN always finds the discovery subsystem."""
        return self._discovery if nqn == DISCOVERY_NQN else self.subsystems.get(nqn)

    def add_subsystem(self, subsystem: Subsystem) -> None:
        """Serve one more subsystem, and tell the hosts that keep a discovery controller; LocalError when its NQN is
        there already, or another target serves it.
        """
        if subsystem.nqn in self.subsystems:
            raise LocalError(f"subsystem {subsystem.nqn} is there already")
        subsystem.serve(self)
        self.subsystems[subsystem.nqn] = subsystem
        self.discovery.changed()

    def remove_subsystem(self, nqn: str) -> Subsystem:
        """Stop serving a subsystem and close its hosts' queues; LocalError when there is none."""
        if nqn not in self.subsystems or self.subsystems[nqn] is self._discovery:
            raise LocalError(f"there is no subsystem {nqn} to remove")
        subsystem = self.subsystems.pop(nqn)
        subsystem.end_serving()
        self.discovery.changed()
        return subsystem

    def add_port(
        self,
        pool: BufferPool,
        *,
        portid: int = 0,
        address: PortAddress | None = None,
        serves: Collection[str] | None = None,
        in_capsule_bytes: int = 0,
        sgl_support: int = 0,
    ) -> Port:
        """One more way in, for a binding to drive, and tell the hosts that keep a discovery controller.

        portid: 0 for the lowest free number; the other arguments are `Port`'s. LocalError when the number is taken or
        too large.
        """
        taken = {port.portid for port in self.ports}
        portid = portid or next(number for number in range(1, PORTID_MAX + 2) if number not in taken)
        if portid in taken:
            raise LocalError(f"there is a port {portid} already")
        if not 1 <= portid <= PORTID_MAX:
            raise LocalError(f"port {portid}: numbers go from 1 to {PORTID_MAX}")
        port = Port(
            self,
            pool,
            portid=portid,
            address=address,
            serves=serves,
            in_capsule_bytes=in_capsule_bytes,
            sgl_support=sgl_support,
        )
        self.ports.append(port)
        if address is not None:
            self.discovery.changed()
        return port

    def remove_port(self, port: Port) -> None:
        """Close a way in: disconnect its hosts, take no more, and tell those that keep a discovery controller.

        Its binding ends the connections, as always. LocalError when it is none of this target's.
        """
        if port not in self.ports:
            raise LocalError("that is no port of this target")
        self.ports.remove(port)
        for controller in self.controllers:
            if controller.port is port:
                controller.fail()
        for subsystem in self.subsystems.values():
            subsystem.forget_port(port.portid)
        if port.address is not None:
            self.discovery.changed()

    def set_serves(self, port: Port, nqns: Collection[str] | None) -> None:
        """Change which subsystems are reached through a port (see `Port`), and disconnect the hosts of the others."""
        serves = None if nqns is None else frozenset(nqns)
        if serves == port.serves:
            return
        port.serves = serves
        for controller in self.controllers:
            if controller.port is port and not port.reaches(controller.subsystem):
                controller.fail()
        self.discovery.changed()

    def poll_store_requests(self) -> Sequence[StoreRequest]:
        """Store requests since the last call, in order; any executor may run them."""
        return self.line.poll()

    def handle_store_completions(self, requests: Sequence[StoreRequest], now: int) -> None:
        """Requests that an executor has run, with their status set."""
        self.tick(now)
        self.line.came_back(requests)

    def tick(self, now: int) -> None:
        """Note the time; bindings call it before they hand anything in."""
        self._now = now
        if now - self._sampled_ns >= SAMPLE_NS:
            self._sample_busy_time(now - self._sampled_ns)
        if self._started_ns is None:
            self._started_ns = now
            for subsystem in self.subsystems.values():
                subsystem.start_clock()

    def access_changed(self) -> None:
        """What I/O depends on is different: see `on_access_changed`."""
        for tell in self.on_access_changed:
            tell()

    def collect(self) -> None:
        """Bring the counts up to date with what is done elsewhere."""
        for collect in self.on_collect:
            collect()

    def _io_queues(self) -> Iterator[Queue]:
        for subsystem in self.subsystems.values():
            yield from subsystem.sharing.io_queues()

    def _sample_busy_time(self, elapsed_ns: int) -> None:
        self._sampled_ns = self._now
        self.collect()
        for subsystem in self.subsystems.values():
            subsystem.busy_time.sample(subsystem, elapsed_ns)

    def arm(self, timed: Timed, delay_ns: int) -> None:
        """(Re)start somebody's timer."""
        self._timers.arm(timed, self._now + delay_ns)

    def cancel(self, timed: Timed) -> None:
        """Stop somebody's timer, if it runs."""
        self._timers.cancel(timed)

    def tell_store_failure(self, namespace: Namespace | None, failure: str, trace: str) -> None:
        """Remember what a store raised, and tell the program."""
        self.last_store_failure = failure
        self.last_store_trace = trace
        self.access_changed()
        if self.on_store_failure is not None and namespace is not None:
            self.on_store_failure(namespace, failure)

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is next due."""
        return self._timers.next_deadline()

    def handle_timeout(self, now: int) -> None:
        """Do what is due: fail controllers whose hosts are silent, end queues that were not connected or not closed in
        time, finish changes of ANA states.
        """
        self.tick(now)
        for late in self._timers.expired(now):
            late.handle_deadline()

    def begin_controller(self, controller: Controller) -> None:
        """A host has connected an admin queue and got a controller."""
        subsystem = controller.subsystem
        subsystem.controllers[controller.cntlid] = controller
        subsystem.controllers_made += 1
        if subsystem.is_discovery:
            self.discovery.begin(controller)

    def end_controller(self, controller: Controller) -> None:
        """Forget a controller whose admin queue is gone; its other queues are closed."""
        self.cancel(controller)
        self.discovery.end(controller)
        controller.subsystem.controllers.pop(controller.cntlid, None)
        if controller.state is ControllerState.READY:
            controller.subsystem.unsafe_shutdowns += 1
        for queue in list(controller.io_queues.values()):
            queue.ask_to_close()
            controller.subsystem.sharing.queue_departed(queue)
        for command in controller.events.reset():
            controller.port.release(command)


PORTID_MAX = 0xFFFF
