"""An initiator's side of an association with one controller.

    binding                              host controller
    poll_openings        <-  queues to connect
    handle_opened        ->  a queue's connection is there
    handle_lost          ->  it is gone, or was refused
    queue.outgoing       <-  commands to send, for each queue in `queues`
    handle_completion    ->  a completion entry, once its data is in place
    poll_closings        <-  queues to disconnect

`failure` says in one line why it is CLOSED; it is empty after an orderly stop. Reconnecting is a policy above this.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import NoReturn

from stacks.nvme.host.bring_up import changed_namespaces, start, stop
from stacks.nvme.host.command import HostCommand
from stacks.nvme.host.configuration import ADMIN_QUEUE_ENTRIES, HostConfig
from stacks.nvme.host.controller_state import HOST_TABLE, HostEvent, HostState
from stacks.nvme.host.errors import ConnectionFailed
from stacks.nvme.host.namespace import HostNamespace
from stacks.nvme.host.queue import HostQueue, HostQueueEvent
from stacks.nvme.host.script import Script, Step, Steps
from stacks.runtime import LocalError, Timers, Verdict
from stacks.runtime.errors import StackError
from wire.nvme.identify_codec import IdentifyController
from wire.nvme.opcodes import AdminOpcode, LogPage
from wire.nvme.registers_codec import ControllerCapabilities


class HostTimer(enum.IntEnum):
    """What a host waits for."""

    KEEP_ALIVE = 0
    """Send a Keep Alive, at half the timeout."""
    COMMAND = 1
    """Look for commands without an answer."""


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
        self.events: list[int] = []
        self.on_event: Callable[[int], None] | None = None
        self._binding_max_bytes = max_transfer_bytes
        self._openings: list[HostQueue] = []
        self._closings: list[HostQueue] = []
        self._opening_scripts: dict[HostQueue, Script] = {}
        self._timers: Timers[HostTimer | Script] = Timers()
        self._now = 0
        self._next_queue = 0
        self._is_refreshing = False
        self._must_refresh_again = False

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
        self._timers.arm(HostTimer.COMMAND, now + self.config.command_timeout_ns // 2)
        self._run(start(self), self._started)

    def stop(self, now: int) -> None:
        """Begin an orderly end; commands in flight on I/O queues are abandoned."""
        self._now = now
        was_new = self.state is HostState.NEW
        if self._apply(HostEvent.STOP) and not was_new:
            self._timers.cancel(HostTimer.KEEP_ALIVE)
            if self.admin.is_open:
                self._run(stop(self), self._stopped)
            else:
                # Nobody to say goodbye to yet.
                self._stopped(None)

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

    def run(self, steps: Steps, finished: Callable[[StackError | None], None], now: int) -> None:
        """Run a sequence of admin commands (`script`); finished: called with None or the error that ended it."""
        self._now = now
        self._run(steps, finished)

    def namespace(self, nsid: int = 0) -> HostNamespace:
        """A namespace by number, or (0) the only one; LocalError when there is none, or more than one."""
        if nsid:
            if nsid in self.hidden:
                raise LocalError(f"{self.config.nqn}: namespace {nsid} cannot be used, {self.hidden[nsid]}")
            if nsid not in self.namespaces:
                raise LocalError(f"{self.config.nqn} has no namespace {nsid}; it has {self._names()}")
            return self.namespaces[nsid]
        if len(self.namespaces) != 1:
            raise LocalError(f"{self.config.nqn} has {self._names()}; say which, as in .../{self.config.nqn}/1")
        return next(iter(self.namespaces.values()))

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
            elif timer is HostTimer.KEEP_ALIVE:
                self._send_keep_alive()
            else:
                self._look_for_late_commands()

    def add_io_queue(self, qid: int, entries: int) -> HostQueue:
        """One more I/O queue, for `bring_up` to open."""
        queue = HostQueue(qid, entries)
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
                self._fail(str(error))
        elif self._apply(HostEvent.STARTED) and self.config.keep_alive_ms:
            self._timers.arm(HostTimer.KEEP_ALIVE, self._now + self._keep_alive_ns())

    def _stopped(self, _: StackError | None) -> None:
        for queue in self.queues:
            self.close(queue, "shut down")
        if self._apply(HostEvent.STOPPED):
            self._cancel_timers()

    def _fail(self, reason: str) -> None:
        if not self._apply(HostEvent.FAIL):
            return
        self.failure = reason
        self._cancel_timers()
        for queue in self.queues:
            self.close(queue, reason)

    def _cancel_timers(self) -> None:
        for timer in HostTimer:
            self._timers.cancel(timer)

    def _abandon(self, queue: HostQueue, commands: list[HostCommand]) -> None:
        for command in commands:
            queue.abandon(command)

    def _event_came(self, command: HostCommand) -> None:
        if command.status or self.state is not HostState.LIVE:
            return
        self.events.append(command.dw0)
        del self.events[:-EVENTS_KEPT]
        self.request_event()
        if self.on_event is not None:
            self.on_event(command.dw0)
        if command.dw0 >> 16 & 0xFF == LogPage.CHANGED_NAMESPACES:
            self._refresh()

    def _refresh(self) -> None:
        # One at a time: what changes while the list is read is read in one more round, however often it does.
        if self._is_refreshing:
            self._must_refresh_again = True
            return
        self._is_refreshing = True
        self._must_refresh_again = False
        self._run(changed_namespaces(self), self._refreshed)

    def _refreshed(self, _: StackError | None) -> None:
        # A list that could not be read is read after the next event; a lost connection is reported elsewhere.
        self._is_refreshing = False
        if self._must_refresh_again and self.state is HostState.LIVE:
            self._refresh()

    def _keep_alive_ns(self) -> int:
        return self.config.keep_alive_ms * 1_000_000 // 2

    def _send_keep_alive(self) -> None:
        self.admin.submit(HostCommand(AdminOpcode.KEEP_ALIVE.value), self._now)
        self._timers.arm(HostTimer.KEEP_ALIVE, self._now + self._keep_alive_ns())

    def _look_for_late_commands(self) -> None:
        # A look at every half timeout costs nothing for each command; one is then late by at most half as much again.
        limit = self._now - self.config.command_timeout_ns
        for queue in self.queues:
            oldest = queue.oldest_ns(exclude_opcode=AdminOpcode.ASYNC_EVENT_REQUEST.value if not queue.qid else -1)
            if oldest is not None and oldest <= limit:
                seconds = self.config.command_timeout_ns / 10**9
                self._fail(f"the controller did not answer a command within {seconds:g} seconds")
                return
        self._timers.arm(HostTimer.COMMAND, self._now + self.config.command_timeout_ns // 2)

    def _refuse_io(self) -> NoReturn:
        raise LocalError(f"{self.config.nqn}: there is no I/O queue, {self.failure or self.state.value}")

    def _names(self) -> str:
        numbers = ", ".join(map(str, sorted(self.namespaces)))
        return f"namespaces {numbers}" if len(self.namespaces) > 1 else f"namespace {numbers}" if numbers else "none"

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
