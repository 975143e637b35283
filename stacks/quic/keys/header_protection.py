"""Header-protection masks, of a whole burst in one call where the cipher allows it (RFC 9001 5.4.3, 5.4.4)."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


class Masks(Protocol):
    """masks(samples): of samples of 16 bytes back to back, two integers each: the mask of the first byte, and that of
    four bytes of a packet number.
    """

    def __call__(self, samples: bytes, /) -> tuple[int, ...]: ...


class AesMasks:
    """AES in ECB mode: all blocks at once. key: 16 or 32 bytes."""

    __slots__ = ("_update",)

    def __init__(self, key: bytes) -> None:
        self._update = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update  # noqa: S305 - as RFC 9001 says

    def __call__(self, samples: bytes, /) -> tuple[int, ...]:
        """As of `Masks`."""
        return _layout(len(samples) >> 4).unpack(self._update(samples))


class ChaChaMasks:
    """ChaCha20: counter and nonce are the sample, so each takes a call of its own. key: 32 bytes."""

    __slots__ = ("_reset_nonce", "_update")

    def __init__(self, key: bytes) -> None:
        context = Cipher(algorithms.ChaCha20(key, bytes(16)), None).encryptor()
        self._reset_nonce = context.reset_nonce
        self._update = context.update

    def __call__(self, samples: bytes, /) -> tuple[int, ...]:
        """As of `Masks`."""
        reset_nonce, update = self._reset_nonce, self._update
        masks = []
        for at in range(0, len(samples), SAMPLE_BYTES):
            reset_nonce(samples[at : at + SAMPLE_BYTES])
            masks.append(update(ZEROS))
        return _layout(len(masks)).unpack(b"".join(masks))


@lru_cache(maxsize=128)
def _layout(count: int) -> struct.Struct:
    """Of the first five bytes of `count` blocks."""
    return struct.Struct(">" + "BI11x" * count)


SAMPLE_BYTES = 16
ZEROS = bytes(SAMPLE_BYTES)
NUMBER = struct.Struct(">I")
read_number, write_number = NUMBER.unpack_from, NUMBER.pack_into
"""Of four bytes from the start of a packet number, of which the number may take fewer."""
NUMBER_WRITERS = {1: struct.Struct(">B").pack_into, 2: struct.Struct(">H").pack_into, 4: NUMBER.pack_into}
"""By the bytes of a packet number."""
SHIFTS = (32, 24, 16, 8, 0)
LOW_MASKS = (0, 0xFF, 0xFFFF, 0xFF_FFFF, 0xFFFF_FFFF)
"""By the bytes of a packet number: how far it is shifted up in four bytes, and its own bits alone."""
NUMBER_MASKS = (0, 0xFF00_0000, 0xFFFF_0000, 0xFFFF_FF00, 0xFFFF_FFFF)
"""By the bytes of a packet number: those of the four that it takes."""
