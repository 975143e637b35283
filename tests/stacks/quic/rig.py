"""Two QUIC endpoints on a simulated network, with everything a test may want to turn."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import replace
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from stacks.quic.configuration import Configuration
from stacks.quic.connection import Connection
from stacks.quic.endpoint import Endpoint
from stacks.quic.events import Event
from transports.simulation import Impairments, Network, Simulation

CLIENT, SERVER = ("10.0.0.1", 50_000), ("10.0.0.2", 4433)
MILLISECOND_NS, SECOND_NS = 1_000_000, 1_000_000_000
EPOCH_NS = 1_767_225_600 * SECOND_NS
"""2026-01-01, when certificates and tickets are judged in virtual time."""


@cache
def certificate() -> tuple[bytes, bytes]:
    """A self-signed Ed25519 certificate for bm.test and its key, PEM."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bm.test")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("bm.test")]), critical=False)
        .sign(key, None)
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return built.public_bytes(serialization.Encoding.PEM), pem


def server_configuration(**changes: object) -> Configuration:
    chain, key = certificate()
    base = Configuration(alpn=("test",), certificate_chain=chain, private_key=key, unix_epoch_ns=EPOCH_NS)
    return replace(base, **changes)  # type: ignore[arg-type]


def client_configuration(**changes: object) -> Configuration:
    trusted = certificate()[0]
    base = Configuration(alpn=("test",), server_name="bm.test", trusted_certificates=trusted, unix_epoch_ns=EPOCH_NS)
    return replace(base, **changes)  # type: ignore[arg-type]


class Rig:
    """A client's and a server's endpoint, `delay_ns` apart each way."""

    def __init__(
        self,
        *,
        seed: int = 1,
        impairments: Impairments | None = None,
        client: Configuration | None = None,
        server: Configuration | None = None,
        tracer: object = None,
    ) -> None:
        self.seed = seed
        self.server_configuration = server or server_configuration()
        self.simulation = Simulation(seed)
        self.network = Network(self.simulation, impairments or Impairments(delay_ns=10 * MILLISECOND_NS))
        self.client_configuration = client or client_configuration()
        self.client = Endpoint(CLIENT, rng=random.Random(seed), tracer=tracer)  # type: ignore[arg-type]
        self.server = Endpoint(
            SERVER,
            rng=random.Random(seed + 1),
            server=self.server_configuration,
            tracer=tracer,  # type: ignore[arg-type]
        )
        self.client_host = self.network.attach(self.client, CLIENT)
        self.server_host = self.network.attach(self.server, SERVER)

    @property
    def now(self) -> int:
        return self.simulation.now

    def connect(self, configuration: Configuration | None = None, **options: object) -> Connection:
        connection = self.client.connect(
            SERVER, configuration or self.client_configuration, self.now, **options  # type: ignore[arg-type]
        )
        self.client_host.wake()
        return connection

    def restart_server(self, *, reset_key: bytes) -> None:
        """Another process at the server's address, which knows nothing but the key of its resets."""
        self.server = Endpoint(
            SERVER, rng=random.Random(self.seed + 2), server=self.server_configuration, reset_key=reset_key
        )
        self.server_host = self.network.attach(self.server, SERVER)

    def run(self, for_ns: int = 10 * SECOND_NS) -> None:
        self.simulation.run(until_ns=self.now + for_ns)

    def establish(self) -> tuple[Connection, Connection]:
        """Both ends of a connection whose handshake is over."""
        client = self.connect()
        self.run(2 * SECOND_NS)
        server = self.server.poll_accepted()
        assert server is not None
        return client, server


def events_of(connection: Connection) -> list[Event]:
    events = []
    while (event := connection.poll_event()) is not None:
        events.append(event)
    return events
