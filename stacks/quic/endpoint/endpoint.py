"""Many connections on one socket: a `DatagramCore` (RFC 9000 5.2).

    datagram -> connection ID -> Connection           known
                               -> Admission            a client's first packet: accept, Retry, Version Negotiation
                               -> stateless reset      whatever else cannot be of anybody

    program: connect(...), poll_accepted(), poll_active() -> Connection -> poll_event()

A connection that may have something to send stands in line; each gets one burst in turn.
"""

from __future__ import annotations

import random
import struct
from collections import deque
from functools import lru_cache

from stacks.quic.configuration import Configuration
from stacks.quic.connection import Beginning, Connection, ConnectionState, connect
from stacks.quic.connection.buffers import BufferPool, BurstBuffer
from stacks.quic.connection.counters import EndpointCounters
from stacks.quic.endpoint.admission import Admission
from stacks.quic.endpoint.resets import ResetTokens, StatelessResets
from stacks.quic.keys import PacketViews
from stacks.quic.tls import Ticket, TlsSettings
from stacks.quic.tracing import TracerFactory
from stacks.runtime import LocalError, Timers
from transports.datagram import Address, Burst, Transmit
from wire.errors import WireError
from wire.quic.packet import Header, decode_header


class Endpoint:
    """Client, server, or both.

    address: where it is. server: configuration of connections that are accepted, None to accept none. rng: for
    everything that may not be guessed: `random.SystemRandom()` in programs, seeded in virtual time. tracer: makes the
    tracer of a connection. reset_key: of stateless resets and tokens, which is to survive a restart; drawn where none
    is given. max_connections: at once, above which clients are refused.
    """

    def __init__(
        self,
        address: Address,
        *,
        rng: random.Random,
        server: Configuration | None = None,
        tracer: TracerFactory | None = None,
        reset_key: bytes = b"",
        max_connections: int = 10_000,
    ) -> None:
        self.counters = EndpointCounters()
        self.address = address
        self._rng = rng
        self._tracer = tracer
        self._pool = BufferPool()
        self._views: PacketViews | None = None
        self._step_before = 0
        self._by_id: dict[bytes, Connection] = {}
        self._connections: dict[Connection, None] = {}
        self._ready: dict[Connection, None] = {}
        self._active: dict[Connection, None] = {}
        self._accepted: deque[Connection] = deque()
        self._outbox: deque[Transmit] = deque()
        self._timers: Timers[Connection] = Timers()
        self._resets = StatelessResets(rng, self.counters, reset_key)
        self._reset_tokens = ResetTokens()
        self._id_bytes = checked_id_bytes(server) if server is not None else 8
        self._max_connections = max_connections
        self._client_settings: tuple[Configuration, TlsSettings] | None = None
        self._admission: Admission | None = None
        if server is not None:
            self._admission = Admission(server, rng, self.counters, self._pool, self._resets.key)

    @property
    def reset_key(self) -> bytes:
        """The key of stateless resets and tokens: a secret."""
        return self._resets.key

    @property
    def connections(self) -> tuple[Connection, ...]:
        """All that are remembered, those that end included."""
        return tuple(self._connections)

    def connect(
        self,
        remote: Address,
        configuration: Configuration,
        now: int,
        *,
        ticket: Ticket | None = None,
        token: bytes = b"",
    ) -> Connection:
        """Begin a connection. ticket: of a former one, for resumption and 0-RTT; token: of NEW_TOKEN.

        LocalError where its connection IDs are longer or shorter than those of the others: short headers do not say.
        """
        if configuration.connection_id_bytes != self._id_bytes:
            if self._connections or self._admission is not None:
                raise LocalError(
                    f"connection_id_bytes is {configuration.connection_id_bytes}, and {self._id_bytes} at this endpoint"
                )
            self._id_bytes = checked_id_bytes(configuration)
        beginning = Beginning(
            configuration=configuration,
            settings=self._settings_of(configuration),
            local=self.address,
            remote=remote,
            rng=self._rng,
            now=now,
            pool=self._pool,
            reset_key=self._resets.key,
            tracer=None if self._tracer is None else self._tracer(is_client=True),
        )
        connection = connect(beginning, ticket=ticket, token=token)
        self._add(connection)
        return connection

    def poll_accepted(self) -> Connection | None:
        """The next connection that a client began, or None."""
        return self._accepted.popleft() if self._accepted else None

    def poll_active(self) -> Connection | None:
        """The next connection to which something happened since it was asked for last, or None."""
        if not self._active:
            return None
        connection = next(iter(self._active))
        del self._active[connection]
        return connection

    # DatagramCore

    def handle_burst(self, burst: Burst, now: int) -> None:
        """As of `DatagramCore`."""
        view, step, id_bytes = burst.view, burst.segment_bytes, self._id_bytes
        if view.readonly:
            view = memoryview(bytearray(view))
        length = len(view)
        if length > id_bytes and not view[0] & LONG_HEADER:
            first_id = bytes(view[1 : 1 + id_bytes])
            connection = self._by_id.get(first_id)
            if connection is not None and self._is_uniform(view, step, first_id):
                forged = connection.counters.dropped_forged
                views = self._views_of(burst.staging, step) if length > step and view is burst.view else None
                connection.handle_burst(view, step, burst.source, burst.destination, burst.ecn, now, views)
                self._touched(connection)
                if connection.counters.dropped_forged != forged:
                    for start in range(0, length, step):  # 10.3.1: what cannot be opened may be a reset
                        self._is_reset(view[start : start + step], burst, now)
                return
        for start in range(0, length, step):
            self._handle_datagram(view[start : start + step], burst, now)

    def handle_timeout(self, now: int) -> None:
        """As of `DatagramCore`."""
        for connection in self._timers.expired(now):
            connection.handle_timeout(now)
            self._touched(connection)

    def poll_transmit(self, now: int) -> Transmit | None:
        """As of `DatagramCore`."""
        if self._outbox:
            return self._outbox.popleft()
        ready = self._ready
        while ready:
            connection = next(iter(ready))
            del ready[connection]
            transmit = connection.poll_transmit(now)
            if connection.has_events:  # a stream has room again, above all
                self._active[connection] = None
            if transmit is not None:
                ready[connection] = None
                return transmit
            self._settle(connection)
        return None

    def poll_deadline(self) -> int | None:
        """As of `DatagramCore`."""
        return self._timers.next_deadline()

    def sent(self, transmit: Transmit) -> None:
        """As of `DatagramCore`."""
        view = transmit.views[0]
        if isinstance(view, memoryview) and isinstance(view.obj, BurstBuffer):
            self._pool.give_back(view.obj)

    # In

    def _is_uniform(self, view: memoryview, step: int, first_id: bytes) -> bool:
        """Whether all datagrams of a burst have short headers with this connection ID."""
        length = len(view)
        if length <= step:
            return True
        count = -(-length // step)
        layout = _ids_layout(len(first_id), step, count)
        if 1 + layout.size > length or layout.unpack_from(view, 1).count(first_id) != count:
            return False
        return bytes(view[::step]).isascii()

    def _views_of(self, staging: memoryview | None, step: int) -> PacketViews | None:
        """Slices of the buffer that a transport receives into, as long as datagrams of one size come with it."""
        if staging is None:
            return None
        views = self._views
        if views is None or views.step != step or views.buffer is not staging:
            if step != self._step_before:
                self._step_before = step
                return None  # only once: other sizes may follow at once
            count = min(len(staging) // step, MAX_VIEWS)
            views = self._views = PacketViews(staging, step, 1 + self._id_bytes, count)
        return views

    def _handle_datagram(self, datagram: memoryview, burst: Burst, now: int) -> None:
        try:
            header = decode_header(datagram, 0, len(datagram), self._id_bytes)
        except WireError:
            self.counters.dropped_malformed += 1
            return
        connection = self._by_id.get(header.destination_cid)
        if connection is not None:
            forged = connection.counters.dropped_forged
            connection.handle_datagram(datagram, burst.source, burst.destination, burst.ecn, now)
            self._touched(connection)
            if connection.counters.dropped_forged != forged:
                self._is_reset(datagram, burst, now)
        elif self._is_reset(datagram, burst, now):
            return  # of whatever header: other versions may have another one (10.3)
        elif header.is_long:
            self._admit(datagram, header, burst, now)
        else:
            reset = self._resets.answer(datagram, header.destination_cid, burst, now)
            if reset is not None:
                self._outbox.append(reset)

    def _admit(self, datagram: memoryview, header: Header, burst: Burst, now: int) -> None:
        if self._admission is None:
            self.counters.dropped_unknown += 1
            return
        is_full = len(self._connections) >= self._max_connections
        tracer = None if self._tracer is None else self._tracer(is_client=False)
        outcome = self._admission.admit(datagram, header, burst, now, is_full=is_full, tracer=tracer)
        if isinstance(outcome, Transmit):
            self._outbox.append(outcome)
        elif outcome is not None:
            outcome.handle_datagram(datagram, burst.source, burst.destination, burst.ecn, now)
            if not outcome.counters.packets_received:
                # 7.2: nothing in it is known to be the client's, above all not the connection ID that answers go to. A
                # connection made of it would refuse the genuine packet that comes next.
                self.counters.dropped_forged += 1
                outcome.forgotten()
                return
            self.counters.connections_accepted += 1
            self._add(outcome)
            self._accepted.append(outcome)

    def _is_reset(self, datagram: memoryview, burst: Burst, now: int) -> bool:
        if not self._reset_tokens.count or len(datagram) < MIN_RESET_BYTES:
            return False
        connection = self._reset_tokens.match(bytes(datagram[-RESET_TOKEN_BYTES:]), burst.source)
        if connection is None:
            return False
        self.counters.stateless_resets_received += 1
        connection.handle_reset(now)
        self._touched(connection)
        return True

    def _settings_of(self, configuration: Configuration) -> TlsSettings:
        """Parsed once for all connections with the same configuration."""
        if self._client_settings is None or self._client_settings[0] is not configuration:
            settings = TlsSettings.of(configuration, is_client=True, rng=self._rng)
            self._client_settings = configuration, settings
        return self._client_settings[1]

    # The books

    def _add(self, connection: Connection) -> None:
        self._connections[connection] = None
        connection.on_work = self._worked
        self._follow_ids(connection)
        self._touched(connection)

    def _worked(self, connection: Connection) -> None:
        self._ready[connection] = None

    def _touched(self, connection: Connection) -> None:
        """Something happened to it: it may have output, events, other IDs."""
        self._ready[connection] = None
        self._active[connection] = None

    def _settle(self, connection: Connection) -> None:
        """It has nothing more to send now: see when it will."""
        self._follow_ids(connection)
        if connection.state == ConnectionState.CLOSED:
            self._forget(connection)
            return
        deadline_ns = connection.poll_deadline()
        if deadline_ns is None:
            self._timers.cancel(connection)
        else:
            self._timers.arm(connection, deadline_ns)

    def _follow_ids(self, connection: Connection) -> None:
        while (change := connection.local_ids.poll_change()) is not None:
            if change.is_addition:
                self._by_id[change.connection_id] = connection
            else:
                self._by_id.pop(change.connection_id, None)
        while (token := connection.peer_ids.poll_reset_token()) is not None:
            self._reset_tokens.change(token, connection)

    def _forget(self, connection: Connection) -> None:
        self._timers.cancel(connection)
        self._connections.pop(connection, None)
        for connection_id in connection.local_ids.all():
            self._by_id.pop(connection_id, None)
        self._reset_tokens.forget(connection)
        connection.forgotten()


def checked_id_bytes(configuration: Configuration) -> int:
    """How long connection IDs are; LocalError where that cannot tell the connections of a socket apart."""
    if not 4 <= configuration.connection_id_bytes <= 20:
        raise LocalError(f"connection_id_bytes is {configuration.connection_id_bytes}: it has to be 4 to 20")
    return configuration.connection_id_bytes


@lru_cache(maxsize=256)
def _ids_layout(id_bytes: int, step: int, count: int) -> struct.Struct:
    """Of the connection IDs of `count` datagrams with short headers, from behind the first byte of the first."""
    gap = step - id_bytes
    return struct.Struct(f"{id_bytes}s{gap}x" * (count - 1) + f"{id_bytes}s")


MAX_VIEWS = 64
"""Datagrams that a kernel puts together at most."""
LONG_HEADER = 0x80
RESET_TOKEN_BYTES, MIN_RESET_BYTES = 16, 21
