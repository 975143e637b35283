"""Whether a server's certificates lead from its name to a trusted one, at a given time (RFC 5280 6, RFC 9525)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime

import certifi
import service_identity
import service_identity.cryptography
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto

from stacks.quic.errors import CRYPTO_ERROR, QuicError
from stacks.quic.tls.certificates import load_certificates


class TrustStore:
    """Certificates that are trusted, each by itself or as the root of others.

    pem: of the trusted certificates, None for the public roots that come with `certifi`; LocalError where it cannot be
    read.
    """

    def __init__(self, pem: bytes | None) -> None:
        self._store = crypto.X509Store()
        # A certificate in the store is trusted even where it is not a root: what `curl --cacert LEAF` does as well.
        self._store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
        if pem is None:
            self._store.load_locations(certifi.where())
        for certificate in load_certificates(pem, what="trusted certificates") if pem is not None else ():
            self._store.add_cert(crypto.X509.from_cryptography(certificate))

    def verify(self, chain: Sequence[x509.Certificate], server_name: str, *, unix_ns: int) -> None:
        """Raise QuicError with the TLS alert (RFC 8446 6.2) where the chain, its own certificate first, is not good.

        server_name: a DNS name or an address, as the user gave it. unix_ns: now.
        """
        leaf = chain[0]
        when = datetime.fromtimestamp(unix_ns // 1_000_000_000, UTC)
        _check_dates(leaf, when)
        _check_name(leaf, server_name)
        _check_purpose(leaf)
        self._store.set_time(when)
        context = crypto.X509StoreContext(
            self._store,
            crypto.X509.from_cryptography(leaf),
            [crypto.X509.from_cryptography(each) for each in chain[1:]],
        )
        try:
            context.verify_certificate()
        except crypto.X509StoreContextError as error:
            code = ALERT_UNKNOWN_CA if error.errors[0] in _NO_ISSUER else ALERT_BAD_CERTIFICATE
            raise _refusal(code, f"the server's certificate is not trusted: {error}") from error


def _check_dates(leaf: x509.Certificate, when: datetime) -> None:
    if when < leaf.not_valid_before_utc:
        raise _refusal(
            ALERT_EXPIRED, f"the server's certificate is valid only from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        )
    if when > leaf.not_valid_after_utc:
        raise _refusal(
            ALERT_EXPIRED, f"the server's certificate expired on {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        )


def _check_name(leaf: x509.Certificate, server_name: str) -> None:
    try:
        if _is_address(server_name):
            service_identity.cryptography.verify_certificate_ip_address(leaf, server_name)
        else:
            service_identity.cryptography.verify_certificate_hostname(leaf, server_name)
    except (service_identity.CertificateError, service_identity.VerificationError) as error:
        raise _refusal(
            ALERT_BAD_CERTIFICATE, f"the server's certificate is not for {server_name}{_names(leaf)}"
        ) from error
    except ValueError as error:
        raise _refusal(ALERT_BAD_CERTIFICATE, "the server's certificate has extensions that cannot be read") from error


def _check_purpose(leaf: x509.Certificate) -> None:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not any(each in usage for each in (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)):
        raise _refusal(ALERT_UNSUPPORTED, "the server's certificate is for other purposes than servers")


def _names(leaf: x509.Certificate) -> str:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ": it names no server"
    known = [str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress)]
    return f" but for {', '.join(known[:NAMES_SHOWN])}" + (", ..." if len(known) > NAMES_SHOWN else "") if known else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _refusal(alert: int, reason: str) -> QuicError:
    return QuicError(CRYPTO_ERROR + alert, reason)


ALERT_BAD_CERTIFICATE, ALERT_UNSUPPORTED, ALERT_EXPIRED, ALERT_UNKNOWN_CA = 42, 43, 45, 48
NAMES_SHOWN = 4
# OpenSSL's X509_V_ERR_: UNABLE_TO_GET_ISSUER_CERT, DEPTH_ZERO_SELF_SIGNED_CERT, SELF_SIGNED_CERT_IN_CHAIN,
# UNABLE_TO_GET_ISSUER_CERT_LOCALLY, UNABLE_TO_VERIFY_LEAF_SIGNATURE
_NO_ISSUER = (2, 18, 19, 20, 21)
