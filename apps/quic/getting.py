"""The process of `baremetal quic get`: a connection for each origin, all moved by one loop."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from apps.errors import CommandError
from apps.quic.failures import connection_failure
from apps.quic.fetching import Fetch, Fetcher
from apps.quic.logs import check_logs, open_logs
from apps.quic.session_file import SessionFile
from apps.quic.urls import Url
from apps.recording import Recording
from stacks.quic.configuration import Configuration
from stacks.quic.connection import Connection, ConnectionState
from stacks.quic.endpoint import Endpoint
from stacks.quic.http3 import ALPN_HTTP09, ALPN_HTTP3
from transports.clock import RealClock
from transports.datagram import Address
from transports.errors import TransportError
from transports.pump import Pump, wait_for
from transports.routes import source_address
from transports.several import SeveralTransports
from transports.udp import UdpTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class GetOptions:
    """How to fetch. configuration: of every connection; server name and ALPN are filled in. timeout_ns: for a
    handshake, and for silence later. version: None for any that a ticket is for.
    """

    configuration: Configuration
    alpn: str = ""
    version: int | None = None
    timeout_ns: int
    is_updating_keys: bool = False
    is_migrating: bool = False
    offload: bool = True
    local: str = ""
    capture: Path | None = None
    qlog: Path | None = None
    sessions: SessionFile = field(default_factory=lambda: SessionFile(None))


class Origin:
    """One host and port: its addresses, tried in turn, and the connection to the one that answers."""

    def __init__(
        self,
        fetches: Sequence[Fetch],
        options: GetOptions,
        *,
        recording: Recording,
        on_bytes: Callable[[int], None],
    ) -> None:
        self.fetches = fetches
        self.url = fetches[0].url
        self._options = options
        self._recording = recording
        self._on_bytes = on_bytes
        self._clock = RealClock()
        self.logs = open_logs(options.qlog)
        self._addresses = resolve(self.url)
        self._udp: UdpTransport | None = None
        self._transport: SeveralTransports | None = None
        self.remote: Address = ("", 0)
        self.is_over = False
        self._try_next()

    @property
    def connection(self) -> Connection:
        """The last one that was tried."""
        return self.fetcher.connection

    def step(self) -> bool:
        """One pass; whether anything was done."""
        did = self.pump.pump()
        now = self._clock.now()
        fetcher = self.fetcher
        if self._is_migrating:
            self._migrate(now)
        if fetcher.is_over:
            if fetcher.failure is not None and self._addresses and not fetcher.connected_ns:
                self._try_next()
                return True
            self._finish()
            return True
        if self._is_hopeless(now):
            if self._addresses and not fetcher.connected_ns:
                self._try_next()
                return True
            self._give_up()
            return True
        return did

    def deadline_ns(self) -> int | None:
        """When to look again although nothing came."""
        return self._heard_ns + self._options.timeout_ns

    def abandon(self, problem: str = "broken off") -> None:
        """End the connection, whatever it is doing, and tell the server. problem: what became of its fetches."""
        for fetch in self.fetches:
            fetch.fail(problem)
        with contextlib.suppress(TransportError, OSError):
            self.fetcher.connection.close(0, "", now=self._clock.now())
            self._flush()
        self.close()

    def close(self) -> None:
        """Close the socket; idempotent."""
        if self._transport is not None:
            self._transport.close()
        if self.logs is not None:
            self.logs.close()

    def _finish(self) -> None:
        self.is_over = True
        self._flush()
        for ticket in self.fetcher.tickets:
            self._options.sessions.add(self.url.origin, ticket=ticket)
        for token in self.fetcher.tokens:
            self._options.sessions.add(self.url.origin, token=token)
        if self.fetcher.failure is not None:
            problem = self.fetcher.problem or str(connection_failure(self.url.origin, self.fetcher.failure))
            for fetch in self.fetches:
                fetch.fail(problem)

    def _flush(self) -> None:
        """What is to be sent still, CONNECTION_CLOSE above all."""
        for _ in range(FLUSH_PASSES):
            self.pump.pump()

    def _try_next(self) -> None:
        self.close()
        self.remote = self._addresses.pop(0)
        options, url = self._options, self.url
        local = options.local or source_address(self.remote[0])
        udp = self._udp = UdpTransport(local, 0, offload=options.offload)
        transport = self._transport = SeveralTransports(udp)
        self._is_migrating = options.is_migrating
        ticket, token = options.sessions.take(url.origin, version=options.version)
        alpn: tuple[str, ...] = (options.alpn,) if options.alpn else (ALPN_HTTP3, ALPN_HTTP09)
        if ticket is not None and ticket.alpn in alpn:
            alpn = (ticket.alpn, *(each for each in alpn if each != ticket.alpn))
        now = self._heard_ns = self._clock.now()
        self._heard = 0
        configuration = replace(
            options.configuration, server_name=url.host, alpn=alpn, unix_epoch_ns=time.time_ns() - now
        )
        endpoint = Endpoint(udp.address, rng=random.SystemRandom(), tracer=self.logs)
        connection = endpoint.connect(self.remote, configuration, now, ticket=ticket, token=token)
        is_early = ticket is not None and connection.tls.is_early_data_offered
        self.fetcher = Fetcher(
            connection,
            self.fetches,
            now=now,
            early_alpn=ticket.alpn if ticket is not None and is_early else "",
            is_updating_keys=options.is_updating_keys,
            wants_ticket=options.sessions.is_kept,
            on_bytes=self._on_bytes,
        )
        self.pump = Pump(
            endpoint,
            self._recording.transport(transport),
            self._clock,
            [self.fetcher],
            receive_budget=RECEIVE_BUDGET_BURSTS,
        )

    def _migrate(self, now: int) -> None:
        """Go on from another port as soon as that is allowed and the first bytes are there."""
        connection = self.fetcher.connection
        if connection.state != ConnectionState.CONFIRMED or not any(fetch.size_bytes for fetch in self.fetches):
            return
        assert self._transport is not None
        self._is_migrating = False
        udp = UdpTransport(connection.path.local[0], 0, offload=self._options.offload)
        self._transport.add(udp)
        connection.migrate(udp.address, now)

    def _is_hopeless(self, now: int) -> bool:
        """Whether nothing came for too long; what the network says of the address counts only in silence."""
        assert self._udp is not None
        heard = self.fetcher.connection.counters.datagrams_received
        if heard != self._heard:
            self._heard, self._heard_ns = heard, now
        waited_ns = now - self._heard_ns
        is_refused = self._udp.last_unreachable == self.remote and waited_ns > REFUSED_NS
        return is_refused or waited_ns >= self._options.timeout_ns

    def _give_up(self) -> None:
        """This server does not answer (any more); others may."""
        self.abandon(str(self._no_answer()))
        self.is_over = True

    def _no_answer(self) -> CommandError:
        assert self._udp is not None
        host, port = self.remote
        where = f"{host} port {port}"
        if self.fetcher.connected_ns:
            return CommandError(f"{where} is gone in the middle of it", "check that the server still runs")
        if self._udp.last_unreachable == self.remote:
            return CommandError(f"nothing listens at {where}, says the network", "check address and port (UDP)")
        return CommandError(
            f"no answer from {where} within {self._options.timeout_ns / 1e9:g} s",
            "check that a QUIC server runs there, and that UDP gets through",
        )


def get_all(urls: Iterable[tuple[Url, Path]], options: GetOptions, *, on_bytes: Callable[[int], None]) -> list[Origin]:
    """Fetch everything; what each fetch came to is in the origins. CommandError for names that nobody knows, and
    where a file cannot be written.
    """
    by_origin: dict[str, list[Fetch]] = {}
    for url, path in urls:
        by_origin.setdefault(url.origin, []).append(Fetch(url, path))
    origins: list[Origin] = []
    with Recording(options.capture) as recording:
        try:
            for fetches in by_origin.values():
                origins.append(Origin(fetches, options, recording=recording, on_bytes=on_bytes))
            _run(origins)
        finally:
            for origin in origins:
                if origin.is_over:
                    origin.close()
                else:
                    origin.abandon()
            options.sessions.save()
    for origin in origins:
        check_logs(origin.logs)
    return origins


def resolve(url: Url) -> list[Address]:
    """All addresses of a host, in the system's order, that there is a route to. CommandError where there is none."""
    try:
        found = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_DGRAM)
    except socket.gaierror as error:
        raise CommandError(f"{url.host}: {(error.strerror or 'no such host').lower()}", "check the name") from error
    addresses: list[Address] = []
    problem = ""
    for _, _, _, _, address in found:
        host, port = str(address[0]).partition("%")[0], int(address[1])
        try:
            source_address(host)
        except TransportError as error:
            problem = str(error)
        else:
            if (host, port) not in addresses:
                addresses.append((host, port))
    if not addresses:
        raise CommandError(problem or f"{url.host} has no address", "check the routes")
    return addresses


def _run(origins: Sequence[Origin]) -> None:
    clock = RealClock()
    while pending := [origin for origin in origins if not origin.is_over]:
        did = False
        for origin in pending:
            did |= origin.step()
        if not did:
            deadlines = [due for origin in pending if (due := origin.deadline_ns()) is not None]
            limit = max(0, min(deadlines) - clock.now()) if deadlines else WAIT_NS
            wait_for([origin.pump for origin in pending if not origin.is_over], min(limit, WAIT_NS))


FLUSH_PASSES = 3
RECEIVE_BUDGET_BURSTS = 4
"""Acknowledgements leave after a pass: many bursts in one would have the server wait for them."""
REFUSED_NS = 1_000_000_000
WAIT_NS = 1_000_000_000
