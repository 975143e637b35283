"""aioquic's TLS 1.3 context behind a seam: the one file that knows `aioquic.tls`.

tests/stacks/quic/tls/test_aioquic.py lists by name all that is used of it.

One whole handshake message goes in at a time, and its consequences come out: bytes for each level, secrets, the peer's
extensions. What the library would take from the clock or the system's randomness is replaced here, without touching
its module globals, by what it lets a user set:

* `client_random` and `server_random` are attributes, overwritten before they are used;
* the X25519 key is an attribute too, behind a property of a subclass here, and so drawn from a seeded generator;
* tickets are issued by us and not by it, and one that is offered says itself whether it is valid and how old it is;
* certificates are verified by us (`verification.py`) and not by it.

With a seeded generator, an Ed25519 certificate and X25519, which is then the only group, a handshake is the same byte
for byte. With `random.SystemRandom` secp256r1 is offered as well, whose key share is the library's own.
HelloRetryRequest does not exist in the library, so a server that asks for another group is told as a clear error.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from aioquic import tls
from aioquic.buffer import Buffer, BufferReadError
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from stacks.quic.errors import CRYPTO_ERROR, QuicError
from stacks.quic.levels import LEVEL_HANDSHAKE, LEVEL_INITIAL, LEVEL_ONE_RTT, LEVEL_ZERO_RTT
from stacks.quic.randomness import random_bytes
from stacks.quic.tls.certificates import Identity
from stacks.runtime.errors import LocalError


@dataclass(frozen=True, slots=True)
class Secret:
    """A traffic secret (RFC 9001 5.1). suite: RFC 8446 B.4."""

    level: int
    is_sending: bool
    suite: int
    secret: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What resumption needs of an earlier connection (RFC 8446 4.6.1).

    identity: the ticket as the server issued it. secret: the PSK. obfuscated_age: modulo 2^32, of a client's offer.
    """

    identity: bytes
    suite: int
    secret: bytes
    obfuscated_age: int = 0
    has_early_data: bool = False


@dataclass(frozen=True, slots=True)
class Hello:
    """What the core judges of a ClientHello. ticket_ages: obfuscated, one for each offered identity."""

    legacy_session_id: bytes
    server_name: str
    is_resumable: bool
    ticket_ages: tuple[int, ...]
    extension_types: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NewTicket:
    """A NewSessionTicket (RFC 8446 4.6.1). lifetime_seconds as sent. early_data_size: None without the extension."""

    lifetime_seconds: int
    age_add: int
    nonce: bytes
    identity: bytes
    early_data_size: int | None


class Resumption:
    """The resumption master secret of a handshake, from which each ticket's PSK follows (RFC 8446 4.6.1, 7.1)."""

    __slots__ = ("_schedule", "_secret", "suite")

    def __init__(self, schedule: tls.KeySchedule) -> None:
        self._schedule = schedule.algorithm
        self._secret = schedule.derive_secret(b"res master")
        self.suite = int(schedule.cipher_suite)

    def session_secret(self, nonce: bytes) -> bytes:
        """The PSK of the ticket with this nonce."""
        return tls.hkdf_expand_label(self._schedule, self._secret, b"resumption", nonce, self._schedule.digest_size)


