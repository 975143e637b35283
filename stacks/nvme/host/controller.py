"""An initiator's side of an association with one controller.

    binding                              host controller
    poll_openings        <-  queues to connect
    handle_opened        ->  a queue's connection is there
    handle_lost          ->  it is gone, or was refused
    queue.outgoing       <-  commands to send, for each queue in `queues`
    handle_completion    ->  a completion entry, once its data is in place
    poll_closings        <-  queues to disconnect

`failure` says in one line why it is CLOSED; it is empty after an orderly stop. `observer` is the policy above, which
reconnects (`path`) and sends again what failed (`multipath`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from stacks.nvme.host.ana import AnaView, read_ana_log
from stacks.nvme.host.bring_up import changed_namespaces, start, stop
from stacks.nvme.host.command import HostCommand
from stacks.nvme.host.configuration import ADMIN_QUEUE_ENTRIES, HostConfig
from stacks.nvme.host.controller_state import HOST_TABLE, HostEvent, HostState
from stacks.nvme.host.errors import CommandFailed, ConnectionFailed
from stacks.nvme.host.namespace import HostNamespace, pick
from stacks.nvme.host.observer import HostObserver, Nobody
from stacks.nvme.host.queue import HostQueue, HostQueueEvent
from stacks.nvme.host.refresher import Refresher
from stacks.nvme.host.script import Script, Step, Steps
from stacks.nvme.host.watchdog import Watch, Watchdog
from stacks.runtime import LocalError, Timers, Verdict
from stacks.runtime.errors import StackError
from wire.nvme.identify_codec import IdentifyController
from wire.nvme.kinds import ControllerType
from wire.nvme.opcodes import AdminOpcode, IoOpcode, LogPage
from wire.nvme.registers_codec import ControllerCapabilities


class HostController:
    """The association; nothing happens before `start`.

    config: whom to connect to, and how.
    max_transfer_bytes: the most that the binding moves with one command; MDTS may make it less.
    has_sq_flow_control: whether completions are to carry SQHD (NVMe over Fabrics 1.1 3.3).
    """

    def __init__(
        self, config: HostConfig, *, max_transfer_bytes: int = 1 << 20, has_sq_flow_control: bool = True
    ) -> None:
        self.config = config
        self.has_sq_flow_control = has_sq_flow_control
        self.state = HostState.NEW
        self.failure = ""
        self.is_final = False
        """Whether it failed in a way that connecting again would not help against."""
        self.observer: HostObserver = Nobody()
        self.admin = HostQueue(0, ADMIN_QUEUE_ENTRIES)
        self.io_queues: list[HostQueue] = []
        self.namespaces: dict[int, HostNamespace] = {}
        self.hidden: dict[int, str] = {}
        """Namespaces that cannot be used here, with the reason."""
        self.identity = IdentifyController()
        self.capabilities: ControllerCapabilities | None = None
        self.configuration = 0
        self.version = 0
        self.cntlid = 0
        self.ana = AnaView()
        self.events: list[int] = []
        self._early_events: list[int] = []
        """Those that came before the association was live; what they are about may have been read before."""
        self.on_event: Callable[[int], None] | None = None
        self._binding_max_bytes = max_transfer_bytes
        self._openings: list[HostQueue] = []
        self._closings: list[HostQueue] = []
        self._opening_scripts: dict[HostQueue, Script] = {}
        self._timers: Timers[Watch | Script] = Timers()
        self._now = 0
        self._next_queue = 0
        self.watchdog = Watchdog(self, self._timers, self._fail)
        self._namespaces_refresher = Refresher(self._run, lambda: changed_namespaces(self), self._read_again)
        self._ana_refresher = Refresher(self._run, lambda: read_ana_log(self), self._read_again)

    @property
    def queues(self) -> list[HostQueue]:
        """All queues, the admin queue first."""
        return [self.admin, *self.io_queues]

    @property
    def is_live(self) -> bool:
        """Whether I/O goes."""
        return self.state is HostState.LIVE

    @property
    def is_closed(self) -> bool:
        """Whether it is over; `failure` says why."""
        return self.state is HostState.CLOSED

    @property
    def is_discovery(self) -> bool:
        """Whether this is a discovery controller, under the well-known NQN or one of its own."""
        return self.config.is_discovery or self.identity.cntrltype == ControllerType.DISCOVERY

    @property
    def has_io(self) -> bool:
        """Whether the controller has I/O queues and namespaces: not those for discovery or administration alone."""
        return not self.is_discovery and self.identity.cntrltype != ControllerType.ADMINISTRATIVE

    @property
    def now(self) -> int:
        """The time that it was last told, in nanoseconds."""
        return self._now

    @property
    def in_flight(self) -> int:
        """I/O commands that were sent and are not answered."""
        return sum(queue.in_flight for queue in self.io_queues)

    @property
    def max_transfer_bytes(self) -> int:
        """The most data that one command may move, in bytes: what MDTS and the binding allow."""
        if not self.identity.mdts:
            return self._binding_max_bytes
        return min(self._binding_max_bytes, PAGE_BYTES << self.identity.mdts)

    @property
    def in_capsule_bytes(self) -> int:
        """Data that a capsule of an I/O queue may carry; 0 when the controller wants none."""
        if self.identity.icdoff or not self.identity.sgls & SGLS_IN_CAPSULE:
            return 0
        return max(0, self.identity.ioccsz * 16 - 64)

    def start(self, now: int) -> None:
        """Begin to connect; LocalError when it was begun before, or nobody said to which subsystem."""
        if not self.config.nqn:
            raise LocalError("HostConfig.nqn is empty: say which subsystem to connect to")
        self._now = now
        self._apply(HostEvent.START)
        self.watchdog.begin(now)
        self._run(start(self), self._started)

    def stop(self, now: int) -> None:
        """Begin an orderly end; commands in flight on I/O queues are abandoned."""
        self._now = now
        was_new = self.state is HostState.NEW
        if self._apply(HostEvent.STOP) and not was_new:
            self.watchdog.stopping()
            if self.admin.is_open:
                self._run(stop(self), self._stopped)
            else:
                # Nobody to say goodbye to yet.
                self._stopped(None)

    def fail(self, reason: str, now: int) -> None:
        """Drop the association without a word to the controller, as when it does not answer any more."""
        self._now = now
        self._fail(reason)

    def submit_admin(self, command: HostCommand, now: int) -> None:
        """Send an admin command."""
        self._now = now
        self.admin.submit(command, now)

    def submit_io(self, command: HostCommand) -> None:
        """Send an I/O command on the least busy of the I/O queues."""
        queues = self.io_queues
        if len(queues) == 1:
            queues[0].submit(command, self._now)
        elif not queues:
            self._refuse_io()
        else:
            # Ties go round, so that idle queues share the load.
            self._next_queue = (self._next_queue + 1) % len(queues)
            rotated = queues[self._next_queue :] + queues[: self._next_queue]
            min(rotated, key=_load).submit(command, self._now)

    def submit_pair(self, first: HostCommand) -> None:
        """Send a fused pair on one of the I/O queues; LocalError when a queue has no room for two commands."""
        if not self.io_queues:
            self._refuse_io()
        min(self.io_queues, key=_load).submit_pair(first, self._now)

    def doubt_ana(self, nsid: int) -> None:
        """Read the ANA log again; until that is done the namespace does not count as accessible here."""
        if self.ana.is_reported and self.is_live:
            self.ana.stale.add(nsid)
            self.watchdog.look_at_ana(self._now)
            self._ana_refresher.refresh()

    def retry_delay_ns(self, crd: int) -> int:
        """How long to wait before a command is sent again; crd: what its status says, 0 to 3."""
        identity = self.identity
        return (0, identity.crdt1, identity.crdt2, identity.crdt3)[crd] * 100_000_000

    def run(self, steps: Steps, finished: Callable[[StackError | None], None], now: int) -> None:
        """Run a sequence of admin commands (`script`); finished: called with None or the error that ended it."""
        self._now = now
        self._run(steps, finished)

    def namespace(self, nsid: int = 0) -> HostNamespace:
        """A namespace by number, or (0) the only one; LocalError when there is none, or more than one."""
        return pick(self.namespaces, self.hidden, nsid, self.config.nqn)

    @property
    def has_connections_to_change(self) -> bool:
        """Whether `poll_openings` or `poll_closings` has something to say."""
        return bool(self._openings or self._closings)

    def poll_openings(self) -> list[HostQueue]:
        """Queues that the binding has to connect, since the last call."""
        openings, self._openings = self._openings, []
        return openings

    def poll_closings(self) -> list[HostQueue]:
        """Queues whose connection the binding has to end, since the last call."""
        closings, self._closings = self._closings, []
        return closings

    def handle_opened(self, queue: HostQueue, now: int) -> None:
        """A queue's connection is there."""
        self._now = now
        if queue.apply(HostQueueEvent.OPENED):
            script = self._opening_scripts.pop(queue, None)
            if script is not None:
                script.advance()

    def handle_lost(self, queue: HostQueue, reason: str, now: int) -> None:
        """A queue's connection is gone or was refused, and the association with it; reason: one line for a person."""
        self._now = now
        commands = queue.lost(reason)
        script = self._opening_scripts.pop(queue, None)
        if self.state is HostState.STOPPING and queue.qid:
            self._abandon(queue, commands)
            return
        self._fail(reason)
        self._abandon(queue, commands)
        if script is not None:
            script.abandon(ConnectionFailed(reason))

    def tick(self, now: int) -> None:
        """Note the time; bindings call it before they hand anything in."""
        self._now = now

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is next due."""
        return self._timers.next_deadline()

    def handle_timeout(self, now: int) -> None:
        """Keep-alive, commands without an answer, and pauses of scripts."""
        self._now = now
        for timer in self._timers.expired(now):
            if isinstance(timer, Script):
                timer.advance()
            else:
                self.watchdog.handle(timer, now)

    def add_io_queue(self, qid: int, entries: int) -> HostQueue:
        """One more I/O queue, for `bring_up` to open."""
        queue = HostQueue(qid, entries)
        queue.recover = self._recover
        self.io_queues.append(queue)
        return queue

    def close(self, queue: HostQueue, reason: str) -> None:
        """End a queue's connection; what is in flight is abandoned."""
        commands = queue.lost(reason)
        # A queue that the binding has not begun to connect must not be connected any more.
        if queue in self._openings:
            self._openings.remove(queue)
        self._opening_scripts.pop(queue, None)
        self._closings.append(queue)
        self._abandon(queue, commands)

    def request_event(self) -> None:
        """Send an Async Event Request; the next one follows each answer."""
        self.admin.submit(HostCommand(AdminOpcode.ASYNC_EVENT_REQUEST.value, done=self._event_came), self._now)

    def _run(self, steps: Steps, finished: Callable[[StackError | None], None]) -> None:
        Script(steps, self._start_step, finished).advance()

    def _start_step(self, script: Script, step: Step) -> None:
        if isinstance(step, HostQueue):
            step.apply(HostQueueEvent.OPEN)
            self._opening_scripts[step] = script
            self._openings.append(step)
        elif isinstance(step, int):
            self._timers.arm(script, self._now + step)
        else:
            step.done = lambda command: self._step_done(script, command)
            (step.queue or self.admin).submit(step, self._now)

    def _step_done(self, script: Script, command: HostCommand) -> None:
        queue = command.queue
        if queue is not None and queue.failure:
            script.abandon(ConnectionFailed(queue.failure))
        else:
            script.advance(command)

    def _started(self, error: StackError | None) -> None:
        if error is not None:
            # What `stop` cuts short is no failure.
            if self.state is HostState.STARTING:
                is_final = isinstance(error, CommandFailed | ConnectionFailed) and error.is_final
                self._fail(str(error), is_final=is_final)
        elif self._apply(HostEvent.STARTED):
            self.watchdog.connected(self._now)
            self.watchdog.look_at_ana(self._now)
            self.observer.host_live(self)
            events, self._early_events = self._early_events, []
            for event in events:
                self._act_on(event)

    def _stopped(self, _: StackError | None) -> None:
        for queue in self.queues:
            self.close(queue, "shut down")
        if self._apply(HostEvent.STOPPED):
            self.watchdog.stop()
            self.observer.host_closed(self)

    def _fail(self, reason: str, *, is_final: bool = False) -> None:
        if not self._apply(HostEvent.FAIL):
            return
        self.failure = reason
        self.is_final = is_final
        self.watchdog.stop()
        for queue in self.queues:
            self.close(queue, reason)
        self.observer.host_closed(self)

    def _recover(self, command: HostCommand) -> bool:
        return command.opcode != IoOpcode.FABRICS and self.observer.recover(self, command)

    def _abandon(self, queue: HostQueue, commands: list[HostCommand]) -> None:
        for command in commands:
            queue.abandon(command)

    def _event_came(self, command: HostCommand) -> None:
        if command.status or self.state not in (HostState.STARTING, HostState.LIVE):
            return
        self.events.append(command.dw0)
        del self.events[:-EVENTS_KEPT]
        self.request_event()
        if self.on_event is not None:
            self.on_event(command.dw0)
        if self.state is HostState.LIVE:
            self._act_on(command.dw0)
        else:
            self._early_events.append(command.dw0)

    def _act_on(self, event: int) -> None:
        page = event >> 16 & 0xFF
        if page == LogPage.CHANGED_NAMESPACES:
            self._namespaces_refresher.refresh()
        elif page == LogPage.ANA and self.ana.is_reported:
            self._ana_refresher.refresh()
        self.observer.event_came(self, event)

    def _read_again(self) -> None:
        if self.state is HostState.LIVE:
            self.watchdog.look_at_ana(self._now)
            self.observer.host_changed(self)

    def _refuse_io(self) -> NoReturn:
        raise LocalError(f"{self.config.nqn}: there is no I/O queue, {self.failure or self.state.value}")

    def _apply(self, event: HostEvent) -> bool:
        outcome = HOST_TABLE.apply(self.state, event)
        if isinstance(outcome, Verdict):
            return False
        self.state = outcome
        return True


def _load(queue: HostQueue) -> int:
    return queue.in_flight


PAGE_BYTES = 4096
SGLS_IN_CAPSULE = 1 << 20
EVENTS_KEPT = 64
