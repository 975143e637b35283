"""Secrets and what is derived from them (RFC 9001 5.1, 5.2, 5.8, 6.1; RFC 9369 3.3; RFC 5869, RFC 8446 7.1)."""

from __future__ import annotations

from functools import lru_cache

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from stacks.quic.configuration import VERSION_1, VERSION_2
from stacks.quic.keys.suites import AES_128_GCM_SHA256, Suite


def initial_secrets(version: int, destination_cid: bytes) -> tuple[bytes, bytes]:
    """The client's and the server's Initial secret, from the client's first Destination Connection ID."""
    extract = hmac.HMAC(SALTS[version], hashes.SHA256())
    extract.update(destination_cid)
    initial = extract.finalize()
    algorithm = hashes.SHA256()
    return expand_label(algorithm, initial, b"client in", 32), expand_label(algorithm, initial, b"server in", 32)


def packet_keys(suite: Suite, secret: bytes, version: int) -> tuple[bytes, bytes, bytes]:
    """AEAD key, IV and header-protection key."""
    algorithm, prefix = suite.hash(), LABEL_PREFIXES[version]
    return (
        expand_label(algorithm, secret, prefix + b"key", suite.key_bytes),
        expand_label(algorithm, secret, prefix + b"iv", IV_BYTES),
        expand_label(algorithm, secret, prefix + b"hp", suite.key_bytes),
    )


def next_secret(suite: Suite, secret: bytes, version: int) -> bytes:
    """The 1-RTT secret after a key update (6.1)."""
    return expand_label(suite.hash(), secret, LABEL_PREFIXES[version] + b"ku", len(secret))


def retry_tag(version: int, original_destination_cid: bytes, retry: bytes) -> bytes:
    """The integrity tag of a Retry packet that is `retry` without it (5.8)."""
    key, nonce = RETRY_KEYS[version]
    pseudo = len(original_destination_cid).to_bytes(1, "big") + original_destination_cid + retry
    return AESGCM(key).encrypt(nonce, b"", pseudo)


def expand_label(algorithm: hashes.HashAlgorithm, secret: bytes, label: bytes, length: int) -> bytes:
    """HKDF-Expand-Label with an empty context (RFC 8446 7.1)."""
    return HKDFExpand(algorithm, length, _info(label, length)).derive(secret)


@lru_cache(maxsize=64)
def _info(label: bytes, length: int) -> bytes:
    full = b"tls13 " + label
    return length.to_bytes(2, "big") + len(full).to_bytes(1, "big") + full + b"\0"


IV_BYTES = 12
INITIAL_SUITE = AES_128_GCM_SHA256
SALTS = {
    VERSION_1: bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"),
    VERSION_2: bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9"),
}
LABEL_PREFIXES = {VERSION_1: b"quic ", VERSION_2: b"quicv2 "}
RETRY_KEYS = {
    VERSION_1: (bytes.fromhex("be0c690b9f66575a1d766b54e368c84e"), bytes.fromhex("461599d35d632bf2239825bb")),
    VERSION_2: (bytes.fromhex("8fb4b01b56ac48e260fbcbcead7ccc92"), bytes.fromhex("d86969bc2d7c6d9990efb04a")),
}
