"""Resumption and 0-RTT: which ticket is offered, which is taken, and whether early data is (RFC 9001 4.5, 4.6)."""

from __future__ import annotations

import random

from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.randomness import random_bytes
from stacks.quic.tls.context import (
    EARLY_DATA_SIZE,
    Hello,
    NewTicket,
    Resumption,
    Session,
    encode_new_ticket,
    read_new_ticket,
)
from stacks.quic.tls.parameters import read_parameters
from stacks.quic.tls.remembered import encode_remembered, first_reduced
from stacks.quic.tls.settings import TlsSettings
from stacks.quic.tls.tickets import MAX_LIFETIME_NS, SealedSession, Ticket


class ClientTickets:
    """A client's side. version: of the first flight."""

    def __init__(self, settings: TlsSettings, *, version: int) -> None:
        self._settings = settings
        self._version = version
        self.offered_alpn = ""

    def session_for(self, ticket: Ticket, now: int) -> Session | None:
        """What to offer of `ticket`; None where it does not fit this connection."""
        settings, unix_ns = self._settings, self._settings.unix_ns(now)
        if (
            ticket.version != self._version
            or ticket.server_name != settings.server_name
            or ticket.alpn not in settings.alpn
            or ticket.suite not in settings.suites
            or not ticket.is_current(unix_ns)
            or (settings.trust is not None and not ticket.is_verified)
        ):
            return None
        self.offered_alpn = ticket.alpn
        return Session(
            identity=ticket.identity,
            suite=ticket.suite,
            secret=ticket.secret,
            obfuscated_age=ticket.obfuscated_age(unix_ns),
            has_early_data=ticket.has_early_data and settings.has_early_data,
        )

    def ticket_from(
        self, message: bytes, resumption: Resumption, *, alpn: str, version: int, parameters: bytes, now: int
    ) -> Ticket | None:
        """A NewSessionTicket as a ticket to keep; None for one that must not be kept. QuicError where it is wrong."""
        new = read_new_ticket(message)
        if new.early_data_size not in (None, EARLY_DATA_SIZE):
            raise QuicError(
                TransportErrorCode.PROTOCOL_VIOLATION,
                f"a ticket for {new.early_data_size} bytes of early data, neither 2^32-1 nor none (RFC 9001 4.6.1)",
            )
        if not new.lifetime_seconds or not new.identity or len(new.identity) > MAX_IDENTITY_BYTES:
            return None
        return Ticket(
            version=version,
            alpn=alpn,
            server_name=self._settings.server_name,
            suite=resumption.suite,
            secret=resumption.session_secret(new.nonce),
            identity=new.identity,
            age_add=new.age_add,
            issued_unix_ns=self._settings.unix_ns(now),
            lifetime_ns=min(new.lifetime_seconds * 1_000_000_000, MAX_LIFETIME_NS),
            parameters=encode_remembered(read_parameters(parameters)),
            has_early_data=new.early_data_size is not None,
            is_verified=self._settings.trust is not None,
        )


class ServerTickets:
    """A server's side. hello: the client's, set before it is handled. parameters: own ones, set when they are made."""

    def __init__(self, settings: TlsSettings, *, rng: random.Random, version: int) -> None:
        self.hello: Hello | None = None
        self.parameters = b""
        self._settings = settings
        self._rng = rng
        self._version = version
        self._identity = b""
        self._session: SealedSession | None = None

    def session_for(self, identity: bytes, server_name: str, now: int) -> Session | None:
        """The session of a ticket; None where it is not ours or not for this name and version."""
        keeper = self._settings.tickets
        sealed = keeper.open(identity, unix_ns=self._settings.unix_ns(now)) if keeper else None
        if sealed is None or sealed.server_name != server_name or sealed.version != self._version:
            return None
        self._session, self._identity = sealed, identity
        return Session(identity=identity, suite=sealed.suite, secret=sealed.secret)

    def may_accept_early_data(self, *, alpn: str, version: int, now: int) -> bool:
        """Whether 0-RTT is accepted with the session that was just found.

        Only where nothing that it was sent under has changed (ALPN, version, our limits), and not twice.
        """
        session, keeper, hello = self._session, self._settings.tickets, self.hello
        if session is None or keeper is None or hello is None or not hello.ticket_ages:
            return False
        if not (self._settings.has_early_data and session.has_early_data):
            return False
        if session.alpn != alpn or version != self._version:
            return False
        if first_reduced(read_parameters(session.parameters), read_parameters(self.parameters)):
            return False
        unix_ns = self._settings.unix_ns(now)
        return keeper.strikes.accept(
            self._identity,
            stated_age_ns=(hello.ticket_ages[0] - session.age_add) % (1 << 32) * 1_000_000,
            true_age_ns=unix_ns - session.issued_unix_ns,
            unix_ns=unix_ns,
        )

    def new_ticket(self, resumption: Resumption, *, alpn: str, version: int, now: int) -> bytes | None:
        """The NewSessionTicket message to send after the client's Finished; None where the client cannot use one."""
        keeper, hello = self._settings.tickets, self.hello
        if keeper is None or hello is None or not hello.is_resumable:
            return None
        age_add = int.from_bytes(random_bytes(self._rng, 4), "big")
        nonce = b""
        session = SealedSession(
            version=version,
            alpn=alpn,
            server_name=hello.server_name,
            suite=resumption.suite,
            secret=resumption.session_secret(nonce),
            age_add=age_add,
            issued_unix_ns=self._settings.unix_ns(now),
            parameters=encode_remembered(read_parameters(self.parameters)),
            has_early_data=self._settings.has_early_data,
        )
        return encode_new_ticket(
            NewTicket(
                lifetime_seconds=keeper.lifetime_ns // 1_000_000_000,
                age_add=age_add,
                nonce=nonce,
                identity=keeper.seal(session, self._rng),
                early_data_size=EARLY_DATA_SIZE if session.has_early_data else None,
            )
        )


MAX_IDENTITY_BYTES = 4096
