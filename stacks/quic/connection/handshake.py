"""TLS and the connection: CRYPTO bytes in and out, secrets into keys, parameters into the concerns (RFC 9001 4).

    CRYPTO frames -> CryptoReceiver -> Tls.handle_crypto -> secrets, CRYPTO bytes, the peer's parameters, completion

The keys of a space go when nothing needs them any more: Initial keys at a client when it first sends a Handshake packet
and at a server when it first receives one (4.9.1), Handshake keys when the handshake is confirmed (4.9.2).
"""

from __future__ import annotations

from collections.abc import Callable

from stacks.quic.connection.parts import Parts
from stacks.quic.connection.states import ConnectionEvent
from stacks.quic.events import HandshakeCompleted, HandshakeConfirmed, TicketReceived
from stacks.quic.keys import SUITES, OneRttKeys, Opener, Sealer, initial_keys
from stacks.quic.levels import (
    LEVEL_INITIAL,
    LEVEL_ONE_RTT,
    LEVEL_ZERO_RTT,
    SPACE_APPLICATION,
    SPACE_HANDSHAKE,
    SPACE_INITIAL,
    SPACE_OF_LEVEL,
)
from stacks.quic.tls import Secret, Tls
from wire.quic.frames import HandshakeDone, NewToken
from wire.quic.parameters import TransportParameters


