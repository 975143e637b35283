"""A client and a server whose CRYPTO data goes from one to the other without a network."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from stacks.quic.configuration import VERSION_1, Configuration
from stacks.quic.tls import Secret, Ticket, TicketKeeper, Tls, TlsSettings, make_self_signed
from wire.quic.parameters import TransportParameters

UNIX_NS = 1_764_000_000_000_000_000
SECOND = 1_000_000_000
NAME = "server.test"
PARAMETERS = TransportParameters(
    initial_source_connection_id=b"12345678",
    initial_max_data=1 << 20,
    initial_max_stream_data_bidi_remote=1 << 18,
    initial_max_streams_bidi=100,
    max_idle_timeout_ms=30_000,
)


@functools.cache
def certificate() -> tuple[bytes, bytes]:
    return make_self_signed([NAME, "192.0.2.7"], random.Random(1), unix_ns=UNIX_NS)


@dataclass
class Ends:
    """Both ends; `flights` is what went over, as (whether the client sent it, level, bytes)."""

    client: Tls
    server: Tls
    flights: list[tuple[bool, int, bytes]] = field(default_factory=list)
    secrets: dict[bool, list[Secret]] = field(default_factory=lambda: {True: [], False: []})

    def run(self, *, now: int = 0, change: Callable[[bool, int, bytes], bytes] | None = None) -> Ends:
        """Until neither has anything to say. change: what becomes of each piece."""
        self.client.start()
        moved = True
        while moved:
            moved = False
            for is_client, sender, receiver in ((True, self.client, self.server), (False, self.server, self.client)):
                while (piece := sender.poll_crypto()) is not None:
                    level, data = piece
                    data = change(is_client, level, data) if change else data
                    self.flights.append((is_client, level, data))
                    receiver.handle_crypto(level, data, now)
                    moved = True
        for is_client, end in ((True, self.client), (False, self.server)):
            self.secrets[is_client] += iter(end.poll_secret, None)
        return self


def client_settings(*, rng: random.Random | None = None, **changes: object) -> TlsSettings:
    values: dict[str, object] = {
        "alpn": ("h3",),
        "server_name": NAME,
        "trusted_certificates": certificate()[0],
        "unix_epoch_ns": UNIX_NS,
    }
    configuration = Configuration(**{**values, **changes})  # type: ignore[arg-type]
    return TlsSettings.of(configuration, is_client=True, rng=rng or random.Random(3))


def server_settings(*, rng: random.Random | None = None, **changes: object) -> TlsSettings:
    chain, key = certificate()
    values: dict[str, object] = {
        "alpn": ("h3",),
        "certificate_chain": chain,
        "private_key": key,
        "unix_epoch_ns": UNIX_NS,
    }
    configuration = Configuration(**{**values, **changes})  # type: ignore[arg-type]
    return TlsSettings.of(configuration, is_client=False, rng=rng or random.Random(4))


def ends(
    *,
    client: TlsSettings | None = None,
    server: TlsSettings | None = None,
    rng: random.Random | None = None,
    now: int = 0,
    version: int = VERSION_1,
    ticket: Ticket | None = None,
    client_parameters: TransportParameters = PARAMETERS,
    server_parameters: TransportParameters = PARAMETERS,
) -> Ends:
    rng = rng or random.Random(5)
    parameters = server_parameters.encode()
    return Ends(
        Tls(
            client or client_settings(),
            is_client=True,
            rng=rng,
            now=now,
            version=version,
            parameters=client_parameters.encode(),
            ticket=ticket,
        ),
        Tls(
            server or server_settings(),
            is_client=False,
            rng=rng,
            now=now,
            version=version,
            parameters_for=lambda _: parameters,
        ),
    )


def ticket_of(settings: TlsSettings, **changes: object) -> Ticket:
    """A ticket of a first connection to a server with these settings."""
    first = ends(server=settings, **changes).run()  # type: ignore[arg-type]
    ticket = first.client.poll_ticket()
    assert ticket is not None
    return ticket


def keeper(**options: object) -> TicketKeeper:
    return TicketKeeper(bytes(16), **options)  # type: ignore[arg-type]
