"""Rates, times, sizes, shares and buffers as people write them in an experiment; all of them become exact integers.

A reader raises LocalError in words that follow the key's name: `is a rate such as "10Mbit/s", not 7`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

from stacks.lab.experiment.values import Buffer
from stacks.runtime.errors import LocalError
from stacks.runtime.toml_table import suggestion


def rate(value: object) -> int:
    """Bits per second, at least 1, of `"10Mbit/s"`."""
    found = _amount(value, RATES, 'is a rate such as "10Mbit/s"')
    if not 1 <= found <= RATE_MAX_BPS:
        raise LocalError(f"is from 1 bit/s to 10 Tbit/s, not {value!r}")
    return int(found)


def duration(value: object) -> int:
    """Nanoseconds, 0 or more, of `"40ms"`."""
    found = _amount(value, TIMES, 'is a time such as "40ms"')
    if not 0 <= found <= TIME_MAX_NS:
        raise LocalError(f"is from 0 to 366 days, not {value!r}")
    return int(found)


def span(value: object) -> int:
    """The same, and more than nothing."""
    found = duration(value)
    if not found:
        raise LocalError(f'is more than no time, such as "10s", not {value!r}')
    return found


def size(value: object) -> int:
    """Bytes, at least 1, of `"10MB"` or `"64KiB"`; a whole number is bytes."""
    if isinstance(value, int) and not isinstance(value, bool):
        found = Fraction(value)
    else:
        found = _amount(value, SIZES, 'is a size such as "10MB" or "64KiB"')
    if not 1 <= found <= SIZE_MAX:
        raise LocalError(f"is from 1 byte to 1 PB, not {value!r}")
    return int(found)


def share(value: object) -> Fraction:
    """A part of a whole, of `"2%"` or 0.02: 0 to 1."""
    found: Fraction | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = Fraction(repr(value)) if abs(value) <= 1 else Fraction(2)
    elif isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value)):
        found = Fraction(match[1]) / 100
    if found is None or not 0 <= found <= 1:
        raise LocalError(f'is a share such as "2%" or 0.02, from 0 to 1, not {value!r}')
    return found


def buffer(value: object) -> Buffer:
    """How much a queue holds: `"100 packets"`, `"64KiB"`, `"40ms"` or `"1.5bdp"`."""
    found = _amount(value, BUFFERS, 'is a buffer such as "100packets", "64KiB", "40ms" or "1bdp"')
    unit = _unit(value, BUFFERS)
    kind = "packets" if unit in PACKETS else "bdp" if unit == "bdp" else "time" if unit in TIMES else "bytes"
    amount = int(found * 1000) if kind == "bdp" else int(found)
    if amount < 1:
        raise LocalError(f"has room for something, not {value!r}")
    return Buffer(kind, amount)


def sizes(names: Iterable[str]) -> Callable[[object], str | int]:
    """Sizes of flows: the name of a distribution, or bytes for all."""

    def read(value: object) -> str | int:
        if isinstance(value, str) and not value[:1].isdigit():
            return word(dict.fromkeys(names))(value)
        return size(value)

    return read


def whole(low: int, high: int) -> Callable[[object], int]:
    """A whole number from `low` to `high`."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise LocalError(f"is a whole number from {low} to {high}, not {value!r}")
        return value

    return read


def text(value: object) -> str:
    """Text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise LocalError(f"is text in quotes, not {value!r}")
    return value


def name(value: object) -> str:
    """A word that may be part of a file's name."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,79}", value):
        raise LocalError(f"is a word of letters, digits, '-', '_', '.' and '+', not {value!r}")
    return value


def truth(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise LocalError(f"is true or false, not {value!r}")
    return value


def word(words: Mapping[str, object]) -> Callable[[object], str]:
    """One of some words."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            hint = suggestion(value, words, "there are") if isinstance(value, str) else f"there are: {', '.join(words)}"
            raise LocalError(f"is not {value!r}; {hint}")
        return value

    return read


def _amount(value: object, units: Mapping[str, int], wanted: str) -> Fraction:
    unit = _unit(value, units)
    match = _NUMBER.match(value) if isinstance(value, str) else None
    if unit is None or match is None:
        raise LocalError(f"{wanted}, not {value!r}")
    if match[1].startswith("-"):
        raise LocalError(f"is not negative: {value!r}")
    return Fraction(match[1]) * units[unit]


def _unit(value: object, units: Mapping[str, int]) -> str | None:
    match = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    found = match[2]
    return found if found in units else None


_NUMBER = re.compile(r"\s*(-?\d+(?:\.\d+)?(?:e\d+)?)\s*(.*?)\s*")

RATES = {f"{prefix}{unit}": scale for unit in ("bit/s", "bps") for prefix, scale in
         (("", 1), ("k", 10**3), ("K", 10**3), ("M", 10**6), ("G", 10**9), ("T", 10**12))}  # fmt: skip
TIMES = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9}
SIZES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
         "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}  # fmt: skip
PACKETS = {"packet": 1, "packets": 1}
BUFFERS = {**SIZES, **TIMES, **PACKETS, "bdp": 1}

RATE_MAX_BPS = 10**13
TIME_MAX_NS = 366 * 24 * 3600 * 10**9
SIZE_MAX = 10**15
