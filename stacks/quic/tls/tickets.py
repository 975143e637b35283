"""Session tickets: what a client keeps, and what a server seals into its own (RFC 8446 4.6.1, RFC 9001 4.6).

A server keeps nothing for each ticket: all that it must know again is inside, encrypted under a key of the endpoint.
Only 0-RTT needs memory, against replay: `replay.StrikeRegister`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stacks.quic.randomness import random_bytes
from stacks.quic.tls.fields import join_fields, split_fields
from stacks.quic.tls.replay import StrikeRegister
from stacks.runtime.errors import LocalError
from wire.errors import WireError
from wire.quic.parameters import TransportParameters

MAGIC = b"baremetal quic ticket 2\n"
NONCE_BYTES = 12
DAY_NS = 86_400_000_000_000
MAX_LIFETIME_NS = 7 * DAY_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a client needs to resume, for one server name and one QUIC version only (RFC 9369 5).

    version: of QUIC, as negotiated. alpn: of that connection: early data is for it. secret: the PSK. identity: what the
    server recognises. issued_unix_ns, lifetime_ns: when it came, and for how long it is good. parameters: the server's
    transport parameters that a client remembers, encoded (RFC 9000 7.4.1). has_early_data: whether 0-RTT is offered.
    is_verified: whether the server's certificate was verified when the session began; else the ticket is only for
    clients that do not verify, since resumption shows no certificate.
    """

    version: int
    alpn: str
    server_name: str
    suite: int
    secret: bytes
    identity: bytes
    age_add: int
    issued_unix_ns: int
    lifetime_ns: int
    parameters: bytes
    has_early_data: bool
    is_verified: bool = False

    def to_bytes(self) -> bytes:
        """For a file; it holds a secret. At most about 64 KiB."""
        return MAGIC + join_fields(
            [
                self.version.to_bytes(4, "big"),
                self.alpn.encode(),
                self.server_name.encode(),
                self.suite.to_bytes(2, "big"),
                self.secret,
                self.identity,
                self.age_add.to_bytes(4, "big"),
                self.issued_unix_ns.to_bytes(8, "big"),
                self.lifetime_ns.to_bytes(8, "big"),
                self.parameters,
                bytes([self.has_early_data, self.is_verified]),
            ]
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Ticket:
        """The reverse; LocalError where the data is not a ticket of this format."""
        fields = split_fields(data[len(MAGIC) :], 11) if data.startswith(MAGIC) else None
        if fields is None or len(fields[10]) != 2:
            raise LocalError("not a session ticket, or a damaged one")
        number = [int.from_bytes(field, "big") for field in fields]
        try:
            alpn, server_name = fields[1].decode(), fields[2].decode()
        except UnicodeDecodeError:
            raise LocalError("not a session ticket, or a damaged one") from None
        return cls(
            version=number[0],
            alpn=alpn,
            server_name=server_name,
            suite=number[3],
            secret=fields[4],
            identity=fields[5],
            age_add=number[6],
            issued_unix_ns=number[7],
            lifetime_ns=number[8],
            parameters=fields[9],
            has_early_data=bool(fields[10][0]),
            is_verified=bool(fields[10][1]),
        )

    @property
    def peer_parameters(self) -> TransportParameters:
        """The server's, as far as they are remembered; LocalError where the ticket is damaged."""
        try:
            return TransportParameters.decode(self.parameters)
        except WireError as error:
            raise LocalError("not a session ticket, or a damaged one") from error

    def obfuscated_age(self, unix_ns: int) -> int:
        """In milliseconds, modulo 2^32 (RFC 8446 4.2.11.1)."""
        return ((unix_ns - self.issued_unix_ns) // 1_000_000 + self.age_add) % (1 << 32)

    def is_current(self, unix_ns: int) -> bool:
        """Whether it may still be offered."""
        return self.issued_unix_ns <= unix_ns < self.issued_unix_ns + self.lifetime_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSession:
    """What is inside a server's ticket. parameters: its own, encoded, as the client will remember them."""

    version: int
    alpn: str
    server_name: str
    suite: int
    secret: bytes
    age_add: int
    issued_unix_ns: int
    parameters: bytes
    has_early_data: bool


class TicketKeeper:
    """Issues and recognises a server's tickets.

    key: 16 or 32 bytes; whoever has it can open the tickets of this endpoint, so new ones should be drawn now and then.
    lifetime_ns: of a ticket, at most seven days. started_unix_ns: since when this process remembers what it accepted: a
    key that outlives a restart makes 0-RTT wait until no older attempt can still be fresh (RFC 8446 8.2).
    """

    def __init__(
        self,
        key: bytes,
        *,
        lifetime_ns: int = DAY_NS,
        strikes: StrikeRegister | None = None,
        started_unix_ns: int | None = None,
    ) -> None:
        if not 0 < lifetime_ns <= MAX_LIFETIME_NS:
            raise LocalError("a ticket lives at most seven days (RFC 8446 4.6.1)")
        self.lifetime_ns = lifetime_ns
        self.strikes = strikes or StrikeRegister(started_unix_ns=started_unix_ns)
        self._aead = AESGCM(key)

    def seal(self, session: SealedSession, rng: random.Random) -> bytes:
        """The ticket that is sent."""
        nonce = random_bytes(rng, NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, _encode(session), MAGIC)

    def open(self, identity: bytes, *, unix_ns: int) -> SealedSession | None:
        """What was sealed; None where it is not ours, damaged, or expired."""
        try:
            plain = self._aead.decrypt(identity[:NONCE_BYTES], identity[NONCE_BYTES:], MAGIC)
        except (InvalidTag, ValueError):
            return None
        session = _decode(plain)
        if session is None or not 0 <= unix_ns - session.issued_unix_ns < self.lifetime_ns:
            return None
        return session


def _encode(session: SealedSession) -> bytes:
    return join_fields(
        [
            session.version.to_bytes(4, "big"),
            session.alpn.encode(),
            session.server_name.encode(),
            session.suite.to_bytes(2, "big"),
            session.secret,
            session.age_add.to_bytes(4, "big"),
            session.issued_unix_ns.to_bytes(8, "big"),
            session.parameters,
            bytes([session.has_early_data]),
        ]
    )


def _decode(plain: bytes) -> SealedSession | None:
    fields = split_fields(plain, 9)
    if fields is None:
        return None
    return SealedSession(
        version=int.from_bytes(fields[0], "big"),
        alpn=fields[1].decode(),
        server_name=fields[2].decode(),
        suite=int.from_bytes(fields[3], "big"),
        secret=fields[4],
        age_add=int.from_bytes(fields[5], "big"),
        issued_unix_ns=int.from_bytes(fields[6], "big"),
        parameters=fields[7],
        has_early_data=bool(fields[8][0]),
    )
