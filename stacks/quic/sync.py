"""The plain synchronous face: an endpoint on its UDP socket, without an event loop.

    from stacks.quic.sync import open_endpoint

    with open_endpoint() as endpoint:
        connection = endpoint.connect("127.0.0.1", 4433, configuration)
        stream = connection.open_stream()
        stream.send(b"hello", is_fin=True)
        answer = stream.receive_all()

Nothing moves but inside these calls: what was written leaves with the next one that waits, or with `pump`.

Raises LocalError for misuse, ConnectionLost and StreamAborted where a connection or stream is no more, TimeoutError
where a call was given a time. A Ctrl-C in any call leaves the endpoint usable.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

from stacks.quic.configuration import Configuration
from stacks.quic.connection import Connection
from stacks.quic.connection.face import UNSENT_BYTES, ConnectionFace
from stacks.quic.endpoint import Endpoint
from stacks.quic.lost import ConnectionLost, StreamAborted, lost
from stacks.quic.tls import Ticket
from stacks.quic.tracing import TracerFactory
from stacks.runtime import LocalError
from transports.clock import Clock, RealClock
from transports.datagram import Address, DatagramTransport
from transports.pump import Pump, turn_until
from transports.udp import UdpTransport

__all__ = ["ConnectionLost", "QuicConnection", "QuicEndpoint", "QuicStream", "StreamAborted", "open_endpoint"]


def open_endpoint(
    address: str = "",
    port: int = 0,
    *,
    server: Configuration | None = None,
    offload: bool = True,
    tracer: TracerFactory | None = None,
    rng: random.Random | None = None,
    beside: QuicEndpoint | None = None,
) -> QuicEndpoint:
    """An endpoint at one of this machine's addresses, in numeric text form; use it as a context manager.

    address: empty for 127.0.0.1; `source_address` of `transports.routes` finds the one towards a peer. port: 0 for any.
    server: to accept connections, with `alpn`, `certificate_chain` and `private_key`; the time of certificates and
    tickets is the system's. tracer: makes tracers, for qlog. rng: `random.SystemRandom` by default.
    beside: an endpoint of the same thread; when either waits, both move.
    Raises LocalError, TransportError where it cannot be.
    """
    udp = UdpTransport(address or "127.0.0.1", port, offload=offload)
    clock = RealClock()
    try:
        configuration = None if server is None else at_wall_clock(server, clock)
        core = Endpoint(udp.address, rng=rng or random.SystemRandom(), server=configuration, tracer=tracer)
    except BaseException:
        udp.close()
        raise
    return QuicEndpoint(core, udp, clock=clock, beside=beside)


class QuicEndpoint:
    """An endpoint on a transport with a file descriptor, which is closed with it. One thread at a time may use it."""

    def __init__(
        self,
        core: Endpoint,
        transport: DatagramTransport,
        *,
        clock: Clock,
        beside: QuicEndpoint | None = None,
    ) -> None:
        self.core = core
        self.transport = transport
        self._clock = clock
        self._accepted: deque[QuicConnection] = deque()
        self._service = _Service(self)
        self._pump = Pump(core, transport, clock, [self._service], receive_budget=RECEIVE_BUDGET_BURSTS)
        self._pumps: list[Pump] = beside._pumps if beside is not None else []  # noqa: SLF001 (of the same class)
        self._pumps.append(self._pump)
        self._is_closed = False

    @property
    def address(self) -> Address:
        """Where it is reached."""
        return self.transport.address

    def connect(
        self,
        host: str,
        port: int,
        configuration: Configuration,
        *,
        ticket: Ticket | None = None,
        token: bytes = b"",
        timeout_ns: int | None = None,
    ) -> QuicConnection:
        """A connection; the handshake is done, or with a ticket for 0-RTT has just begun.

        host: in numeric text form. configuration: with `alpn`, and `server_name` unless it does not verify.
        ticket, token: of an earlier connection to the same server.
        Raises ConnectionLost where nothing comes of it, TimeoutError after `timeout_ns`.
        """
        configuration = at_wall_clock(configuration, self._clock)
        core = self.core.connect((host, port), configuration, self._clock.now(), ticket=ticket, token=token)
        connection = self.face(core)
        self.pump()
        if core.tls.is_early_data_offered:
            return connection
        try:
            connection.wait_until(lambda: connection.is_connected, "connected", timeout_ns=timeout_ns)
        except BaseException:
            connection.close()
            raise
        return connection

    def accept(self, *, timeout_ns: int | None = None) -> QuicConnection:
        """The next connection that a client began, whose handshake may still be under way."""
        if not self.wait_until(lambda: bool(self._accepted), timeout_ns=timeout_ns):
            raise TimeoutError("nobody connected")
        return self._accepted.popleft()

    def pump(self) -> bool:
        """Make one pass without waiting: take what came, send what was written. True when anything was done."""
        did = False
        for pump in self._pumps:
            did |= pump.pump()
        return did

    def wait_until(self, condition: Callable[[], bool], *, timeout_ns: int | None = None) -> bool:
        """Make passes until `condition` holds, for `timeout_ns` at most; whether it holds."""
        beside = [pump for pump in self._pumps if pump is not self._pump]
        wait = partial(self._pump.wait, beside=beside)
        return turn_until(condition, turn=self.pump, wait=wait, clock=self._clock, timeout_ns=timeout_ns)

    def close(self, code: int = 0, reason: str = "") -> None:
        """End every connection, tell the peers once, and close the socket. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            for connection in self.core.connections:
                connection.close(code, reason, now=self._clock.now())
            while self._pump.pump() and not self._pump.is_blocked:
                pass
        finally:
            self._pumps.remove(self._pump)
            self.transport.close()

    def face(self, core: Connection) -> QuicConnection:
        """The face of a connection of this endpoint."""
        connection = QuicConnection(core, self._clock, self)
        core.context = connection
        return connection

    def take_accepted(self, core: Connection) -> None:
        """A client began a connection."""
        self._accepted.append(self.face(core))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Service:
    """Takes events in each pass."""

    def __init__(self, endpoint: QuicEndpoint) -> None:
        self._endpoint = endpoint

    def pump(self, now: int) -> bool:  # noqa: ARG002
        """As of `Service`."""
        did, core = False, self._endpoint.core
        while (accepted := core.poll_accepted()) is not None:
            self._endpoint.take_accepted(accepted)
            did = True
        while (active := core.poll_active()) is not None:
            face = active.context
            if isinstance(face, QuicConnection):
                did |= face.take_events()
        return did