class Handshake:
    """One TLS handshake in aioquic; `outputs` and `secrets` grow as messages go in.

    on_extensions: called when ALPN is chosen and the peer's extensions are in `peer_extensions`, before a server's own
    are written from `own_extensions`. find_session, may_accept_early_data: a server's policy, asked in this order, both
    after on_extensions. All three may raise QuicError.
    """

    def __init__(
        self,
        *,
        is_client: bool,
        rng: random.Random,
        alpn: Sequence[str],
        suites: Sequence[int] = (),
        server_name: str = "",
        identity: Identity | None = None,
        on_extensions: Callable[[], None],
        find_session: Callable[[bytes], Session | None] | None = None,
        may_accept_early_data: Callable[[], bool] | None = None,
    ) -> None:
        self.secrets: list[Secret] = []
        self.outputs: list[tuple[int, bytes]] = []
        self._may_accept_early_data = may_accept_early_data
        self._find_session = find_session
        self._on_extensions = on_extensions
        self._rng = rng
        self._is_client = is_client
        self._room_bytes = ROOM_BYTES + (identity.size_bytes if identity is not None else 0)
        context = self._context = _Context(
            rng,
            is_client=is_client,
            alpn_protocols=list(alpn),
            cipher_suites=[tls.CipherSuite(number) for number in suites or DEFAULT_SUITES],
            server_name=server_name or None,
            verify_mode=ssl.CERT_NONE,
        )
        context.alpn_cb = self._negotiated
        context.update_traffic_key_cb = self._secret_made
        if is_client:
            context.client_random = random_bytes(rng, 32)
            context.new_session_ticket_cb = (
                _ignore_ticket  # set at all: that resumption is spoken goes into the ClientHello
            )
        else:
            context.get_session_ticket_cb = self._session_offered
        if identity is not None:
            context.certificate = identity.certificate
            context.certificate_chain = list(identity.chain)
            context.certificate_private_key = identity.private_key

    @property
    def own_extensions(self) -> list[tuple[int, bytes]]:
        """Of ClientHello or EncryptedExtensions, beyond TLS's own."""
        return self._context.handshake_extensions

    @own_extensions.setter
    def own_extensions(self, extensions: list[tuple[int, bytes]]) -> None:
        self._context.handshake_extensions = extensions

    @property
    def peer_extensions(self) -> list[tuple[int, bytes]]:
        """The peer's, beyond TLS's own; empty before they are known."""
        return self._context.received_extensions or []

    @property
    def alpn(self) -> str:
        """The chosen protocol, empty before."""
        return self._context.alpn_negotiated or ""

    @property
    def is_resumed(self) -> bool:
        """Whether a ticket was used."""
        return self._context.session_resumed

    @property
    def is_early_data_accepted(self) -> bool:
        """Whether the server takes 0-RTT."""
        return self._context.early_data_accepted

    @property
    def is_complete(self) -> bool:
        """Whether both Finished are through."""
        return self._context.state in _DONE

    @property
    def client_random(self) -> bytes:
        """Of the ClientHello: names the connection in a key log."""
        return self._context.client_random or b""

    @property
    def peer_chain(self) -> list[x509.Certificate]:
        """The peer's certificates, its own first; empty before, and after resumption."""
        leaf = self._context._peer_certificate  # noqa: SLF001 - no public name for it
        return [] if leaf is None else [leaf, *self._context._peer_certificate_chain]  # noqa: SLF001

    def resumption(self) -> Resumption:
        """After completion: what tickets are made of; the handshake itself may then be dropped."""
        schedule = self._context.key_schedule
        assert schedule is not None
        return Resumption(schedule)

    def offer(self, session: Session) -> None:
        """A client's ticket, before `start`."""
        self._context.session_ticket = _ticket(session)
        self._room_bytes += len(session.identity)

    def start(self) -> None:
        """A client's first flight."""
        self.feed(b"")

    def feed(self, message: bytes) -> None:
        """One whole handshake message, header and all; QuicError where it is wrong."""
        buffers = {epoch: Buffer(capacity=self._room_bytes) for epoch in _EPOCHS}
        try:
            self._context.handle_message(message, buffers)
        except tls.Alert as alert:
            raise alert_error(alert.description, str(alert)) from alert
        except _LEAKS as error:
            # What the library lets through on bytes that it did not foresee.
            raise alert_error(tls.AlertDescription.decode_error, "a TLS message that cannot be understood") from error
        for epoch, level in _EPOCHS.items():
            if data := buffers[epoch].data:
                self.outputs.append((level, data))

    def _negotiated(self, _: str) -> None:
        if not self._is_client:
            self._context.server_random = random_bytes(self._rng, 32)
        self._on_extensions()

    def _session_offered(self, identity: bytes) -> tls.SessionTicket | None:
        session = self._find_session(identity) if self._find_session else None
        return None if session is None else _ticket(session)

    def _secret_made(self, direction: tls.Direction, epoch: tls.Epoch, suite: tls.CipherSuite, secret: bytes) -> None:
        if epoch is tls.Epoch.ZERO_RTT and not self._is_client:
            # The library accepts whenever the ticket fits; EncryptedExtensions are written from this after we return.
            if self._may_accept_early_data is None or not self._may_accept_early_data():
                self._context.early_data_accepted = False
                return
        self.secrets.append(Secret(_LEVELS[epoch], direction is tls.Direction.ENCRYPT, int(suite), secret))


def read_client_hello(message: bytes) -> Hello:
    """What is ours to judge in a ClientHello, before `Handshake.feed`; QuicError where it cannot be decoded."""
    hello = _parse(tls.pull_client_hello, message)
    modes, offered = hello.psk_key_exchange_modes or [], hello.pre_shared_key
    return Hello(
        legacy_session_id=hello.legacy_session_id,
        server_name=hello.server_name or "",
        is_resumable=tls.PskKeyExchangeMode.PSK_DHE_KE in modes,
        ticket_ages=tuple(age for _, age in offered.identities) if offered else (),
        extension_types=tuple(number for number, _ in hello.other_extensions),
    )


def read_new_ticket(message: bytes) -> NewTicket:
    """A NewSessionTicket message; QuicError where it cannot be decoded."""
    ticket = _parse(tls.pull_new_session_ticket, message)
    return NewTicket(
        lifetime_seconds=ticket.ticket_lifetime,
        age_add=ticket.ticket_age_add,
        nonce=ticket.ticket_nonce,
        identity=ticket.ticket,
        early_data_size=ticket.max_early_data_size,
    )


