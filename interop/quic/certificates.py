"""Certificates for servers: one that signs itself, or a chain that is long on the wire."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def write_certificates(folder: Path, length: int = 1) -> tuple[Path, Path]:
    """A chain of so many certificates and the key of the first, as PEM files.

    The key is on P-256, which every peer offers; with more than one, those above have RSA keys of 2048 bits and long
    names, so that nine of them are more than 7,500 bytes.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    if length == 1:
        chain = [_certificate("localhost", key, "localhost", key, is_authority=False)]
    else:
        authority = rsa.generate_private_key(65537, 2048)
        names = ["localhost", *(f"authority {number}" for number in range(length - 1, 0, -1)), "root"]
        keys: list[Key] = [key, *[authority] * (length - 1)]
        chain = [
            _certificate(name, of, issuer, authority, is_authority=number > 0)
            for number, (name, of, issuer) in enumerate(zip(names, keys, names[1:], strict=False))
        ]
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(b"".join(each.public_bytes(serialization.Encoding.PEM) for each in chain))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate_file, key_file


def _certificate(name: str, key: Key, issuer: str, issuer_key: Key, *, is_authority: bool) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if not is_authority:
        addresses = [x509.IPAddress(ipaddress.ip_address(each)) for each in ("127.0.0.1", "::1", "10.79.0.2")]
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), *addresses]), critical=False
        )
    return builder.sign(issuer_key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "An organisation whose name is long, as is its chain")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text), organisation])
