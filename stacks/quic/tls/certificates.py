"""Certificates as PEM: an end's own identity, trusted ones, and self-signed ones for servers that were given none."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from stacks.quic.randomness import random_bytes
from stacks.runtime.errors import LocalError

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate, those that lead from it to a root, and its private key. size_bytes: of all on the wire."""

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    private_key: PrivateKey
    size_bytes: int


def load_identity(chain: bytes, private_key: bytes) -> Identity:
    """From PEM: the end's own certificate first, then the intermediate ones; and the key without a password.

    LocalError where either cannot be read, the two do not belong together, or the key's kind is not one of TLS 1.3.
    """
    certificates = load_certificates(chain, what="certificate")
    key = _load_key(private_key)
    if key.public_key() != certificates[0].public_key():
        raise LocalError("the private key does not belong to the first certificate of the chain")
    size_bytes = sum(len(each.public_bytes(Encoding.DER)) + ENTRY_BYTES for each in certificates)
    return Identity(certificates[0], tuple(certificates[1:]), key, size_bytes)


def load_certificates(pem: bytes, *, what: str) -> list[x509.Certificate]:
    """All certificates of a PEM file, at least one. what: for the LocalError where there is none or one is damaged."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise LocalError(
            f"{what}: no readable certificate in it; PEM is expected (-----BEGIN CERTIFICATE-----)"
        ) from error


def make_self_signed(names: Sequence[str], rng: random.Random, *, unix_ns: int) -> tuple[bytes, bytes]:
    """A self-signed Ed25519 certificate and its key, both as PEM; the same bytes for a seed and a time.

    names: DNS names and addresses that it is for, at least one. unix_ns: now; it holds from a day before to a year
    after.
    """
    key = ed25519.Ed25519PrivateKey.from_private_bytes(random_bytes(rng, 32))
    now = datetime.fromtimestamp(unix_ns // 1_000_000_000, UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(random_bytes(rng, 15), "big") + 1)
        .not_valid_before(max(now - timedelta(days=1), _EARLIEST))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, None)
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), secret


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _load_key(pem: bytes) -> PrivateKey:
    try:
        key = load_pem_private_key(pem, None)
    except TypeError as error:
        raise LocalError(
            "private key: it is encrypted; remove its password first (openssl pkey -in KEY -out PLAIN)"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise LocalError("private key: not readable; PEM is expected (-----BEGIN PRIVATE KEY-----)") from error
    if isinstance(key, ec.EllipticCurvePrivateKey):
        if not isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
            raise LocalError(
                f"private key: {key.curve.name} is not a curve of TLS here: take secp256r1, secp384r1 or Ed25519"
            )
        return key
    if isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        return key
    raise LocalError("private key: its kind cannot sign in TLS 1.3: take RSA, secp256r1, secp384r1 or Ed25519")


ENTRY_BYTES = 5  # length and extensions of a CertificateEntry (RFC 8446 4.4.2)
_EARLIEST = datetime(1950, 1, 1, tzinfo=UTC)