def encode_new_ticket(ticket: NewTicket) -> bytes:
    """The message of a ticket that we issue."""
    buffer = Buffer(capacity=len(ticket.identity) + len(ticket.nonce) + 64)
    message = tls.NewSessionTicket(
        ticket_lifetime=ticket.lifetime_seconds,
        ticket_age_add=ticket.age_add,
        ticket_nonce=ticket.nonce,
        ticket=ticket.identity,
        max_early_data_size=ticket.early_data_size,
    )
    tls.push_new_session_ticket(buffer, message)
    return buffer.data


def alert_error(description: int, reason: str) -> QuicError:
    """The connection error of a TLS alert (RFC 9001 4.8). reason: empty for the alert's own name."""
    return QuicError(CRYPTO_ERROR + description, reason or tls.AlertDescription(description).name.replace("_", " "))


def check_suites(numbers: Sequence[int]) -> None:
    """LocalError where a cipher suite is not one that the library has."""
    for number in numbers:
        if number not in DEFAULT_SUITES:
            raise LocalError(f"cipher suite {number:#06x} is not one of TLS 1.3 for QUIC: 0x1301, 0x1302 or 0x1303")


class _Context(tls.Context):
    """The library's context, with X25519 keys from a seeded generator."""

    def __init__(
        self,
        rng: random.Random,
        *,
        is_client: bool,
        alpn_protocols: list[str],
        cipher_suites: list[tls.CipherSuite],
        server_name: str | None,
        verify_mode: int,
    ) -> None:
        self._seeded = None if isinstance(rng, random.SystemRandom) else rng
        self._x25519: X25519PrivateKey | None = None
        super().__init__(
            is_client,
            alpn_protocols=alpn_protocols,
            cipher_suites=cipher_suites,
            server_name=server_name,
            verify_mode=verify_mode,
        )
        # The first in the client's list is what most servers take; four key shares, as the library has it, cost more
        # than all else of a handshake.
        self._supported_groups = [tls.Group.X25519] if self._seeded else [tls.Group.X25519, tls.Group.SECP256R1]

    @property
    def _x25519_private_key(self) -> X25519PrivateKey | None:
        return self._x25519

    @_x25519_private_key.setter
    def _x25519_private_key(self, key: X25519PrivateKey | None) -> None:
        if key is not None and self._seeded is not None:
            key = X25519PrivateKey.from_private_bytes(random_bytes(self._seeded, 32))
        self._x25519 = key


class _OwnTicket(tls.SessionTicket):
    """A ticket whose dates were judged before it got here."""

    own_age = 0

    @property
    def is_valid(self) -> bool:
        return True

    @property
    def obfuscated_age(self) -> int:
        return self.own_age


def _ticket(session: Session) -> tls.SessionTicket:
    ticket = _OwnTicket(
        age_add=0,
        cipher_suite=tls.CipherSuite(session.suite),
        not_valid_after=_ANY_TIME,
        not_valid_before=_ANY_TIME,
        resumption_secret=session.secret,
        server_name="",
        ticket=session.identity,
        max_early_data_size=EARLY_DATA_SIZE if session.has_early_data else None,
    )
    ticket.own_age = session.obfuscated_age
    return ticket


def _parse(pull: Callable[[Buffer], T], message: bytes) -> T:
    buffer = Buffer(data=message)
    try:
        value = pull(buffer)
    except tls.Alert as alert:
        raise alert_error(alert.description, str(alert)) from alert
    except _LEAKS as error:
        raise alert_error(tls.AlertDescription.decode_error, "a TLS message that cannot be understood") from error
    return value


def _ignore_ticket(_: tls.SessionTicket) -> None:
    raise AssertionError("tickets are read by us")


T = TypeVar("T")
ROOM_BYTES = 4096
EARLY_DATA_SIZE = 0xFFFFFFFF
DEFAULT_SUITES = (0x1301, 0x1302, 0x1303)
_EPOCHS = {
    tls.Epoch.INITIAL: LEVEL_INITIAL,
    tls.Epoch.HANDSHAKE: LEVEL_HANDSHAKE,
    tls.Epoch.ONE_RTT: LEVEL_ONE_RTT,
}
_LEVELS = {**_EPOCHS, tls.Epoch.ZERO_RTT: LEVEL_ZERO_RTT}
_DONE = (tls.State.CLIENT_POST_HANDSHAKE, tls.State.SERVER_POST_HANDSHAKE)
_LEAKS = (BufferReadError, ValueError, KeyError, IndexError, TypeError, AssertionError, UnsupportedAlgorithm)
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
