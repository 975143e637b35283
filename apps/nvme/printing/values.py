"""Numbers as nvme-cli writes them."""

from __future__ import annotations


def hexadecimal(value: int) -> str:
    """C's `%#x`: 0 is without a prefix."""
    return f"{value:#x}" if value else "0"


def whole(low: int, high: int) -> int:
    """A number of 128 bits from its halves."""
    return high << 64 | low


def decimal_multiple(value: float) -> tuple[float, str]:
    """A number below 1000, and the prefix of what it counts; empty for ones."""
    for prefix, magnitude in DECIMAL:
        if value >= magnitude:
            return value / magnitude, prefix
    return value, ""


def binary_multiple(value: int) -> tuple[int, str]:
    """The same with powers of 1024, rounded to a whole number."""
    for prefix, shift in BINARY:
        if value >= 1 << shift:
            return (value + (1 << (shift - 1))) >> shift, prefix
    return value, ""


def celsius(kelvin: int) -> str:
    """A temperature of a log page, in both units."""
    return f"{kelvin - ZERO_CELSIUS} °C ({kelvin} K)"


DECIMAL = tuple((prefix, 1000.0**power) for power, prefix in reversed(list(enumerate("kMGTPEZYRQ", 1))))
BINARY = tuple((f"{prefix}i", 10 * power) for power, prefix in reversed(list(enumerate("KMGTP", 1))))
ZERO_CELSIUS = 273
