"""A connection and its streams as tasks of trio see them; made by `stacks.quic.aio`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio

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
from stacks.quic.lost import ConnectionLost, StreamAborted, lost
from stacks.quic.tls import Ticket
from stacks.runtime import LocalError
from transports.clock import Clock


class QuicConnection:
    """One connection. core: everything that has no short way here, `path` and `counters` for example.

    alpn, is_resumed, is_early_data_accepted: as negotiated. tickets, tokens: that the server gave, for later
    connections; the newest is last.
    """

    def __init__(self, core: Connection, clock: Clock, wake: Callable[[], None]) -> None:
        self.core = core
        self.tickets: deque[Ticket] = deque(maxlen=KEPT)
        self.tokens: deque[bytes] = deque(maxlen=KEPT)
        self.is_connected = False
        self._clock = clock
        self._wake = wake
        self._changed = trio.lowlevel.ParkingLot()
        self._streams: dict[int, QuicStream] = {}
        self._incoming: deque[QuicStream] = deque()
        self._datagrams: deque[bytes] = deque(maxlen=DATAGRAMS_KEPT)

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

    # Tasks

    async def wait_connected(self) -> None:
        """Return when the handshake is done. ConnectionLost where nothing comes of it."""
        await self._wait_until(lambda: self.is_connected)

    async def wait_closed(self) -> ConnectionLost:
        """Return when the connection has ended: why."""
        if self.is_closed:
            await trio.lowlevel.checkpoint()
        while not self.is_closed:
            await self._changed.park()
        return lost(self.core)

    async def accept_stream(self) -> QuicStream:
        """The next stream that the peer began. ConnectionLost where none can come any more."""
        await self._wait_until(lambda: bool(self._incoming))
        return self._incoming.popleft()

    async def receive_datagram(self) -> bytes:
        """The next datagram (RFC 9221); the oldest of more than 256 are dropped."""
        await self._wait_until(lambda: bool(self._datagrams))
        return self._datagrams.popleft()

    async def aclose(self, code: int = 0, reason: str = "") -> None:
        """End the connection; what was not sent yet is dropped. Idempotent.

        code, reason: for the peer's application.
        """
        self.close(code, reason)
        await trio.lowlevel.checkpoint()

    # At once

    def open_stream(self, *, is_unidirectional: bool = False) -> QuicStream:
        """A new stream; it may wait for the peer's permission before anything leaves."""
        stream = QuicStream(self, self.core.open_stream(is_unidirectional=is_unidirectional))
        self._streams[stream.stream_id] = stream
        return stream

    def send_datagram(self, data: bytes | bytearray | memoryview) -> None:
        """Send an unreliable datagram; LocalError where the peer takes none, or none so large."""
        self.core.send_datagram(data)
        self.work()

    def close(self, code: int = 0, reason: str = "") -> None:
        """As `aclose`, without a checkpoint."""
        self.core.close(code, reason, now=self._clock.now())
        self.work()

    def update_keys(self) -> None:
        """Change the keys (RFC 9001 6); LocalError before the handshake is confirmed, or too soon after the last."""
        self.core.update_keys(self._clock.now())
        self.work()

    # What the endpoint calls, and streams

    def work(self) -> None:
        """Something may be to be sent."""
        self._wake()

    def take_events(self) -> bool:
        """All that happened; whether anything did."""
        did = False
        while (event := self.core.poll_event()) is not None:
            did = True
            self._handle(event)
        if did:
            self._changed.unpark_all()
        return did

    def forget(self, stream: QuicStream) -> None:
        """A stream is closed on our side."""
        self._streams.pop(stream.stream_id, None)

    def _handle(self, event: Event) -> None:
        if isinstance(event, StreamReadable | StreamWritable | StreamReset | StopSending):
            stream = self._streams.get(event.stream_id)
            if stream is not None:
                stream.handle(event)
        elif isinstance(event, StreamOpened):
            stream = self._streams[event.stream_id] = QuicStream(self, event.stream_id)
            self._incoming.append(stream)
        elif isinstance(event, HandshakeCompleted):
            self.is_connected = True
        elif isinstance(event, DatagramReceived):
            self._datagrams.append(event.data)
        elif isinstance(event, TicketReceived):
            self.tickets.append(Ticket.from_bytes(event.ticket))
        elif isinstance(event, TokenReceived):
            self.tokens.append(event.token)
        elif isinstance(event, ConnectionClosed):
            for stream in self._streams.values():
                stream.handle(event)

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        if condition():
            await trio.lowlevel.checkpoint()
        while not condition():
            if self.is_closed:
                raise lost(self.core)
            await self._changed.park()


