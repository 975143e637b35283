"""Messages between the owner of a target and a worker, over a stream: a `StreamCore` that both ends extend.

Messages are parsed where they lie; data goes to the memory that the subclass names for it, much of it directly. What is
sent waits in one list, and goes out with one system call for many messages.

The other end is ours, so what it sends is right: anything else is a bug, and raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stacks.nvme.bindings.tcp.output import Output
from stacks.nvme.bindings.tcp.workers.messages import COMMAND_BYTES, MESSAGE_BYTES, WITH_ENTRY, Kind
from transports.datagram import Buffer
from wire.nvme.commands_codec import SubmissionEntry
from wire.nvme.worker_codec import WorkerCommand, WorkerMessage

Words = tuple[int, ...]
"""The words of a `WorkerMessage` or `WorkerCommand`: kind, connection, tag, length and so on."""


class Channel:
    """One end of a channel. touched: called when there is something to send."""

    def __init__(self, touched: Callable[[], None]) -> None:
        self.is_finished = False
        self.is_over = False
        self.discards = False
        self._touched = touched
        self._output: Output[Callable[[], None]] = Output(_call)
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._start = self._end = 0
        self._message: Words = ()
        self._sink: memoryview | None = None
        self._filled = 0
        self._is_sink_offered = False

    # The core's verbs

    def receive_views(self) -> Sequence[memoryview]:
        """The rest of the memory that data under way is for, if that is much, and the free part of the buffer."""
        if self._start == self._end:
            self._start = self._end = 0
        elif len(self._buffer) - self._end < ROOM_BYTES:
            rest = bytes(self._buffer[self._start : self._end])
            self._buffer[: len(rest)] = rest
            self._start, self._end = 0, len(rest)
        sink, free = self._sink, self._buffer[self._end :]
        if sink is not None and len(sink) - self._filled >= DIRECT_BYTES and self._start == self._end:
            self._is_sink_offered = True
            return (sink[self._filled :], free)
        return (free,)

    def handle_received(self, length: int, now: int) -> None:
        """Act on every message that is complete."""
        if self._is_sink_offered:
            self._is_sink_offered = False
            assert self._sink is not None
            direct = min(length, len(self._sink) - self._filled)
            self._filled += direct
            length -= direct
        self._end += length
        self._begun(now)
        while self._continue_data() if self._sink is not None else self._take_one():
            pass

    def poll_output(self) -> Sequence[Buffer]:
        """What is to be sent."""
        return self._output.views

    def sent(self, length: int) -> None:
        """So much of it is taken."""
        self._output.sent(length)

    def drop(self) -> None:
        """The other end is gone: nothing will be sent."""
        self._output.drop()

    # For the subclass

    def _begun(self, now: int) -> None:
        """Messages are about to be taken; now: the time."""

    def _room_for(self, message: Words) -> memoryview:
        """Where the data of a message goes: exactly as much as its length says."""
        raise NotImplementedError

    def _take(self, message: Words, data: memoryview | None) -> None:
        """A message is there, with its data where `_room_for` said."""
        raise NotImplementedError

    def _forget(self, connection: int) -> None:
        """Memory of this connection is given back: what comes for it goes nowhere."""
        if self._sink is not None and self._message[1] == connection:
            self._sink = memoryview(bytearray(len(self._sink)))

    def _send(
        self, kind: Kind, connection: int, tag: int = 0, *, value: int = 0, dw0: int = 0, dw1: int = 0,
        data: Buffer | None = None, sent: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        """Queue a message. data: stays as it is until `sent` is called."""
        room = bytearray(MESSAGE_BYTES)
        length = 0 if data is None else len(data)
        WorkerMessage.PACK(room, 0, kind, connection, tag, length, value, dw0, dw1)
        self._queue(room, data, sent)

    def _send_entry(
        self, kind: Kind, connection: int, tag: int, entry: Sequence[int], *, value: int = 0, code: int = 0,
        location: int = 0, data: Buffer | None = None,
    ) -> None:  # fmt: skip
        """Queue a message with a submission entry. data: stays as it is until it has arrived."""
        room = bytearray(COMMAND_BYTES)
        length = 0 if data is None else len(data)
        WorkerCommand.PACK(room, 0, kind, connection, tag, length, value, code, location, *entry)
        self._queue(room, data, None)

    def _queue(self, header: Buffer, data: Buffer | None, sent: Callable[[], None] | None) -> None:
        output = self._output
        output.add(header)
        if data is not None and len(data):
            output.add(data)
        if sent is not None:
            output.mark(sent)
        self._touched()

    # Reading

    def _take_one(self) -> bool:
        """Take the next message, or its header; False when it is not there yet."""
        buffer, start = self._buffer, self._start
        there = self._end - start
        if there < MESSAGE_BYTES:
            return False
        message = MESSAGE_WORDS(buffer, start)
        size = MESSAGE_BYTES
        if message[0] in WITH_ENTRY:
            if there < COMMAND_BYTES:
                return False
            message, size = message + ENTRY_WORDS(buffer, start + MESSAGE_BYTES), COMMAND_BYTES
        self._start = start + size
        if message[LENGTH]:
            self._message, self._sink, self._filled = message, self._room_for(message), 0
        else:
            self._take(message, None)
        return True

    def _continue_data(self) -> bool:
        """Take more of a message's data; False when there is none."""
        sink, start, filled = self._sink, self._start, self._filled
        assert sink is not None
        taken = min(len(sink) - filled, self._end - start)
        if taken:
            sink[filled : filled + taken] = self._buffer[start : start + taken]
            self._filled = filled = filled + taken
            self._start = start + taken
        if filled < len(sink):
            return False
        message, self._sink = self._message, None
        self._take(message, sink)
        return True


def _call(sent: Callable[[], None]) -> None:
    sent()


MESSAGE_WORDS = WorkerMessage.words(1, MESSAGE_BYTES)
ENTRY_WORDS = SubmissionEntry.words(1, SubmissionEntry.SIZE)
CONNECTION, TAG, LENGTH, VALUE = 1, 2, 3, 4
"""Words of any message."""
ENTRY = 8
"""Where the submission entry begins in the words of a `WorkerCommand`."""

BUFFER_BYTES = 256 << 10
ROOM_BYTES = 16 << 10
"""How much of the buffer is free at least when it is offered; more than any header."""
DIRECT_BYTES = 16 << 10
"""Data of which so much is still to come is received where it belongs; less is cheaper to copy."""