class Handshake:
    """Drives one TLS context.

    are_parameters_known: the peer's. has_new_keys: packets that came too early may be opened now.
    check: of the server's parameters, at a client. new_token: makes what NEW_TOKEN carries, at a server.
    suite_name: of the cipher that was agreed on.
    Initial packets are opened in any version that is spoken: a server that changes it still gets some of the first one
    (RFC 9369 4.1).
    """

    __slots__ = (
        "_initial_cid", "_openers", "_parts", "_tickets", "are_parameters_known", "check", "has_new_keys", "new_token",
        "suite_name", "tls",
    )  # fmt: skip

    def __init__(self, parts: Parts, tls: Tls) -> None:
        self.tls = tls
        self._openers: dict[int, Opener] = {}
        self._initial_cid = b""
        self.are_parameters_known = False
        self.has_new_keys = False
        self.check: Callable[[TransportParameters], None] | None = None
        self.new_token: Callable[[int], bytes] | None = None
        self._tickets = 0
        self.suite_name = ""
        self._parts = parts

    def derive_initial_keys(self, destination_cid: bytes, now: int) -> None:
        """Initial keys from the client's Destination Connection ID (RFC 9001 5.2)."""
        if self._parts.tracer is not None:
            for is_sending in (True, False):
                self._parts.tracer.key_updated(now, LEVEL_INITIAL, is_sending=is_sending)
        self._initial_cid = destination_cid
        self._openers.clear()
        self._derive()

    def change_version(self, version: int) -> None:
        """Go on in another version (RFC 9369 4.1): what comes in the former one can still be opened."""
        self._parts.version = self.tls.version = version
        self._derive()

    def initial_opener(self, version: int) -> Opener | None:
        """Of Initial packets of `version`; None when the keys are gone."""
        parts, opener = self._parts, self._openers.get(version)
        if opener is None and parts.spaces[SPACE_INITIAL].is_open and version in parts.configuration.versions:
            _, opener = initial_keys(version, self._initial_cid, is_client=parts.is_client)
            self._openers[version] = opener
        return opener

    def _derive(self) -> None:
        parts = self._parts
        sealer, opener = initial_keys(parts.version, self._initial_cid, is_client=parts.is_client)
        parts.spaces[SPACE_INITIAL].sealer = sealer
        self._openers[parts.version] = opener

    def start(self, now: int) -> None:
        """A client's first flight."""
        self.tls.start()
        self._drain(now)

    def handle_crypto(self, level: int, offset: int, data: memoryview, now: int) -> None:
        """A CRYPTO frame of `level` came; QuicError where TLS says so."""
        crypto = self._parts.spaces[SPACE_OF_LEVEL[level]].crypto_in
        crypto.handle(offset, data)
        ready = crypto.take()
        if ready:
            self.tls.handle_crypto(level, ready, now)
            self._drain(now)

    def handle_done(self, now: int) -> None:
        """HANDSHAKE_DONE came (4.1.2)."""
        self._confirm(now)

    def first_handshake_packet(self, now: int) -> None:
        """A client sends, or a server receives, its first Handshake packet (4.9.1)."""
        self._parts.discard_space(SPACE_INITIAL, now)
        self._openers.clear()

    def _drain(self, now: int) -> None:
        """Take all that TLS has."""
        parts, tls = self._parts, self.tls
        if not self.are_parameters_known and tls.peer_parameters is not None:
            self.are_parameters_known = True
            self._apply_parameters(tls.peer_parameters, now)
        while (secret := tls.poll_secret()) is not None:
            self._install(secret, now)
        while (output := tls.poll_crypto()) is not None:
            level, data = output
            parts.spaces[SPACE_OF_LEVEL[level]].crypto_out.write(data)
        while (ticket := tls.poll_ticket()) is not None:
            if self._tickets < MAX_TICKETS:
                self._tickets += 1
                parts.events.append(TicketReceived(ticket.to_bytes()))
        if tls.is_complete and parts.apply(ConnectionEvent.TLS_DONE):
            self._complete(now)

    def _install(self, secret: Secret, now: int) -> None:
        parts, suite = self._parts, SUITES[secret.suite]
        self.has_new_keys = True
        self.suite_name = suite.name
        if parts.tracer is not None:
            parts.tracer.key_updated(now, secret.level, is_sending=secret.is_sending)
        if secret.level == LEVEL_ONE_RTT:
            self._install_one_rtt(secret)
        elif secret.is_sending:
            sealer = Sealer(suite, secret.secret, parts.version)
            if secret.level == LEVEL_ZERO_RTT:
                parts.early_sealer = sealer
            else:
                parts.spaces[SPACE_HANDSHAKE].sealer = sealer
                parts.recovery.timer.has_handshake_keys = True
        else:
            opener = Opener(suite, secret.secret, parts.version)
            if secret.level == LEVEL_ZERO_RTT:
                parts.early_opener = opener
            else:
                parts.spaces[SPACE_HANDSHAKE].opener = opener

    def _install_one_rtt(self, secret: Secret) -> None:
        parts = self._parts
        if parts.one_rtt is None:
            parts.one_rtt = OneRttKeys(parts.version, update_after=parts.configuration.key_update_packets)
        parts.one_rtt.install(SUITES[secret.suite], secret.secret, is_sending=secret.is_sending)

    def _complete(self, now: int) -> None:
        parts, tls = self._parts, self.tls
        parts.events.append(HandshakeCompleted(tls.alpn, tls.is_resumed, tls.is_early_data_accepted))
        assert parts.one_rtt is not None
        parts.one_rtt.is_handshake_complete = True
        self.has_new_keys = True
        parts.local_ids.issue()
        if parts.is_client:
            if parts.early_sealer is not None and not tls.is_early_data_accepted:
                parts.streams.early_data_rejected()
                parts.recovery.early_data_rejected(now)
            self._forget_early(parts.early_sealer is not None, now)
            parts.early_sealer = None
            return
        parts.early_until_ns = now + 3 * parts.recovery.pto_ns()
        parts.control.say("handshake_done", HandshakeDone().encode())
        if self.new_token is not None:
            parts.control.say("new_token", NewToken(self.new_token(now)).encode())
        self._confirm(now)

    def _forget_early(self, had_keys: bool, now: int) -> None:
        if had_keys and self._parts.tracer is not None:
            self._parts.tracer.key_discarded(now, LEVEL_ZERO_RTT)

    def _confirm(self, now: int) -> None:
        parts = self._parts
        if not parts.apply(ConnectionEvent.CONFIRM):
            return
        assert parts.one_rtt is not None
        parts.one_rtt.is_confirmed = True
        parts.recovery.handshake_confirmed(now)
        self.first_handshake_packet(now)  # long since, unless all of ours got lost
        parts.discard_space(SPACE_HANDSHAKE, now)
        parts.paths.handshake_confirmed(now)
        parts.events.append(HandshakeConfirmed())

    def _apply_parameters(self, peer: TransportParameters, now: int) -> None:
        parts = self._parts
        if self.check is not None:
            self.check(peer)
        parts.streams.apply_peer_parameters(peer)
        parts.datagrams.apply_peer_parameters(peer)
        parts.recovery.apply_peer_parameters(peer)
        parts.local_ids.apply_peer_parameters(peer)
        parts.peer_ids.apply_peer_parameters(peer)
        parts.paths.apply_peer_parameters(peer, now)
        parts.is_greasing = peer.grease_quic_bit and parts.configuration.grease
        parts.peer_max_payload_bytes = peer.max_udp_payload_size
        parts.idle.agree(peer.max_idle_timeout_ms * MILLISECOND_NS)
        parts.spaces[SPACE_APPLICATION].received.apply_peer_parameters(peer)
        if parts.tracer is not None:
            if parts.own_parameters is not None and not parts.is_client:
                parts.tracer.parameters_set(now, is_local=True, parameters=parts.own_parameters)
            parts.tracer.parameters_set(now, is_local=False, parameters=peer)


MILLISECOND_NS = 1_000_000
MAX_TICKETS = 16
"""Of one connection: a client resumes with one, and nobody remembers all."""