class QuicStream(trio.abc.HalfCloseableStream):
    """One stream; of a unidirectional one only the half that there is.

    Sending and receiving may be done by two tasks, each by one at a time (trio.BusyResourceError).
    """

    def __init__(self, connection: QuicConnection, stream_id: int) -> None:
        self.stream_id = stream_id
        self.connection = connection
        self._core = connection.core
        self._readable = trio.lowlevel.ParkingLot()
        self._writable = trio.lowlevel.ParkingLot()
        self._is_sending = False
        self._is_receiving = False
        self._is_closed = False
        self._is_sent = False
        self._reset_code: int | None = None
        self._stop_code: int | None = None

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`; waits while more than 256 KiB of the stream are unsent.

        trio.BrokenResourceError where the peer wants no more or the connection is lost.
        """
        if self._is_sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._is_sending = True
        try:
            await trio.lowlevel.checkpoint()
            view = memoryview(data)
            self._check_sending()
            while view:
                self._write(view[:PIECE_BYTES])
                view = view[PIECE_BYTES:]
                await self._wait_room()
        finally:
            self._is_sending = False

    async def wait_send_all_might_not_block(self) -> None:
        """Return when there is room."""
        if self._is_sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._is_sending = True
        try:
            await trio.lowlevel.checkpoint()
            self._check_sending()
            await self._wait_room()
        finally:
            self._is_sending = False

    async def send_eof(self) -> None:
        """No more follows. Idempotent."""
        if self._is_sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        await trio.lowlevel.checkpoint()
        if self._is_closed:
            raise trio.ClosedResourceError("the stream is closed")
        if not self._is_sent:
            self._check_sending()
            self._write(b"", is_fin=True)
            self._is_sent = True

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes, b"" at the end. trio.BrokenResourceError where the peer reset the stream or is gone."""
        if max_bytes is not None and max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        if self._is_receiving:
            raise trio.BusyResourceError("another task is receiving on this stream")
        self._is_receiving = True
        try:
            await trio.lowlevel.checkpoint()
            while True:
                if self._is_closed:
                    raise trio.ClosedResourceError("the stream is closed")
                data = self._core.read(self.stream_id, max_bytes or RECEIVE_BYTES)
                if data:
                    self.connection.work()  # the peer may be owed credit
                    return data
                if self._reset_code is not None:
                    raise trio.BrokenResourceError from StreamAborted(self.stream_id, self._reset_code)
                if self._core.streams.is_finished(self.stream_id):
                    return b""
                if self.connection.is_closed:
                    raise trio.BrokenResourceError from lost(self._core)
                await self._readable.park()
        finally:
            self._is_receiving = False

    async def aclose(self) -> None:
        """End what is sent, and take no more of what comes. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            if not self.connection.is_closed:
                if not self._is_sent and self._stop_code is None and self._can_send:
                    self._write(b"", is_fin=True)
                self._core.stop_sending(self.stream_id, 0)
                self.connection.work()
            self.connection.forget(self)
            self._readable.unpark_all()
            self._writable.unpark_all()
        await trio.lowlevel.checkpoint()

    def reset(self, code: int) -> None:
        """Send no more, and have the peer throw away what it did not read."""
        self._is_sent = True
        self._core.reset_stream(self.stream_id, code)
        self.connection.work()

    def stop_sending(self, code: int) -> None:
        """Ask the peer to send no more."""
        self._core.stop_sending(self.stream_id, code)
        self.connection.work()

    def set_priority(self, urgency: int, *, is_incremental: bool = False) -> None:
        """Which stream goes first: urgency 0 to 7 (RFC 9218 4)."""
        self._core.set_priority(self.stream_id, urgency, is_incremental=is_incremental)

    def handle(self, event: Event) -> None:
        """Something happened to the stream, or to its connection."""
        if isinstance(event, StreamReset):
            self._reset_code = event.code
        elif isinstance(event, StopSending):
            self._stop_code = event.code
        if not isinstance(event, StreamWritable):
            self._readable.unpark_all()
        if not isinstance(event, StreamReadable):
            self._writable.unpark_all()

    @property
    def _can_send(self) -> bool:
        is_own = (self.stream_id & 1 == 0) == self._core.is_client
        return not self.stream_id & 2 or is_own

    def _write(self, data: bytes | memoryview, *, is_fin: bool = False) -> None:
        try:
            self._core.write(self.stream_id, data, is_fin=is_fin)
        except LocalError:
            self._check_sending()
            raise
        self.connection.work()

    async def _wait_room(self) -> None:
        while self._core.streams.unsent_bytes(self.stream_id) > UNSENT_BYTES:
            await self._writable.park()
            self._check_sending()

    def _check_sending(self) -> None:
        if self._is_closed or self._is_sent:
            raise trio.ClosedResourceError("the sending half is closed")
        if self._stop_code is not None:
            raise trio.BrokenResourceError from StreamAborted(self.stream_id, self._stop_code)
        if self.connection.is_closed:
            raise trio.BrokenResourceError from lost(self._core)


KEPT = 8
DATAGRAMS_KEPT = 256
PIECE_BYTES = 256 << 10
RECEIVE_BYTES = 64 << 10
UNSENT_BYTES = 256 << 10
