"""A queue in a worker: it keeps what belongs to the connection, and has the owner run its commands, as far as it is not
allowed to do them itself (`direct`).

    capsule     -> COMMAND, with the data that came in it; for one that brings data back, once there is room for that
    FETCH       -> staging memory, the binding asks the host, DATA
    RESPONSE    -> the completion, with SQHD of this queue

In memory a queue holds here what it would hold in a target of one process, and the owner holds as much again; a host
that takes nothing stops its own queue, and nobody else's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.bindings.tcp.agreement import Agreed
from stacks.nvme.bindings.tcp.workers.direct import DirectExecutor, DirectQueue
from stacks.nvme.target.command import Command, not_resumed
from stacks.nvme.target.port import Port
from stacks.nvme.target.queue import Queue
from stacks.nvme.target.queue_state import QueueState
from wire.nvme.opcodes import FLAGS_SGL, AdminOpcode

if TYPE_CHECKING:
    from stacks.nvme.bindings.tcp.workers.worker_side import WorkerChannel


class WorkerQueue(Queue):
    """The queue of a connection that the owner knows as `number` on `channel`."""

    def __init__(
        self, port: Port, channel: WorkerChannel, number: int, agreed: Agreed, executor: DirectExecutor
    ) -> None:
        super().__init__(port, remote=agreed.remote[0])
        self.direct = DirectQueue(self, executor)
        self._is_after_unusual = False
        self.channel = channel
        self.number = number
        self.state = QueueState.LIVE
        self.qid = agreed.qid
        self.entries = agreed.entries
        self.sqhd = agreed.sqhd
        self.has_flow_control = agreed.has_flow_control
        self._association = agreed.association

    @property
    def association(self) -> object:
        """As the owner names it."""
        return self._association

    def handle_capsule(self, command: Command) -> None:
        """Take a command that has arrived."""
        if self._note(command) or not self.direct.take(command):
            self._hand_over(command)

    def begin(self, command: Command) -> None:
        """There is room for a command that waited for it: it may be another's business by now."""
        if not self.direct.take(command):
            self._hand_over(command)

    def refuse(self, command: Command, code: int, *, location: int | None = None) -> None:
        """The binding cannot take the command: the owner is told so, and fails it."""
        self._note(command)
        self.channel.refused(self, command, code, location)

    def fail(
        self, command: Command, code: int, *, dw0: int = 0, location: int | None = None, lba: int | None = None
    ) -> None:
        """The data of a command came damaged: the owner fails the command."""
        del dw0, location, lba
        if not self.direct.take_failure(command, code):
            self.channel.failed(self, command, code)

    def closed(self) -> None:
        """The connection takes no more commands; nobody waits for what the owner still says of it."""
        if self.state is QueueState.CLOSED:
            return
        self.state, self.is_stopped = QueueState.CLOSED, True
        self.channel.stop(self)
        self.direct.stop()
        self.port.waiting.take_all(self)
        for command in self.under_way:
            self.port.release(command)
        self.under_way.clear()

    # What the owner wants

    def fetch(self, command: Command, length: int) -> None:
        """Have the host send the data of a command."""
        if not self.direct.take_fetch(command):
            self.receive_data(command, length, self.send_fetched)

    def respond(self, command: Command, *, status_word: int, dw0: int, dw1: int, length: int) -> None:
        """A command is done; `length` bytes of data for the host are in its view."""

        def finish() -> None:
            command.status_word, command.dw0, command.dw1, command.send_bytes = status_word, dw0, dw1, length
            self._finish(command)

        if not self.direct.take_response(command, finish):
            finish()

    def succeed(self, command: Command, length: int) -> None:
        """A command was done here; `length` bytes of data for the host are in its view."""
        command.status_word = command.dw0 = command.dw1 = 0
        command.send_bytes = length
        self._finish(command)

    def room_for(self, command: Command, length: int) -> memoryview:
        """Where the data goes that the owner sends with a completion."""
        if command.view is None or len(command.view) < length:
            # There is no command that brings data without saying so in its opcode.
            command.view = memoryview(bytearray(length))
        return command.view[:length]

    def forward(self, command: Command) -> None:
        """Have the owner run a command; there is room for what it brings."""
        command.resume = not_resumed
        self.channel.command(self, command)

    def take_room(self, command: Command) -> bool:
        """Get a buffer for a command's data; False when there is none now."""
        buffer = self.pool.take(command.data_bytes, self.held)
        if buffer is None:
            return False
        command.buffer = buffer
        command.view = buffer.view[: command.data_bytes]
        return True

    # What follows

    def _note(self, command: Command) -> bool:
        """Begin with a command; whether it has to go to the owner: half of a pair, or what comes behind one."""
        first = command.words[0]
        command.queue = self
        command.opcode = first & 0xFF
        command.cid = first >> 16
        self.under_way.add(command)
        is_unusual = first >> 8 & 0xFF != FLAGS_SGL
        was_unusual, self._is_after_unusual = self._is_after_unusual, is_unusual
        return is_unusual or was_unusual

    def _hand_over(self, command: Command) -> None:
        if command.opcode == AdminOpcode.FABRICS:
            # Disconnect is answered last, so nothing may come behind it.
            self.direct.convert_all()
            for waiting in self.port.waiting.take_all(self):
                self.forward(waiting)
        elif self._brings_data(command) and not self.take_room(command):
            self.wait_for_buffer(command, self.begin)
            return
        self.forward(command)

    def _brings_data(self, command: Command) -> bool:
        is_plain = command.words[0] >> 8 & 0xFF == FLAGS_SGL
        brings_data = command.opcode & 3 == TO_HOST and not command.capsule_data
        return is_plain and brings_data and 0 < command.data_bytes <= self.max_transfer_bytes

    def send_fetched(self, command: Command) -> None:
        """The data that the owner asked for is here."""
        # The memory is given back when it has been sent, whatever becomes of the connection by then.
        command.resume = not_resumed
        view, buffer = command.view, command.buffer
        command.view = command.buffer = None
        assert view is not None
        assert buffer is not None

        def sent() -> None:
            self.pool.give_back(buffer)
            if self.port.waiting.by_queue:
                self.port.waiting.serve()

        self.channel.data(self, command, view, sent)


TO_HOST = 2
"""Bits 1:0 of an opcode whose data goes to the host (NVMe Base 2.0 figure 87)."""