class QuicConnection(ConnectionFace):
    """One connection; what needs no waiting is in `ConnectionFace`."""

    def __init__(self, core: Connection, clock: Clock, endpoint: QuicEndpoint) -> None:
        super().__init__(core, clock, _nothing)
        self.endpoint = endpoint

    def open_stream(self, *, is_unidirectional: bool = False) -> QuicStream:
        """A new stream; it may wait for the peer's permission before anything leaves."""
        return QuicStream(self, self.core.open_stream(is_unidirectional=is_unidirectional))

    def accept_stream(self, *, timeout_ns: int | None = None) -> QuicStream:
        """The next stream that the peer began."""
        self.wait_until(lambda: bool(self._incoming), "a stream", timeout_ns=timeout_ns)
        return QuicStream(self, self._incoming.popleft())

    def receive_datagram(self, *, timeout_ns: int | None = None) -> bytes:
        """The next datagram (RFC 9221)."""
        self.wait_until(lambda: bool(self._datagrams), "a datagram", timeout_ns=timeout_ns)
        return self._datagrams.popleft()

    def wait_until(self, condition: Callable[[], bool], what: str, *, timeout_ns: int | None = None) -> None:
        """Return when `condition` holds; ConnectionLost where it can hold no more, TimeoutError after `timeout_ns`."""
        if not self.endpoint.wait_until(lambda: condition() or self.is_closed, timeout_ns=timeout_ns):
            raise TimeoutError(f"not {what} in time")
        if not condition():
            raise lost(self.core)


class QuicStream:
    """One stream; of a unidirectional one only the half that there is."""

    def __init__(self, connection: QuicConnection, stream_id: int) -> None:
        self.stream_id = stream_id
        self.connection = connection
        self._core = connection.core

    def send(self, data: bytes | bytearray | memoryview, *, is_fin: bool = False) -> None:
        """Send all of `data`, and the end; waits while more than 256 KiB of the stream are unsent.

        StreamAborted where the peer wants no more, ConnectionLost.
        """
        view = memoryview(data)
        while True:
            self._check_sending()
            piece, view = view[:PIECE_BYTES], view[PIECE_BYTES:]
            self._core.write(self.stream_id, piece, is_fin=is_fin and not view)
            self.connection.endpoint.pump()
            if not view and not self._is_full:
                return
            self.connection.endpoint.wait_until(lambda: not self._is_full or self._is_stopped)
            if not view:
                return

    def receive(self, max_bytes: int = 1 << 20, *, timeout_ns: int | None = None) -> bytes:
        """Wait for the next bytes; b"" at the end. StreamAborted, ConnectionLost, TimeoutError."""
        if max_bytes < 1:
            raise LocalError("max_bytes must be at least 1")
        connection, core, number = self.connection, self._core, self.stream_id
        data = b""

        def is_settled() -> bool:
            nonlocal data
            data = data or core.read(number, max_bytes)
            return bool(data) or core.streams.is_finished(number) or number in connection.resets

        connection.wait_until(is_settled, f"anything on stream {number}", timeout_ns=timeout_ns)
        if not data and number in connection.resets:
            raise StreamAborted(number, connection.resets[number])
        return data

    def receive_all(self, *, timeout_ns: int | None = None) -> bytes:
        """Everything to the end."""
        return b"".join(iter(lambda: self.receive(timeout_ns=timeout_ns), b""))

    def reset(self, code: int) -> None:
        """Send no more, and have the peer throw away what it did not read."""
        self._core.reset_stream(self.stream_id, code)

    def stop_sending(self, code: int) -> None:
        """Ask the peer to send no more."""
        self._core.stop_sending(self.stream_id, code)

    @property
    def _is_full(self) -> bool:
        return self._core.streams.unsent_bytes(self.stream_id) > UNSENT_BYTES

    @property
    def _is_stopped(self) -> bool:
        return self.stream_id in self.connection.stops or self.connection.is_closed

    def _check_sending(self) -> None:
        if self.stream_id in self.connection.stops:
            raise StreamAborted(self.stream_id, self.connection.stops[self.stream_id])
        if self.connection.is_closed:
            raise lost(self._core)


def at_wall_clock(configuration: Configuration, clock: Clock) -> Configuration:
    """The configuration with the system's time for certificates and tickets, unless it has another."""
    if configuration.unix_epoch_ns:
        return configuration
    return replace(configuration, unix_epoch_ns=time.time_ns() - clock.now())


def _nothing() -> None:
    """What was written leaves with the next pass."""


PIECE_BYTES = 256 << 10
RECEIVE_BUDGET_BURSTS = 4
"""Acknowledgements leave after a pass: many bursts in one would have the peer wait for them."""
