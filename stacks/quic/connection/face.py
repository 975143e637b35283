"""What both faces, `aio` and `sync`, make of a connection's events: what there is to be waited for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from stacks.quic.connection.connection import Connection
from stacks.quic.connection.states import ConnectionState
from stacks.quic.events import (
    ConnectionClosed,
    DatagramReceived,
    Event,
    HandshakeCompleted,
    StopSending,
    StreamOpened,
    StreamReadable,
    StreamReset,
    StreamWritable,
    TicketReceived,
    TokenReceived,
)
from stacks.quic.tls import Ticket
from transports.clock import Clock


class ConnectionFace:
    """One connection. core: everything that has no short way here, `path` and `counters` for example.

    is_connected: whether the handshake is done. tickets, tokens: that the server gave, for later connections; the
    newest is last. resets, stops: codes with which the peer broke streams off, by stream. clock: of the endpoint.
    work: has what was written leave soon.
    """

    def __init__(self, core: Connection, clock: Clock, wake: Callable[[], None]) -> None:
        self.core = core
        self.tickets: deque[Ticket] = deque(maxlen=KEPT)
        self.tokens: deque[bytes] = deque(maxlen=KEPT)
        self.is_connected = False
        self.resets: dict[int, int] = {}
        self.stops: dict[int, int] = {}
        self._incoming: deque[int] = deque()
        self._datagrams: deque[bytes] = deque(maxlen=DATAGRAMS_KEPT)
        self._clock = clock
        self.work = wake

    @property
    def alpn(self) -> str:
        """The protocol, empty while it is not known."""
        return self.core.tls.alpn

    @property
    def is_resumed(self) -> bool:
        """Whether a ticket was used."""
        return self.core.tls.is_resumed

    @property
    def is_early_data_accepted(self) -> bool:
        """Whether the server took what was sent before the handshake was done."""
        return self.core.tls.is_early_data_accepted

    @property
    def is_closed(self) -> bool:
        """Whether it has ended, by whomever."""
        return self.core.state > ConnectionState.CONFIRMED

    def send_datagram(self, data: bytes | bytearray | memoryview) -> None:
        """Send an unreliable datagram (RFC 9221); LocalError where the peer takes none, or none so large."""
        self.core.send_datagram(data)
        self.work()

    def update_keys(self) -> None:
        """Change the keys (RFC 9001 6); LocalError before the handshake is confirmed, or too soon after the last."""
        self.core.update_keys(self._clock.now())
        self.work()

    def close(self, code: int = 0, reason: str = "") -> None:
        """End the connection; what was not sent yet is dropped. Idempotent.

        code, reason: for the peer's application.
        """
        self.core.close(code, reason, now=self._clock.now())
        self.work()

    def take_events(self) -> bool:
        """All that happened; whether anything did."""
        did = False
        while (event := self.core.poll_event()) is not None:
            did = True
            self._handle(event)
        return did

    def forget(self, stream_id: int) -> None:
        """The application is done with a stream."""
        self.resets.pop(stream_id, None)
        self.stops.pop(stream_id, None)

    def _handle(self, event: Event) -> None:
        if isinstance(event, StreamReset):
            self._reset(event)
        elif isinstance(event, StopSending):
            self.stops[event.stream_id] = event.code
        elif isinstance(event, StreamOpened):
            self._incoming.append(event.stream_id)
        elif isinstance(event, HandshakeCompleted):
            self.is_connected = True
        elif isinstance(event, DatagramReceived):
            self._datagrams.append(event.data)
        elif isinstance(event, TicketReceived):
            self.tickets.append(Ticket.from_bytes(event.ticket))
        elif isinstance(event, TokenReceived):
            self.tokens.append(event.token)
        if isinstance(event, StreamReadable | StreamWritable | StreamReset | StopSending):
            self._stream_changed(event.stream_id, is_readable=not isinstance(event, StreamWritable | StopSending))
        elif isinstance(event, ConnectionClosed):
            self._ended()

    def _reset(self, event: StreamReset) -> None:
        if event.stream_id & UNIDIRECTIONAL and event.stream_id in self._incoming:
            self._incoming.remove(event.stream_id)  # nobody has seen it: a peer may make and break any number of them
        else:
            self.resets[event.stream_id] = event.code

    def _stream_changed(self, stream_id: int, *, is_readable: bool) -> None:
        """Whoever waits for this stream is to look again."""

    def _ended(self) -> None:
        """The connection is over: whoever waits for anything is to look again."""


UNIDIRECTIONAL = 2
KEPT = 8
DATAGRAMS_KEPT = 256
UNSENT_BYTES = 256 << 10
"""A stream with more unsent than that is full, for both faces."""
