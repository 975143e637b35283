"""The owner's end of a channel, and what stands in its port for a connection that a worker has.

A command that a worker sends goes to the connection's queue, as one does that was read from a connection; what the port
wants of the connection, data or an answer, goes back the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.nvme.bindings.tcp.parameters import TERMINATE_TIMEOUT_NS
from stacks.nvme.bindings.tcp.patience import Debt
from stacks.nvme.bindings.tcp.served import ServedCommand
from stacks.nvme.bindings.tcp.workers.channel import CONNECTION, ENTRY, LENGTH, TAG, VALUE, Channel, Words
from stacks.nvme.bindings.tcp.workers.messages import Kind
from stacks.nvme.target.command import NO_DATA
from stacks.nvme.target.queue import Queue
from transports.datagram import Address

if TYPE_CHECKING:
    from stacks.nvme.bindings.tcp.target import TcpTarget


class ForwardedConnection:
    """A `ServedConnection` whose bytes a worker moves. number: its name on `channel`."""

    def __init__(self, channel: OwnerChannel, number: int, queue: Queue, remote: Address) -> None:
        self.channel = channel
        self.number = number
        self.queue = queue
        self.queue.lend_bytes = 0
        self.remote = remote
        self.is_gone = False
        self.deadline_ns: int | None = None
        self._port = channel.target.port
        self._free: list[ServedCommand] = []
        self._fetching: dict[int, ServedCommand] = {}
        self._moved_ns = 0

    @property
    def core(self) -> OwnerChannel:
        """The channel, for all of its connections."""
        return self.channel

    @property
    def is_connected(self) -> bool:
        """Always: before that, it was not a worker's."""
        return True

    @property
    def can_end(self) -> bool:
        """Whether every command has its answer: the end follows behind them."""
        return self.queue.is_idle

    def debt(self, now: int) -> Debt | None:  # noqa: ARG002 (the worker says when something moved)
        """The data that the host was asked for; whether it takes its answers is the worker's business."""
        for command in self._fetching.values():
            # The first is the oldest.
            return Debt(command.fetched_ns, max(command.fetched_ns, self._moved_ns))
        return None

    def fetch(self, command: ServedCommand) -> None:
        """Have the worker ask for the data of a command."""
        view = command.view
        assert view is not None
        command.fetched_ns = self.channel.target.now
        self._fetching[command.tag] = command
        self.channel.fetch(self.number, command.tag, len(view))

    def answer(self, command: ServedCommand) -> None:
        """Send the completion, and the data before it, to the worker, who counts it."""
        self.channel.target.counters.responses_sent -= 1
        view = command.view[: command.send_bytes] if command.view is not None and command.send_bytes else None

        def sent() -> None:
            self._port.release(command)
            command.capsule_data = NO_DATA
            self._free.append(command)

        self.channel.respond(self.number, command, view, sent)

    def stop(self) -> None:
        """No more commands: those with the core or a store end silently."""
        self.is_gone = True
        self.channel.stop(self)
        self.queue.closed()
        for command in self._fetching.values():
            self._port.release(command)
        self._fetching.clear()

    def finish(self, deadline_ns: int) -> None:
        """Have the worker tell the host that nothing follows; it waits for the host to close, and says so."""
        self.deadline_ns = deadline_ns + TERMINATE_TIMEOUT_NS
        self.channel.close(self.number)

    def give_up(self) -> None:
        """End the connection at once."""
        self.channel.give_up(self.number)

    def drop(self) -> None:
        """The connection is gone."""

    # What the worker says

    def begin(self, message: Words, data: memoryview | None) -> None:
        """A command."""
        self.queue.handle_capsule(self._command(message, data))

    def refuse(self, message: Words) -> None:
        """A command that the binding cannot take."""
        code, location = message[5], message[6]
        self.queue.refuse(self._command(message, None), code, location=location - 1 if location else None)

    def _command(self, message: Words, data: memoryview | None) -> ServedCommand:
        command = self._free.pop() if self._free else ServedCommand(self, 0)
        command.tag = message[TAG]
        command.words = message[ENTRY:]
        command.data_bytes = message[VALUE]
        command.capsule_data = NO_DATA if data is None else data
        return command

    def room_for_data(self, tag: int, length: int) -> memoryview:
        """Where the data of a command goes; `length` is all of it."""
        view = self._fetching[tag].view
        assert view is not None
        assert len(view) == length
        return view

    def data_came(self, tag: int) -> None:
        """All of the data that a command asked for is there."""
        self._port.handle_fetched(self._fetching.pop(tag))

    def data_failed(self, tag: int, code: int) -> None:
        """The data of a command came damaged."""
        self.queue.fail(self._fetching.pop(tag), code)

    def moved(self, now: int) -> None:
        """Some of what the host owes has come."""
        self._moved_ns = now


