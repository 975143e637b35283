"""Exponential times from a random generator, in integers, so that no platform's logarithm has a say."""

from __future__ import annotations

import random


def exponential_ns(rng: random.Random, mean_ns: int) -> int:
    """A time whose distribution is exponential with the given mean; one `.random()` is drawn."""
    # random() is a multiple of 2^-53; half of one is added, so that it is never 0.
    doubled = int(rng.random() * (1 << 53)) * 2 + 1
    return mean_ns * minus_ln(doubled, 54) >> FRACTION_BITS


def minus_ln(numerator: int, bits: int) -> int:
    """-ln(numerator / 2^bits) for 0 < numerator <= 2^bits, as a fixed-point number with FRACTION_BITS, rounded down.

    The binary logarithm bit by bit: squaring doubles it, and a square of 2 or more is its next bit.
    """
    whole = bits - (numerator.bit_length() - 1)
    value = (numerator << PRECISION) >> (numerator.bit_length() - 1)
    logarithm = 0
    for _ in range(FRACTION_BITS):
        value = value * value >> PRECISION
        logarithm <<= 1
        if value >> (PRECISION + 1):
            value >>= 1
            logarithm |= 1
    return ((whole << FRACTION_BITS) - logarithm) * LN_2 >> LN_2_BITS


FRACTION_BITS = 32
PRECISION = 60
LN_2_BITS = 64
LN_2 = 12_786_308_645_202_655_659
"""ln 2 with 64 bits behind the point."""
