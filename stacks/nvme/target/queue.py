"""One queue of one host, from the connection to its end, and what all of its commands share.

A queue's commands come from a binding (`handle_capsule`) and leave through its port's lists of fetches and
completions. Which handlers there are is a dict, exchanged when the queue becomes an admin or an I/O queue, and again
when it stops: because its controller does (then commands are refused), or to be closed (then they are dropped).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from stacks.nvme.target.connect import connect
from stacks.nvme.target.errors import CommandError, failure_word
from stacks.nvme.target.handlers import NO_TABLES, TABLES
from stacks.nvme.target.io_commands import STOPPED_IO_HANDLERS
from stacks.nvme.target.namespace import Namespace
from stacks.nvme.target.pairing import refuse_half, take_unusual
from stacks.nvme.target.queue_state import QUEUE_TABLE, QueueEvent, QueueState
from stacks.runtime import Verdict
from wire.nvme.opcodes import FLAGS_SGL, AdminOpcode
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.controller import Controller
    from stacks.nvme.target.port import Port


class Queue:
    """A queue; made by `Port.open_queue`.

    port: how its host comes; expected_qid: the QID that the connection announced, or None when it does not say.
    local_host, remote: the addresses of the connection, where the binding says them: ours in numeric form, and the
    host's as a person reads it.
    entries: size of its SQ once connected; sqhd: its head. held: what it has of the pool.
    under_way: the commands that have no completion yet. host_id: whose they are, also when the connection is gone.
    readable, writable: the namespaces that the host may read and write now; namespaces: those that it reaches.
    lend_bytes: how much data of a store may go to the host without a copy; the binding says so, 0 for none.
    tables: the commands of its controller's type.
    is_stopped: nothing new is begun, and what waits for data or memory is aborted.
    is_overdue: it was to be closed in order, and the time for that is over.
    """

    def __init__(
        self, port: Port, *, expected_qid: int | None = None, local_host: str = "", remote: str = ""
    ) -> None:
        self.port = port
        self.expected_qid = expected_qid
        self.local_host = local_host
        self.remote = remote
        self.state = QueueState.FRESH
        self.qid = 0
        self.entries = 1
        self.sqhd = 0
        self.has_flow_control = True
        self.under_way: set[Command] = set()
        self.lend_bytes = 0
        self.is_stopped = False
        self.is_overdue = False
        self.held = port.pool.new_account()
        self.controller: Controller | None = None
        self.host_id = b""
        self.namespaces: Mapping[int, Namespace] = {}
        self.readable: Mapping[int, Namespace] = {}
        self.writable: Mapping[int, Namespace] = {}
        self.pool = port.pool
        self.max_transfer_bytes = port.max_transfer_bytes
        self.store_requests = port.target.store_requests
        self._completions = port.completions
        self.tables = NO_TABLES
        self._disconnect: Command | None = None
        self._first_half: Command | None = None
        self._usual_flags = _FLAGS
        self._handlers: Mapping[int, Callable[[Queue, Command], None]] = _FRESH_HANDLERS

    @property
    def has_write_cache(self) -> bool:
        """Whether the host left the volatile write cache on; without it every write goes to the medium."""
        assert self.controller is not None
        return self.controller.features.has_write_cache

    @property
    def association(self) -> object:
        """The same for all queues of one association, and for no others."""
        return self.controller

    @property
    def in_flight(self) -> int:
        """How many commands are under way."""
        return len(self.under_way)

    @property
    def is_idle(self) -> bool:
        """Whether no command is under way; event requests, which wait for ever, do not count."""
        waiting = len(self.controller.events.requests) if self.controller is not None and not self.qid else 0
        return self.in_flight <= waiting

    def handle_capsule(self, command: Command) -> None:
        """Take a command that has arrived; never raises for what the host sent."""
        first = command.words[0]
        command.queue = self
        command.opcode = first & 0xFF
        command.cid = first >> 16
        self.under_way.add(command)
        if self.controller is not None and command.opcode != _FABRICS:
            self.controller.has_traffic = True
        if first & 0xFF00 != self._usual_flags:
            take_unusual(self, command)
            return
        self.dispatch(command)

    def dispatch(self, command: Command) -> None:
        """Run the handler of the command's opcode; also what a command does that had to wait for a buffer."""
        handler = self._handlers.get(command.opcode)
        if handler is None:
            self.fail(command, StatusCode.INVALID_OPCODE.value, location=0)
            return
        try:
            handler(self, command)
        except CommandError as error:
            self.fail(command, error.code, dw0=error.dw0, location=error.location, lba=error.lba)

    def refuse(self, command: Command, code: int, *, location: int | None = None) -> None:
        """The binding cannot take the command (a wrong SGL): fail it without looking at its opcode."""
        command.queue = self
        command.opcode = command.words[0] & 0xFF
        command.cid = command.words[0] >> 16
        self.under_way.add(command)
        if self.controller is not None and command.opcode != _FABRICS:
            self.controller.has_traffic = True
        if self.state is _CLOSING:
            _drop(self, command)
        else:
            refuse_half(self, command)
            self.fail(command, code, location=location)

    def complete(self, command: Command) -> None:
        """Success: data, if any, and the completion entry go to the host."""
        command.status_word = 0
        self._finish(command)

    def fail(
        self, command: Command, code: int, *, dw0: int = 0, location: int | None = None, lba: int | None = None
    ) -> None:
        """End a command with a status, and remember it in the error log.

        location: byte of the submission entry that is wrong; lba: the block, None for the command's first, if any.
        """
        command.status_word = failure_word(code, is_logged=self.controller is not None)
        command.dw0 = dw0
        command.send_bytes = 0
        if self.controller is not None:
            self.controller.errors.add(self, command, location=location, lba=lba)
        if command is self._first_half:
            self._first_half = None
        self._finish(command)
        if command.pair is not None:
            command.pair.half_failed(command)

    def expect_second(self, first: Command | None) -> None:
        """The next command should be the second half of a fused pair. first: None when that has failed already."""
        self._first_half, self._usual_flags = first, _NO_FLAGS

    def end_first_half(self) -> tuple[bool, Command | None]:
        """Stop to expect a second half: whether one was expected, and the first if it has not failed."""
        was_expected, first = self._usual_flags == _NO_FLAGS, self._first_half
        self._first_half, self._usual_flags = None, _FLAGS
        return was_expected, first

    def require_length(self, command: Command, length: int) -> None:
        """CommandError unless the command's SGL describes exactly `length` bytes, and the port can move them."""
        if length > self.max_transfer_bytes:
            raise CommandError(StatusCode.INVALID_FIELD, "more than MDTS", location=48)
        if command.data_bytes != length:
            raise CommandError(StatusCode.INVALID_SGL_DATA_LENGTH, f"{length} bytes are moved", location=32)

    def send_data(self, command: Command, content: bytes) -> None:
        """Complete with `content` for the host, which must be as long as its SGL says."""
        self.require_length(command, len(content))
        if command.capsule_data:
            raise CommandError(StatusCode.INVALID_SGL_TYPE, "no data goes back into a capsule", location=39)
        command.scratch = memoryview(content)
        _send_scratch(command)

    def receive_data(self, command: Command, length: int, then: Callable[[Command], None]) -> None:
        """Have `length` bytes of the host in `command.view`, and call `then`; at once when the capsule had them."""
        if command.capsule_data:
            command.view = command.capsule_data
            then(command)
            return
        buffer = self.pool.take(length, self.held)
        if buffer is None:
            self.wait_for_buffer(command, lambda waiting: self.receive_data(waiting, length, then))
            return
        command.buffer = buffer
        command.view = buffer.view[:length]
        command.resume = then
        self.port.fetches.append(command)

    def wait_for_buffer(self, command: Command, resume: Callable[[Command], None]) -> None:
        """Call `resume` when a buffer has come back."""
        command.resume = resume
        self.port.waiting.add(self, command)

    def take_back(self, command: Command) -> bool:
        """Take a command back that still waits for memory, for its other half, for the binding or for an executor;
        whether it did.
        """
        if command in self.port.fetches:
            self.port.fetches.remove(command)
            return True
        line, waiting = self.port.target.line, self.port.waiting
        return command is self._first_half or line.take_back(command) or waiting.remove(self, command)

    def begin_connect(self) -> None:
        """A Connect command is under way; CommandError when there is one already."""
        if not self._apply(QueueEvent.BEGIN):
            raise CommandError(StatusCode.COMMAND_SEQUENCE_ERROR, "a Connect is under way", location=4)

    def connect_refused(self) -> None:
        """It failed; the host may try again."""
        self._apply(QueueEvent.REFUSE)

    def connected(self, controller: Controller, qid: int, *, entries: int, has_flow_control: bool) -> None:
        """Connect succeeded: become a queue of `controller`."""
        self._apply(QueueEvent.CONNECT)
        self.port.target.cancel(self)
        self.controller = controller
        self.qid = qid
        self.entries = entries
        self.has_flow_control = has_flow_control
        self.host_id = controller.host_id
        self.namespaces = controller.attachments.accessible
        self.readable, self.writable = controller.access.readable, controller.access.writable
        self.tables = TABLES[controller.kind.type]
        self._handlers = self.tables.io if qid else self.tables.admin

    def disconnect(self, command: Command) -> None:
        """End the queue with this Disconnect command: its answer is the last, behind those of all others under way
        (NVMe Base 2.0 6.4). CommandError when there is one already.
        """
        if not self._apply(QueueEvent.DISCONNECT):
            raise CommandError(StatusCode.COMMAND_SEQUENCE_ERROR, "a Disconnect is under way", location=4)
        self._handlers = STOPPED_IO_HANDLERS
        self._stop()
        if self.in_flight == 1:
            self._end_with(command)
        else:
            self._disconnect = command

    def stop(self) -> None:
        """The controller is not ready any more: refuse I/O from now on, and abort what has not reached a store."""
        if self.state is QueueState.LIVE:
            self._handlers = STOPPED_IO_HANDLERS
            self._stop()

    def handle_deadline(self) -> None:
        """No Connect came in time, or the queue is not closed yet though it was to be: have the binding end it."""
        self.port.target.queues_overdue += 1
        self.is_overdue = True
        if self.state is _CLOSING:
            self.port.closing.append(self)
        else:
            self.ask_to_close()

    def ask_to_close(self) -> None:
        """Have the binding end the connection once what is complete has gone out."""
        if self._apply(QueueEvent.CLOSE):
            self._handlers = _CLOSING_HANDLERS
            self.port.closing.append(self)
            self.port.target.arm(self, CLOSE_TIMEOUT_NS)
            self._stop()

    def closed(self) -> None:
        """The connection is gone. With the admin queue the whole controller ends."""
        if not self._apply(QueueEvent.LOST):
            return
        self.port.target.cancel(self)
        self._stop()
        if self._disconnect is not None:
            self._finish(self._disconnect)
        controller, self.controller = self.controller, None
        if controller is None:
            return
        if self.qid:
            controller.io_queues.pop(self.qid, None)
            # A store brings back what it has; what the binding was fetching it gives up itself.
            self.under_way = {command for command in self.under_way if command.verb}
            controller.subsystem.sharing.queue_departed(self)
        else:
            self.port.target.end_controller(controller)

    def _stop(self) -> None:
        self.is_stopped = True
        self.port.target.access_changed()
        half = () if self._first_half is None else (self._first_half,)
        for command in (*self.port.waiting.take_all(self), *self.port.target.line.withdraw(self), *half):
            self.fail(command, StatusCode.ABORTED_SQ_DELETION.value)
        for pair in {command.pair for command in self.under_way}:
            if pair is not None:
                pair.stop()

    def _finish(self, command: Command) -> None:
        self.under_way.discard(command)
        if self.state is not _LIVE and self._is_finished(command):
            return
        if self.has_flow_control:
            self.sqhd = sqhd = (self.sqhd + 1) % self.entries
            command.sqhd = sqhd
        else:
            command.sqhd = 0xFFFF
        self._completions.append(command)

    def _is_finished(self, command: Command) -> bool:
        if self.state is _CLOSED:
            self.port.release(command)
            return True
        last = self._disconnect
        if last is None or self.in_flight > 1:
            return False
        # Of all that was under way only this command and the Disconnect are left.
        self._disconnect = None
        self.under_way.add(command)
        self._finish(command)
        self._end_with(last)
        return True

    def _end_with(self, disconnect: Command) -> None:
        self.complete(disconnect)
        self.ask_to_close()

    def _apply(self, event: QueueEvent) -> bool:
        outcome = QUEUE_TABLE.apply(self.state, event)
        if isinstance(outcome, Verdict):
            return False
        self.state = outcome
        return True


