"""Header-protection masks, of a whole burst in one call where the cipher allows it (RFC 9001 5.4.3, 5.4.4)."""

from __future__ import annotations

from typing import Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


class Masks(Protocol):
    """masks(samples): of samples of 16 bytes back to back, masks with the same stride, of which 5 bytes count."""

    def __call__(self, samples: bytes | bytearray) -> bytes | bytearray: ...


class AesMasks:
    """AES in ECB mode: all blocks at once. key: 16 or 32 bytes."""

    __slots__ = ("_update",)

    def __init__(self, key: bytes) -> None:
        self._update = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update  # noqa: S305 - as RFC 9001 says

    def __call__(self, samples: bytes | bytearray) -> bytes:
        """As of `Masks`."""
        return self._update(samples)


class ChaChaMasks:
    """ChaCha20: counter and nonce are the sample. key: 32 bytes."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, samples: bytes | bytearray) -> bytes:
        """As of `Masks`."""
        return b"".join(
            Cipher(algorithms.ChaCha20(self._key, bytes(samples[at : at + 16])), None).encryptor().update(bytes(16))
            for at in range(0, len(samples), 16)
        )
