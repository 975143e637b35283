"""The asynchronous face, under trio: connections and streams that tasks wait for.

    from stacks.quic.aio import connect, serve

    async with serve("127.0.0.1", 4433, configuration) as server:
        connection = await server.accept()         # a QuicConnection
        stream = await connection.accept_stream()  # a trio.abc.HalfCloseableStream

    async with connect("127.0.0.1", 4433, configuration) as connection:
        stream = connection.open_stream()
        await stream.send_all(b"hello")
        await stream.send_eof()
        answer = await stream.receive_some()

One driver's tasks move everything; a task that waits is woken by what it waits for. Bounded everywhere: `send_all`
waits while much is unsent, and what nobody reads holds the peer back.

Raises LocalError for misuse, ConnectionLost where there is no connection (any more), and trio's own errors on streams,
whose cause is one of ours. Every await is a checkpoint; a cancelled `send_all` may have sent some of its data, all
others have taken nothing.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import trio

from stacks.quic.configuration import Configuration
from stacks.quic.connection import Connection
from stacks.quic.connection.aio import QuicConnection, QuicStream
from stacks.quic.endpoint import Endpoint
from stacks.quic.lost import ConnectionLost, StreamAborted
from stacks.quic.tls import Ticket
from stacks.quic.tracing import TracerFactory
from stacks.runtime import LocalError
from transports.clock import Clock, RealClock
from transports.datagram import Address, DatagramTransport
from transports.driver import Driver
from transports.routes import source_address
from transports.several import SeveralTransports
from transports.udp import UdpTransport

__all__ = [
    "ConnectionLost",
    "QuicConnection",
    "QuicEndpoint",
    "QuicStream",
    "StreamAborted",
    "connect",
    "run_endpoint",
    "serve",
]


@asynccontextmanager
async def connect(
    host: str,
    port: int,
    configuration: Configuration,
    *,
    ticket: Ticket | None = None,
    token: bytes = b"",
    offload: bool = True,
    tracer: TracerFactory | None = None,
    rng: random.Random | None = None,
) -> AsyncIterator[QuicConnection]:
    """A connection that lives as long as the block; the handshake is done when it begins, or with a ticket for 0-RTT
    has just begun (`QuicConnection.wait_connected`).

    host: in numeric text form. configuration: with `alpn`, and `server_name` unless it does not verify; the time of
    certificates and tickets is the system's. ticket, token: of an earlier connection to the same server.
    tracer: makes tracers, for qlog. rng: `random.SystemRandom` by default.
    Raises ConnectionLost where nothing comes of it, LocalError and TransportError for arguments that cannot be.
    """
    udp = UdpTransport(source_address(host), 0, offload=offload)
    clock = RealClock()
    core = Endpoint(udp.address, rng=rng or random.SystemRandom(), tracer=tracer)
    async with run_endpoint(core, SeveralTransports(udp), clock=clock) as endpoint:
        yield await endpoint.connect((host, port), at_wall_clock(configuration, clock), ticket=ticket, token=token)


@asynccontextmanager
async def serve(
    address: str,
    port: int,
    configuration: Configuration,
    *,
    offload: bool = True,
    tracer: TracerFactory | None = None,
    rng: random.Random | None = None,
) -> AsyncIterator[QuicEndpoint]:
    """A server at one of this machine's addresses, in numeric text form, as long as the block; port 0: any.

    configuration: with `alpn`, `certificate_chain` and `private_key`; there are sockets at its `preferred_addresses`,
    too. Other arguments as of `connect`.
    Raises LocalError, TransportError where it cannot be.
    """
    transport = SeveralTransports(UdpTransport(address, port, offload=offload))
    clock = RealClock()
    try:
        for preferred in configuration.preferred_addresses:
            transport.add(UdpTransport(*preferred, offload=offload))
        configuration = at_wall_clock(configuration, clock)
        core = Endpoint(transport.address, rng=rng or random.SystemRandom(), server=configuration, tracer=tracer)
    except BaseException:
        transport.close()
        raise
    async with run_endpoint(core, transport, clock=clock) as endpoint:
        yield endpoint


@asynccontextmanager
async def run_endpoint(
    core: Endpoint, transport: DatagramTransport, *, clock: Clock | None = None
) -> AsyncIterator[QuicEndpoint]:
    """An endpoint on any transport, which is closed at the end; clock: the real one by default.

    At the end of the block every connection is closed, and the peers are told. What the block raises leaves as it is,
    and not in a group.
    """
    endpoint = QuicEndpoint(core, transport, clock or RealClock())
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(endpoint.driver.run)
            try:
                yield endpoint
            except trio.Cancelled:
                raise
            except BaseException as error:  # noqa: BLE001 (raised again below)
                failure = error
            finally:
                endpoint.close_all()
                nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure
    finally:
        transport.close()


class QuicEndpoint:
    """An endpoint with a driver that somebody runs: a client, a server, or both."""

    def __init__(self, core: Endpoint, transport: DatagramTransport, clock: Clock) -> None:
        self.core = core
        self.transport = transport
        self.driver = Driver(core, transport, clock, [self], receive_budget=RECEIVE_BUDGET_BURSTS)
        self._clock = clock
        self._accepted: deque[QuicConnection] = deque()
        self._arrived = trio.lowlevel.ParkingLot()

    @property
    def address(self) -> Address:
        """Where it is reached."""
        return self.transport.address

    async def connect(
        self, remote: Address, configuration: Configuration, *, ticket: Ticket | None = None, token: bytes = b""
    ) -> QuicConnection:
        """As of the module's `connect`; the connection lives until it is closed. A cancelled one is withdrawn."""
        connection = self._face(self.core.connect(remote, configuration, self._clock.now(), ticket=ticket, token=token))
        self.driver.wake()
        if connection.core.tls.is_early_data_offered:
            await trio.lowlevel.checkpoint()
            return connection
        try:
            await connection.wait_connected()
        except BaseException:
            connection.close()
            raise
        return connection

    async def accept(self) -> QuicConnection:
        """The next connection that a client began, whose handshake may still be under way."""
        if self._accepted:
            await trio.lowlevel.checkpoint()
        while not self._accepted:
            await self._arrived.park()
        return self._accepted.popleft()

    def close_all(self, code: int = 0, reason: str = "") -> None:
        """End every connection, and tell the peers once."""
        now = self._clock.now()
        for connection in self.core.connections:
            connection.close(code, reason, now=now)
        while self.driver.pump() and not self.driver.is_blocked and not self.driver.has_more:
            pass

    def open(self, address: str) -> Address:
        """One more socket, on any port of an address; LocalError on a transport that is no `SeveralTransports`."""
        if not isinstance(self.transport, SeveralTransports):
            raise LocalError("this endpoint has a transport to which no socket can be added")
        udp = UdpTransport(address, 0)
        self.transport.add(udp)
        return udp.address

    def close(self, address: Address) -> None:
        """Close a socket that `open` made."""
        if isinstance(self.transport, SeveralTransports):
            self.transport.remove(address)

    def pump(self, now: int) -> bool:  # noqa: ARG002
        """As of `Service`: tell tasks what happened."""
        did = False
        while (core := self.core.poll_accepted()) is not None:
            self._accepted.append(self._face(core))
            self._arrived.unpark()
            did = True
        while (core := self.core.poll_active()) is not None:
            face = core.context
            if isinstance(face, QuicConnection):
                did |= face.take_events()
        return did

    def _face(self, core: Connection) -> QuicConnection:
        face = QuicConnection(core, self._clock, self.driver.wake, self)
        core.context = face
        return face


RECEIVE_BUDGET_BURSTS = 4
"""Acknowledgements leave after a pass: many bursts in one would have the peer wait for them."""


def at_wall_clock(configuration: Configuration, clock: Clock) -> Configuration:
    """The configuration with the system's time for certificates and tickets, unless it has another."""
    if configuration.unix_epoch_ns:
        return configuration
    return replace(configuration, unix_epoch_ns=time.time_ns() - clock.now())