def _send_scratch(command: Command) -> None:
    queue, content = command.queue, command.scratch
    assert queue is not None
    assert content is not None
    buffer = queue.pool.take(len(content), queue.held)
    if buffer is None:
        queue.wait_for_buffer(command, _send_scratch)
        return
    command.buffer = buffer
    command.view = buffer.view[: len(content)]
    command.view[:] = content
    command.send_bytes = len(content)
    command.scratch = None
    queue.complete(command)


def _drop(queue: Queue, command: Command) -> None:
    # The host is told by the end of the connection; an answer would only put that off.
    queue.under_way.discard(command)
    queue.port.release(command)


_LIVE, _CLOSING, _CLOSED = QueueState.LIVE, QueueState.CLOSING, QueueState.CLOSED
_CLOSING_HANDLERS = dict.fromkeys(range(256), _drop)
_FLAGS = FLAGS_SGL << 8
_NO_FLAGS = -1
"""What no command has, so that every one is looked at."""
_FABRICS = AdminOpcode.FABRICS.value
_FRESH_HANDLERS = {_FABRICS: connect}

CLOSE_TIMEOUT_NS = 2 * 10**9
"""How long commands that are in a store may hold up the end of their connection."""

CONNECT_TIMEOUT_NS = 10 * 10**9
"""How long a connection may be without a Connect command that succeeds. Linux waits for ever; a connection here costs
memory, and a host's own patience with one that is lost on the way, seven tries of the connection manager, is shorter.
"""
