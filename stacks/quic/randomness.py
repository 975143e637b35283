"""Random bytes from an injected generator: the same for a seed, on every Python version."""

from __future__ import annotations

import random


def random_bytes(rng: random.Random, length: int) -> bytes:
    """`length` bytes. Drawn with `.random()` alone, 48 bits a call, as the house has it.

    rng: `random.SystemRandom` in programs, `random.Random(seed)` in virtual time.
    """
    draw = rng.random
    return b"".join(int(draw() * CHUNK).to_bytes(6, "big") for _ in range(-(-length // 6)))[:length]


CHUNK = 1 << 48