class OwnerChannel(Channel):
    """The owner's end of the channel to one worker, for the connections of `target`.

    commands_forwarded: how many the worker left to us.
    """

    def __init__(self, target: TcpTarget) -> None:
        super().__init__(lambda: target.touched(self))
        self.target = target
        self.connections: dict[int, ForwardedConnection] = {}
        """Those that take commands."""
        self.commands_forwarded = 0
        self._ending: dict[int, ForwardedConnection] = {}
        self._numbers = 0
        self._now = 0

    @property
    def connection_count(self) -> int:
        """How many connections the worker has."""
        return len(self.connections) + len(self._ending)

    def next_number(self) -> int:
        """A number for a connection; none comes twice."""
        self._numbers += 1
        return self._numbers

    def adopt(self, number: int, queue: Queue, remote: Address) -> ForwardedConnection:
        """The worker has a connection from now on."""
        connection = self.connections[number] = ForwardedConnection(self, number, queue, remote)
        return connection

    def stop(self, connection: ForwardedConnection) -> None:
        """It takes no more commands, and none of its memory."""
        if self.connections.pop(connection.number, None) is not None:
            self._ending[connection.number] = connection
            self._forget(connection.number)

    def handle_ended(self, failure: str, now: int) -> None:
        """The worker is gone, and every connection that it had."""
        self.target.now = self._now = now
        self.is_over = True
        for connection in [*self.connections.values(), *self._ending.values()]:
            self.target.ended(connection, failure or "the worker is gone")
        self._ending.clear()
        self.drop()

    # To the worker

    def respond(self, number: int, command: ServedCommand, data: memoryview | None, sent: Callable[[], None]) -> None:
        """A completion, and data before it. sent: called when the memory of both is free again."""
        self._send(
            Kind.RESPONSE,
            number,
            command.tag,
            value=command.status_word,
            dw0=command.dw0,
            dw1=command.dw1,
            data=data,
            sent=sent,
        )

    def fetch(self, number: int, tag: int, length: int) -> None:
        """Have the host send data."""
        self._send(Kind.FETCH, number, tag, value=length)

    def close(self, number: int) -> None:
        """Have a connection ended in order."""
        self._send(Kind.CLOSE, number)

    def give_up(self, number: int) -> None:
        """Have a connection ended at once."""
        self._send(Kind.GIVE_UP, number)

    # From the worker

    def _begun(self, now: int) -> None:
        self._now = self.target.now = now

    def _room_for(self, message: Words) -> memoryview:
        connection = self.connections.get(message[CONNECTION])
        if message[0] == Kind.DATA and connection is not None:
            return connection.room_for_data(message[TAG], message[LENGTH])
        return memoryview(bytearray(message[LENGTH]))

    def _take(self, message: Words, data: memoryview | None) -> None:
        kind, number = message[0], message[CONNECTION]
        if kind == Kind.ENDED:
            self._ended(number, "" if data is None else bytes(data).decode())
            return
        connection = self.connections.get(number)
        if connection is None:
            # It has stopped here meanwhile.
            return
        if kind == Kind.COMMAND:
            self.commands_forwarded += 1
            connection.begin(message, data)
        elif kind == Kind.DATA:
            connection.data_came(message[TAG])
        elif kind == Kind.REFUSED:
            connection.refuse(message)
        elif kind == Kind.FAILED:
            connection.data_failed(message[TAG], message[VALUE])
        elif kind == Kind.MOVED:
            connection.moved(self._now)
        else:
            assert kind == Kind.STOPPED
            self.target.stopped(connection)

    def _ended(self, number: int, failure: str) -> None:
        connection = self.connections.get(number) or self._ending.get(number)
        if connection is not None:
            self.target.ended(connection, failure)
            self._ending.pop(number, None)
