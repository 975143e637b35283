"""A connection and its streams as tasks of trio see them; made by `stacks.quic.aio`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from stacks.quic.connection.connection import Connection
from stacks.quic.connection.face import UNSENT_BYTES, ConnectionFace
from stacks.quic.lost import ConnectionLost, StreamAborted, lost
from stacks.runtime import LocalError
from transports.clock import Clock
from transports.datagram import Address


class Sockets(Protocol):
    """What an endpoint opens and closes for a connection that moves."""

    def open(self, address: str) -> Address:
        """A socket at one of this machine's addresses; where it is."""

    def close(self, address: Address) -> None:
        """Close it again, unless it is the endpoint's first."""


class QuicConnection(ConnectionFace):
    """One connection, for tasks; what is at once is in `ConnectionFace`."""

    def __init__(self, core: Connection, clock: Clock, wake: Callable[[], None], sockets: Sockets) -> None:
        super().__init__(core, clock, wake)
        self._sockets = sockets
        self._changed = trio.lowlevel.ParkingLot()
        self._streams: dict[int, QuicStream] = {}

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

    def open_stream(self, *, is_unidirectional: bool = False) -> QuicStream:
        """A new stream; it may wait for the peer's permission before anything leaves."""
        return self._stream(self.core.open_stream(is_unidirectional=is_unidirectional))

    async def accept_stream(self) -> QuicStream:
        """The next stream that the peer began. ConnectionLost where none can come any more."""
        await self._wait_until(lambda: bool(self._incoming))
        return self._stream(self._incoming.popleft())

    async def receive_datagram(self) -> bytes:
        """The next datagram (RFC 9221); the oldest of more than 256 are dropped."""
        await self._wait_until(lambda: bool(self._datagrams))
        return self._datagrams.popleft()

    async def migrate(self, address: str = "") -> None:
        """Go on from a new socket, at another address of this machine or on another port (RFC 9000 9.2).

        Returns when the peer answered there; where it never does, the connection goes on as before, so bound this with
        a timeout. Cancelled, it goes on alone. LocalError where the peer or the state forbids it, or on a transport
        that has no sockets to add.
        """
        old = self.core.path.local
        new = self._sockets.open(address or old[0])
        try:
            self.core.migrate(new, self._clock.now())
        except BaseException:
            self._sockets.close(new)
            raise
        self.work()
        await self._wait_until(lambda: self.core.path.local == new)
        self._sockets.close(old)

    async def aclose(self, code: int = 0, reason: str = "") -> None:
        """As `close`, and a checkpoint."""
        self.close(code, reason)
        await trio.lowlevel.checkpoint()

    def take_events(self) -> bool:
        """As of `ConnectionFace`; wakes the tasks that wait."""
        did = super().take_events()
        if did:
            self._changed.unpark_all()
        return did

    def forget(self, stream_id: int) -> None:
        """As of `ConnectionFace`."""
        self._streams.pop(stream_id, None)
        super().forget(stream_id)

    def _stream(self, stream_id: int) -> QuicStream:
        stream = self._streams[stream_id] = QuicStream(self, stream_id)
        return stream

    def _stream_changed(self, stream_id: int, *, is_readable: bool) -> None:
        stream = self._streams.get(stream_id)
        if stream is not None:
            stream.wake(is_readable=is_readable)

    def _ended(self) -> None:
        for stream in self._streams.values():
            stream.wake(is_readable=True)
            stream.wake(is_readable=False)

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
        self._sending = _Conflict("sending")
        self._receiving = _Conflict("receiving")
        self._is_closed = False
        self._is_sent = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`; waits while more than 256 KiB of the stream are unsent.

        trio.BrokenResourceError where the peer wants no more or the connection is lost.
        """
        with self._sending:
            await trio.lowlevel.checkpoint()
            view = memoryview(data)
            self._check_sending()
            while view:
                self._write(view[:PIECE_BYTES])
                view = view[PIECE_BYTES:]
                await self._wait_room()

    async def wait_send_all_might_not_block(self) -> None:
        """Return when there is room."""
        with self._sending:
            await trio.lowlevel.checkpoint()
            self._check_sending()
            await self._wait_room()

    async def send_eof(self) -> None:
        """No more follows. Idempotent."""
        with self._sending:
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
        with self._receiving:
            await trio.lowlevel.checkpoint()
            while True:
                if self._is_closed:
                    raise trio.ClosedResourceError("the stream is closed")
                data = self._core.read(self.stream_id, max_bytes or RECEIVE_BYTES)
                if data:
                    self.connection.work()  # the peer may be owed credit
                    return data
                if self.stream_id in self.connection.resets:
                    raise trio.BrokenResourceError from self._aborted(self.connection.resets)
                if self._core.streams.is_finished(self.stream_id):
                    return b""
                if self.connection.is_closed:
                    raise trio.BrokenResourceError from lost(self._core)
                await self._readable.park()

    async def aclose(self) -> None:
        """End what is sent, and take no more of what comes. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            if not self.connection.is_closed:
                if not self._is_sent and self.stream_id not in self.connection.stops and self._can_send:
                    self._write(b"", is_fin=True)
                if self._can_receive:
                    self._core.stop_sending(self.stream_id, 0)
                self.connection.work()
            self.connection.forget(self.stream_id)
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

    def wake(self, *, is_readable: bool) -> None:
        """Whoever receives, or whoever sends, is to look again."""
        (self._readable if is_readable else self._writable).unpark_all()

    @property
    def _is_ours(self) -> bool:
        return (self.stream_id & 1 == 0) == self._core.is_client

    @property
    def _can_send(self) -> bool:
        return not self.stream_id & 2 or self._is_ours

    @property
    def _can_receive(self) -> bool:
        return not self.stream_id & 2 or not self._is_ours

    def _aborted(self, codes: dict[int, int]) -> StreamAborted:
        return StreamAborted(self.stream_id, codes[self.stream_id])

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
        if self.stream_id in self.connection.stops:
            raise trio.BrokenResourceError from self._aborted(self.connection.stops)
        if self.connection.is_closed:
            raise trio.BrokenResourceError from lost(self._core)


class _Conflict:
    """Refuses a second task in the same block."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_busy = False

    def __enter__(self) -> None:
        if self._is_busy:
            raise trio.BusyResourceError(f"another task is {self._what} on this stream")
        self._is_busy = True

    def __exit__(self, *_: object) -> None:
        self._is_busy = False


PIECE_BYTES = 256 << 10
RECEIVE_BYTES = 64 << 10
