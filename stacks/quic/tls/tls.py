"""The TLS handshake of one connection: CRYPTO data in, CRYPTO data, secrets and tickets out (RFC 9001 4)."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.levels import LEVEL_ONE_RTT
from stacks.quic.tls.context import Handshake, Resumption, Secret, Session, alert_error, read_client_hello
from stacks.quic.tls.key_log import key_log_line
from stacks.quic.tls.messages import (
    LAST_OF_LEVEL,
    MESSAGE_CERTIFICATE_REQUEST,
    MESSAGE_CERTIFICATE_VERIFY,
    MESSAGE_CLIENT_HELLO,
    MESSAGE_KEY_UPDATE,
    MESSAGE_NEW_SESSION_TICKET,
    MESSAGE_SERVER_HELLO,
    MessageReader,
)
from stacks.quic.tls.parameters import EXTENSION_PARAMETERS, read_parameters
from stacks.quic.tls.remembered import check_kept
from stacks.quic.tls.resuming import ClientTickets, ServerTickets
from stacks.quic.tls.settings import TlsSettings
from stacks.quic.tls.tickets import Ticket
from stacks.runtime.errors import LocalError
from wire.quic.parameters import TransportParameters


class Tls:
    """One end's handshake. Feed it in-order CRYPTO data, then poll until there is nothing more.

    settings: of the endpoint. rng: as everywhere. now: ns. version: of QUIC in the first flight. parameters: a client's
    own transport parameters, encoded. parameters_for: a server's, given the client's when they are known; it may raise
    QuicError and set `version` to the one that it chose. ticket: a client's, from an earlier connection; where it does
    not fit (name, version, age) the handshake is a full one.

    alpn, is_resumed, is_early_data_accepted, peer_parameters (raw: `peer_parameters_raw`), server_name are what was
    negotiated, as soon as it is known. is_early_data_offered: whether a client sends 0-RTT keys. remembered: the
    parameters to use for it.
    """

    def __init__(
        self,
        settings: TlsSettings,
        *,
        is_client: bool,
        rng: random.Random,
        now: int,
        version: int,
        parameters: bytes = b"",
        parameters_for: Callable[[TransportParameters], bytes] | None = None,
        ticket: Ticket | None = None,
    ) -> None:
        if not is_client and parameters_for is None:
            raise LocalError("a server answers with transport parameters: give parameters_for")
        self.version = version
        self.alpn = ""
        self.server_name = settings.server_name if is_client else ""
        self.is_complete = False
        self.is_resumed = False
        self.is_early_data_accepted = False
        self.is_early_data_offered = False
        self.peer_parameters: TransportParameters | None = None
        self.peer_parameters_raw = b""
        self.remembered: TransportParameters | None = None
        self._settings = settings
        self._is_client = is_client
        self._now = now
        self._parameters_for = parameters_for
        self._reader = MessageReader()
        self._outputs: deque[tuple[int, bytes]] = deque()
        self._secrets: deque[Secret] = deque()
        self._tickets: deque[Ticket] = deque()
        self._server = None if is_client else ServerTickets(settings, rng=rng, version=version)
        self._client = ClientTickets(settings, version=version) if is_client else None
        self._resumption: Resumption | None = None
        self._handshake: Handshake | None = self._new_handshake(rng)
        if is_client:
            self._handshake.own_extensions = [(EXTENSION_PARAMETERS, parameters)]
            self._offer(ticket)

    def start(self) -> None:
        """A client's first flight."""
        assert self._handshake is not None
        assert self._is_client
        self._handshake.start()
        self._collect()

    def handle_crypto(self, level: int, data: bytes | memoryview, now: int) -> None:
        """In-order CRYPTO data; QuicError, with 0x100 + alert where TLS objects, closes the connection."""
        self._now = now
        reader = self._reader
        reader.receive(level, data)
        while (message := reader.next_message()) is not None:
            self._handle_message(message)

    def poll_crypto(self) -> tuple[int, bytes] | None:
        """The next (level, bytes) for that level's CRYPTO stream."""
        return self._outputs.popleft() if self._outputs else None

    def poll_secret(self) -> Secret | None:
        """The next secret, in the order in which keys become usable."""
        return self._secrets.popleft() if self._secrets else None

    def poll_ticket(self) -> Ticket | None:
        """The next ticket that a client received."""
        return self._tickets.popleft() if self._tickets else None

    def _new_handshake(self, rng: random.Random) -> Handshake:
        settings, server = self._settings, self._server
        return Handshake(
            is_client=self._is_client,
            rng=rng,
            alpn=settings.alpn,
            suites=settings.suites,
            server_name=settings.server_name if self._is_client else "",
            identity=settings.identity,
            on_extensions=self._extensions_known,
            find_session=self._session_offered if server else None,
            may_accept_early_data=self._may_accept_early_data if server else None,
        )

    def _offer(self, ticket: Ticket | None) -> None:
        assert self._client is not None
        assert self._handshake is not None
        session = self._client.session_for(ticket, self._now) if ticket else None
        if ticket is None or session is None:
            return
        self._handshake.offer(session)
        self.is_early_data_offered = session.has_early_data
        self.remembered = ticket.peer_parameters if session.has_early_data else None

    def _handle_message(self, message: bytes) -> None:
        kind = message[0]
        if kind == MESSAGE_KEY_UPDATE:
            raise alert_error(ALERT_UNEXPECTED_MESSAGE, "TLS KeyUpdate: QUIC changes keys by itself (RFC 9001 6)")
        if self._handshake is None:
            self._handle_after_completion(kind, message)
            return
        self._check_before(kind, message)
        self._handshake.feed(message)
        self._check_after(kind)
        next_level = LAST_OF_LEVEL.get((self._is_client, kind))
        if next_level is not None:
            self._reader.change_level(next_level)
        self._collect()

    def _check_before(self, kind: int, message: bytes) -> None:
        if kind == MESSAGE_CLIENT_HELLO and not self._is_client and self._server is not None:
            hello = read_client_hello(message)
            if hello.legacy_session_id:
                raise QuicError(
                    TransportErrorCode.PROTOCOL_VIOLATION,
                    "ClientHello with a session ID (RFC 9001 8.4: no compatibility mode)",
                )
            self.server_name = hello.server_name
            self._server.hello = hello
        elif kind == MESSAGE_SERVER_HELLO and self._is_client:
            _check_server_hello(message)

    def _check_after(self, kind: int) -> None:
        """What must hold when the library has taken a message."""
        if kind == MESSAGE_CERTIFICATE_VERIFY and self._is_client and self._settings.trust is not None:
            assert self._handshake is not None
            self._settings.trust.verify(
                self._handshake.peer_chain, self._settings.server_name, unix_ns=self._settings.unix_ns(self._now)
            )

    def _extensions_known(self) -> None:
        """ALPN is chosen and the peer's extensions are there: called in the middle of its hello's handling."""
        handshake = self._handshake
        assert handshake is not None
        raws = [data for number, data in handshake.peer_extensions if number == EXTENSION_PARAMETERS]
        if not raws:
            raise alert_error(
                ALERT_MISSING_EXTENSION, "no QUIC transport parameters: the peer does not speak QUIC (RFC 9001 8.2)"
            )
        if len(raws) > 1:
            raise alert_error(ALERT_ILLEGAL_PARAMETER, "QUIC transport parameters twice")
        self.alpn = handshake.alpn
        self.peer_parameters_raw = raws[0]
        self.peer_parameters = read_parameters(raws[0])
        if self._is_client:
            self._check_acceptance(handshake)
        else:
            assert self._parameters_for is not None
            assert self._server is not None
            own = self._parameters_for(self.peer_parameters)
            self._server.parameters = own
            handshake.own_extensions = [(EXTENSION_PARAMETERS, own)]

    def _check_acceptance(self, handshake: Handshake) -> None:
        """A client's checks of what EncryptedExtensions say of 0-RTT (RFC 8446 4.2.10, RFC 9000 7.4.1)."""
        if not handshake.is_early_data_accepted:
            return
        if not self.is_early_data_offered:
            raise alert_error(ALERT_UNSUPPORTED_EXTENSION, "the server accepts early data that was not offered")
        assert self._client is not None
        if not handshake.is_resumed or self.alpn != self._client.offered_alpn:
            raise alert_error(
                ALERT_ILLEGAL_PARAMETER, "the server accepts early data in another session than its ticket's"
            )
        assert self.remembered is not None
        assert self.peer_parameters is not None
        check_kept(self.remembered, self.peer_parameters)

    def _session_offered(self, identity: bytes) -> Session | None:
        assert self._server is not None
        return self._server.session_for(identity, self.server_name, self._now)

    def _may_accept_early_data(self) -> bool:
        assert self._server is not None
        return self._server.may_accept_early_data(alpn=self.alpn, version=self.version, now=self._now)

    def _collect(self) -> None:
        """Take over what the handshake produced, and let it go when it is complete."""
        handshake = self._handshake
        assert handshake is not None
        self._outputs.extend(handshake.outputs)
        handshake.outputs.clear()
        for secret in handshake.secrets:
            self._secrets.append(secret)
            self._log(secret, handshake.client_random)
        handshake.secrets.clear()
        self.alpn = handshake.alpn
        self.is_resumed = handshake.is_resumed
        self.is_early_data_accepted = handshake.is_early_data_accepted
        if handshake.is_complete:
            self._complete(handshake)

    def _complete(self, handshake: Handshake) -> None:
        self.is_complete = True
        resumption = handshake.resumption()
        self._handshake = None  # and with it its keys, certificates and transcripts
        if self._server is None:
            self._resumption = resumption
            return
        ticket = self._server.new_ticket(resumption, alpn=self.alpn, version=self.version, now=self._now)
        if ticket is not None:
            self._outputs.append((LEVEL_ONE_RTT, ticket))
        self._server = None

    def _handle_after_completion(self, kind: int, message: bytes) -> None:
        if self._client is not None and self._resumption is not None:
            if kind == MESSAGE_NEW_SESSION_TICKET:
                self._take_ticket(message)
                return
            if kind == MESSAGE_CERTIFICATE_REQUEST:
                raise QuicError(
                    TransportErrorCode.PROTOCOL_VIOLATION, "CertificateRequest after the handshake (RFC 9001 4.4)"
                )
        raise alert_error(ALERT_UNEXPECTED_MESSAGE, f"TLS message {kind} after the handshake")

    def _take_ticket(self, message: bytes) -> None:
        assert self._client is not None
        assert self._resumption is not None
        ticket = self._client.ticket_from(
            message,
            self._resumption,
            alpn=self.alpn,
            version=self.version,
            parameters=self.peer_parameters_raw,
            now=self._now,
        )
        if ticket is not None and len(self._tickets) < TICKETS_KEPT:
            self._tickets.append(ticket)

    def _log(self, secret: Secret, client_random: bytes) -> None:
        if self._settings.key_log is not None:
            is_client = secret.is_sending == self._is_client
            self._settings.key_log(key_log_line(client_random, secret.secret, level=secret.level, is_client=is_client))


def _check_server_hello(message: bytes) -> None:
    """Before the library sees it: what it does not know, or would tell as something else (RFC 8446 4.1.3, 4.1.4)."""
    if message[6:38] == HELLO_RETRY_RANDOM:
        raise alert_error(
            ALERT_HANDSHAKE_FAILURE,
            "the server asks for another key exchange group by HelloRetryRequest, which is not spoken here "
            "(x25519 and secp256r1 are offered)",
        )
    if len(message) > 38 and message[38]:
        raise alert_error(ALERT_ILLEGAL_PARAMETER, "ServerHello with a session ID that was not offered")


ALERT_UNEXPECTED_MESSAGE, ALERT_HANDSHAKE_FAILURE, ALERT_ILLEGAL_PARAMETER = 10, 40, 47
ALERT_MISSING_EXTENSION, ALERT_UNSUPPORTED_EXTENSION = 109, 110
# SHA-256 of "HelloRetryRequest" (RFC 8446 4.1.3)
HELLO_RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
TICKETS_KEPT = 16
