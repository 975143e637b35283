"""One client of a server: bytes to the handshake and then to the transmission, replies to bytes, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stacks.nvme.nbd.answers import Answers
from stacks.nvme.nbd.client_state import CLIENT_TABLE, ClientEvent, ClientState
from stacks.nvme.nbd.handshake import Handshake, Turn
from stacks.nvme.nbd.replies import Replies
from stacks.nvme.nbd.transmission import Transmission
from stacks.runtime import Verdict
from transports.datagram import Address, Buffer

if TYPE_CHECKING:
    from stacks.nvme.nbd.server import NbdServer


class NbdConnection:
    """A `StreamCore`. remote: the client's address; deadline_ns: until when its handshake has to be over."""

    def __init__(self, server: NbdServer, remote: Address, deadline_ns: int) -> None:
        self.remote = remote
        self.deadline_ns = deadline_ns
        self.state = ClientState.HANDSHAKE
        self.is_finished = False
        self.is_touched = False
        self._server = server
        self._replies = Replies()
        self._handshake = Handshake(server.export, self._replies)
        self._transmission: Transmission | None = None
        self._answers: Answers | None = None
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._start = self._end = 0
        self._sink: memoryview | None = None
        self.touch()

    discards = False

    @property
    def is_over(self) -> bool:
        """Whether the connection is to be closed."""
        return self.state is ClientState.OVER

    @property
    def under_way(self) -> int:
        """Requests whose replies are not sent yet."""
        return 0 if self._answers is None else self._answers.under_way

    def touch(self) -> None:
        """Have the pump look: there is something to send, to read on with, or to end."""
        if not self.is_touched:
            self.is_touched = True
            self._server.touched(self)

    def stop(self) -> None:
        """The server is being shut down."""
        if self._transmission is not None:
            self._transmission.stop()
        self.apply(ClientEvent.STOP)
        self.touch()

    def time_out(self) -> None:
        """The handshake took too long."""
        if self.apply(ClientEvent.TIMED_OUT):
            self.touch()

    def go_on(self) -> None:
        """Before the pump looks: take requests for which there was no room, and see whether all is done."""
        if self._needs_room:
            self._parse()
        self._end_if_drained()

    # The core's verbs

    def receive_views(self) -> Sequence[memoryview]:
        """Where data of a large write goes, and the free part of the buffer; nothing while there is no room."""
        transmission = self._transmission
        if self.state in QUIET:
            return ()
        if self._start == self._end:
            self._start = self._end = 0
        elif self._needs_room:
            return ()
        elif len(self._buffer) - self._end < ROOM_BYTES:
            self._move_to_front()
        if transmission is None or self._end:
            return (self._buffer[self._end :],)
        # Little is taken into the buffer while large writes come: their data would have to be copied out of it.
        free = self._buffer[:BULK_WINDOW_BYTES] if transmission.is_bulk else self._buffer
        self._sink = transmission.sink()
        return (free,) if self._sink is None else (self._sink, free)

    def handle_received(self, length: int, now: int) -> None:  # noqa: ARG002 (only the handshake has a clock)
        """Bytes are there: act on all that is complete."""
        sink, self._sink = self._sink, None
        if sink is not None:
            assert self._transmission is not None
            direct = min(length, len(sink))
            self._transmission.sunk(direct)
            length -= direct
        self._end += length
        self._parse()

    def handle_ended(self, failure: str, now: int) -> None:  # noqa: ARG002
        """The client sends nothing more; what is under way is done, and answered if the connection stands."""
        self.apply(ClientEvent.LOST if failure else ClientEvent.ENDED)
        self._end_if_drained()

    def poll_output(self) -> Sequence[Buffer]:
        """What is to be sent."""
        return self._replies.views

    def sent(self, length: int) -> None:
        """So much of it is taken: the requests that it belonged to are over."""
        if not length:
            return
        owners = self._replies.sent(length)
        answers = self._answers
        if answers is not None:
            answers.sent(owners)
        if self.state is not ClientState.TRANSMISSION or self._needs_room:
            self.touch()
        self._end_if_drained()

    # What follows

    @property
    def _needs_room(self) -> bool:
        """Whether what was said has to wait, until replies are sent."""
        reader = self._handshake if self._transmission is None else self._transmission
        return reader.needs_room

    def apply(self, event: ClientEvent) -> bool:
        """Move the state; whether it moved."""
        outcome = CLIENT_TABLE.apply(self.state, event)
        if isinstance(outcome, Verdict):
            return False
        self.state = outcome
        if outcome in QUIET and self._transmission is not None:
            self._transmission.close()
        if outcome is ClientState.OVER:
            self._close()
        return True

    def _parse(self) -> None:
        if self.state is ClientState.HANDSHAKE:
            self._start, turn = self._handshake.take(self._buffer, self._start, self._end)
            self._turn(turn)
        transmission = self._transmission
        if transmission is not None and self.state not in QUIET:
            self._start = transmission.take(self._buffer, self._start, self._end)
            if transmission.is_broken:
                self._server.counters.protocol_errors += 1
                self.apply(ClientEvent.LOST)
            elif transmission.is_disconnecting:
                self.apply(ClientEvent.DISCONNECTED)
                self._end_if_drained()
        if self._replies.views or self.state in QUIET:
            self.touch()

    def _turn(self, turn: Turn) -> None:
        if turn is Turn.CHOSEN:
            self._answers, self._transmission = self._server.transmission(
                self, self._replies, is_structured=self._handshake.is_structured
            )
            self.apply(ClientEvent.CHOSEN)
        elif turn is Turn.ABORTED:
            self.apply(ClientEvent.ABORTED)
        elif turn is Turn.VIOLATED:
            self._server.counters.protocol_errors += 1
            self.apply(ClientEvent.LOST)

    def _end_if_drained(self) -> None:
        if self.state in ENDING and not self._replies.views and not self.under_way:
            self.apply(ClientEvent.DRAINED)
            self.touch()

    def _close(self) -> None:
        if self._answers is not None:
            self._answers.close()
        else:
            self._replies.drop()
        self._server.over(self)

    def _move_to_front(self) -> None:
        rest = bytes(self._buffer[self._start : self._end])
        self._buffer[: len(rest)] = rest
        self._start, self._end = 0, len(rest)


QUIET = frozenset({ClientState.DRAINING, ClientState.OVER})
"""Where nothing more is read."""
ENDING = frozenset({ClientState.STOPPING, ClientState.DRAINING})

BUFFER_BYTES = 256 << 10
BULK_WINDOW_BYTES = 4 << 10
ROOM_BYTES = 32 << 10
"""How much of the buffer is free at least when it is offered; more than any option that is looked at."""
