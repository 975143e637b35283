"""What all TLS handshakes of an endpoint share: parsed once, not once a connection."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from stacks.quic.configuration import Configuration
from stacks.quic.randomness import random_bytes
from stacks.quic.tls.certificates import Identity, load_identity
from stacks.quic.tls.context import DEFAULT_SUITES, check_suites
from stacks.quic.tls.tickets import TicketKeeper
from stacks.quic.tls.verification import TrustStore
from stacks.runtime.errors import LocalError


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """alpn, suites: in order of preference. server_name: as a client names the server. trust: None not to verify.

    identity: own certificates; a server needs one. tickets: None for a server that issues none. unix_epoch_ns: Unix
    time when `now` was 0.
    """

    alpn: tuple[str, ...]
    suites: tuple[int, ...] = ()
    server_name: str = ""
    trust: TrustStore | None = None
    identity: Identity | None = None
    tickets: TicketKeeper | None = None
    has_early_data: bool = True
    unix_epoch_ns: int = 0
    key_log: Callable[[str], None] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, configuration: Configuration, *, is_client: bool, rng: random.Random) -> TlsSettings:
        """From a configuration; LocalError where something in it is missing or cannot be read.

        rng: draws the key of a server's tickets.
        """
        if not configuration.alpn:
            raise LocalError("no application protocol: QUIC needs ALPN (RFC 9001 8.1), for example h3")
        check_suites(configuration.cipher_suites)
        is_named = bool(configuration.certificate_chain or configuration.private_key)
        if not is_client and not is_named:
            raise LocalError("a server needs a certificate and its private key")
        is_verifying = is_client and configuration.is_verifying
        if is_verifying and not configuration.server_name:
            raise LocalError("no server name to verify the certificate against")
        return cls(
            alpn=configuration.alpn,
            suites=configuration.cipher_suites or DEFAULT_SUITES,
            server_name=_ascii_name(configuration.server_name),
            trust=TrustStore(configuration.trusted_certificates) if is_verifying else None,
            identity=load_identity(configuration.certificate_chain, configuration.private_key) if is_named else None,
            tickets=None if is_client else TicketKeeper(random_bytes(rng, 16)),
            has_early_data=configuration.has_early_data,
            unix_epoch_ns=configuration.unix_epoch_ns,
            key_log=configuration.key_log,
        )

    def unix_ns(self, now: int) -> int:
        """Unix time at `now`."""
        return self.unix_epoch_ns + now


def _ascii_name(name: str) -> str:
    """A server's name as certificates and SNI have it (RFC 5890); LocalError where it is no name."""
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        raise LocalError(f"not a name of a server: {name}") from None
