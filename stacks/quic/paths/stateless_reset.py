"""Stateless resets: their tokens, and what they look like (RFC 9000 10.3)."""

from __future__ import annotations

import hashlib
import hmac
import random
from dataclasses import dataclass

from stacks.quic.randomness import random_bytes

RESET_TOKEN_BYTES = 16
MIN_RESET_BYTES = 21


@dataclass(frozen=True, slots=True)
class ResetToken:
    """A token that the peer gave with a connection ID which we use from now on, or use no more (10.3.1)."""

    token: bytes
    is_addition: bool


def reset_token(key: bytes, connection_id: bytes) -> bytes:
    """The token of one of our connection IDs: the same after a restart with the same key (10.3.2)."""
    return hmac.new(key, b"reset" + connection_id, hashlib.sha256).digest()[:RESET_TOKEN_BYTES]


def build_reset(rng: random.Random, trigger_bytes: int, token: bytes) -> bytes | None:
    """A datagram that looks like a packet with a short header, and ends with `token`.

    trigger_bytes: of the datagram that it answers, than which it is shorter (10.3.3). None where that is too short.
    """
    size = min(trigger_bytes - 1, MAX_RESET_BYTES)
    if size < MIN_RESET_BYTES:
        return None
    noise = bytearray(random_bytes(rng, size - RESET_TOKEN_BYTES))
    noise[0] = 0x40 | noise[0] & 0x3F
    return bytes(noise) + token


MAX_RESET_BYTES = 43
"""Long enough to be taken for a packet, short enough to end a loop of resets soon."""
