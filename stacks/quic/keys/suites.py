"""Cipher suites of TLS 1.3 as QUIC uses them (RFC 9001 5.3, 5.4, 6.6; RFC 8446 B.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from stacks.quic.keys.header_protection import AesMasks, ChaChaMasks, Masks


class Aead(Protocol):
    """What `cryptography` offers of an AEAD."""

    def encrypt_into(
        self, nonce: bytes, data: memoryview, associated_data: memoryview | bytes, buf: memoryview, /
    ) -> int: ...

    def decrypt_into(
        self, nonce: bytes, data: memoryview, associated_data: memoryview | bytes, buf: memoryview, /
    ) -> int: ...


@dataclass(frozen=True, slots=True)
class Suite:
    """number: of TLS. key_bytes: of AEAD and header protection alike. confidentiality_limit: packets that may be sealed
    with one key; integrity_limit: packets that may fail to open, over all keys (RFC 9001 6.6).
    """

    name: str
    number: int
    key_bytes: int
    hash: type[hashes.HashAlgorithm]
    confidentiality_limit: int
    integrity_limit: int
    aead: Callable[[bytes], Aead]
    masks: Callable[[bytes], Masks]


AES_128_GCM_SHA256 = Suite(
    "TLS_AES_128_GCM_SHA256", 0x1301, 16, hashes.SHA256, 1 << 23, 1 << 52, AESGCM, AesMasks
)
AES_256_GCM_SHA384 = Suite(
    "TLS_AES_256_GCM_SHA384", 0x1302, 32, hashes.SHA384, 1 << 23, 1 << 52, AESGCM, AesMasks
)
CHACHA20_POLY1305_SHA256 = Suite(
    "TLS_CHACHA20_POLY1305_SHA256", 0x1303, 32, hashes.SHA256, 1 << 62, 1 << 36, ChaCha20Poly1305, ChaChaMasks
)
SUITES = {suite.number: suite for suite in (AES_128_GCM_SHA256, AES_256_GCM_SHA384, CHACHA20_POLY1305_SHA256)}
