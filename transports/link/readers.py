"""Parameters of links as people write them, in TOML or on a command line; all of them become exact values.

A reader takes what was written (a number, text, a list, a truth value) and raises ValueError with words that follow the
parameter's name: `is a rate such as 20mbit, not 'fast'`. Lists in text have bars between: `1|5|10..12`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from transports.link.bounded import Limits

Reader = Callable[[object], Any]


def probability(value: object) -> float:
    """From 0 to 1, of `0.02` or `"2%"`."""
    found: Fraction | None = None
    if _is_number(value):
        found = Fraction(str(value))
    elif isinstance(value, str) and (match := re.fullmatch(r"\s*([0-9.]+(?:e-?\d+)?)\s*(%?)\s*", value)):
        found = _fraction(match[1])
        found = found / 100 if found is not None and match[2] else found
    if found is None or not 0 <= found <= 1:
        raise ValueError(f"is a probability from 0 to 1 such as 0.02 or 2%, not {value!r}")
    return float(found)


def rate(value: object) -> int:
    """Bits per second, 1 or more, of `"20mbit"`, `"20Mbit/s"` or 20000000; text has a unit."""
    found = _rate(value)
    if found < 1:
        raise ValueError(f"is at least 1 bit/s, not {value!r}")
    return found


def duration(value: object) -> int:
    """Nanoseconds, 0 or more, of `"20ms"`; a whole number is nanoseconds."""
    return _amount(value, TIMES, "is a time such as 20ms, or a whole number of nanoseconds")


def span(value: object) -> int:
    """The same, and more than nothing."""
    found = duration(value)
    if not found:
        raise ValueError(f"is more than no time, such as 20ms, not {value!r}")
    return found


def size(value: object) -> int:
    """Bytes, 1 or more, of `"10kB"`, `"64KiB"` or 1500."""
    found = _amount(value, SIZES, "is a size such as 1500, 10kB or 64KiB")
    if found < 1:
        raise ValueError(f"is at least 1 byte, not {value!r}")
    return found


def whole(low: int) -> Reader:
    """A whole number from `low` on."""

    def read(value: object) -> int:
        number = int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,18}", value) else value
        if not isinstance(number, int) or isinstance(number, bool) or number < low:
            raise ValueError(f"is a whole number from {low} on, not {value!r}")
        return number

    return read


def room(value: object) -> Limits:
    """How much waits: `"100packets"`, `"64KiB"`, `"40ms"` at the link's rate; a whole number is packets."""
    packets = int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,18}", value) else value
    if isinstance(packets, int) and not isinstance(packets, bool):
        return Limits(packets=_amount(packets, PACKETS, ""))
    unit = match[1] if isinstance(value, str) and (match := re.search(r"([a-zA-Z]+)\s*$", value)) else ""
    wanted = "is so much as waits, such as 100packets, 64KiB or 40ms"
    if unit in TIMES:
        return Limits(time_ns=_amount(value, TIMES, wanted))
    if unit in SIZES:
        return Limits(size_bytes=_amount(value, SIZES, wanted))
    return Limits(packets=_amount(value, PACKETS, wanted))


def real(low: float, high: float) -> Reader:
    """A number from `low` to `high`."""

    def read(value: object) -> float:
        number = _fraction(value) if isinstance(value, str) else value
        if isinstance(number, bool) or not isinstance(number, int | float | Fraction) or not low <= number <= high:
            raise ValueError(f"is a number from {low:g} to {high:g}, not {value!r}")
        return float(number)

    return read


def truth(value: object) -> bool:
    """True or false; yes or no in text."""
    found = {"true": True, "yes": True, "false": False, "no": False}.get(str(value).lower())
    if found is None or not isinstance(value, bool | str):
        raise ValueError(f"is true or false, not {value!r}")
    return found


def path(value: object) -> str:
    """The name of a file."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"is the name of a file, not {value!r}")
    return value


def numbers(value: object) -> tuple[int, ...]:
    """Numbers from 1 on, of `[1, 5, "10..12"]` or `"1|5|10..12"`."""
    found: list[int] = []
    for each in _items(value):
        match = re.fullmatch(r"\s*(\d{1,9})(?:\.\.(\d{1,9}))?\s*", str(each))
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if isinstance(each, bool) or not 1 <= first <= last < first + NUMBERS_MAX:
            raise ValueError(f"are numbers from 1 on such as 1|5|10..12, not {value!r}")
        found += range(first, last + 1)
    return tuple(found)


def durations(value: object) -> tuple[int, ...]:
    """Several times, of `["0ms", "3ms"]` or `"0ms|3ms"`."""
    return tuple(duration(each) for each in _items(value))


def intervals(value: object) -> tuple[tuple[int, int], ...]:
    """From when to when, of `[["1s", "2s"]]` or `"1s..2s|5s..6s"`."""
    return tuple(
        (duration(first), duration(last)) for first, last in _pairs(value, r"\.\.", "are times such as 1s..2s|5s..6s")
    )


def changes(value: object) -> tuple[tuple[int, int], ...]:
    """When which rate begins, of `[["0s", "20mbit"], ["5s", 0]]` or `"0s=20mbit|5s=0"`."""
    pairs = _pairs(value, "=", "are times and rates such as 0s=20mbit|5s=1mbit")
    return tuple((duration(first), _rate(last)) for first, last in pairs)


def _rate(value: object) -> int:
    text = value.lower().strip() if isinstance(value, str) else value
    found = _amount(text, RATES, "is a rate such as 20mbit, or a whole number of bits per second", shown=value)
    if found and isinstance(text, str) and text[-1] in DIGITS:
        # Whoever writes 20 on a command line means megabits.
        raise ValueError(f"needs a unit: {text}mbit, or {text}bit for bits per second, not {value!r}")
    return found


def _amount(value: object, units: Mapping[str, int], wanted: str, *, shown: object = None) -> int:
    shown = value if shown is None else shown
    if isinstance(value, int) and not isinstance(value, bool):
        found: Fraction | None = Fraction(value)
    elif isinstance(value, str) and (match := re.fullmatch(r"\s*(-?[0-9.]+(?:e\d+)?)\s*([a-zA-Z/]*)\s*", value)):
        number, unit = _fraction(match[1]), units.get(match[2])
        if match[2] == "":
            unit = 1 if number is not None and number.denominator == 1 else None
        found = number * unit if number is not None and unit else None
    else:
        found = None
    if found is None:
        raise ValueError(f"{wanted}, not {shown!r}")
    if not 0 <= found <= AMOUNT_MAX:
        raise ValueError(f"is {'too large' if found > 0 else 'not negative'}: {shown!r}")
    return int(found)


def _fraction(text: str) -> Fraction | None:
    try:
        return Fraction(text) if len(text) < 40 else None
    except ValueError:
        return None


def _items(value: object) -> list[object]:
    if isinstance(value, str):
        return list(value.split("|"))
    return list(value) if isinstance(value, list | tuple) else [value]


def _pairs(value: object, between: str, wanted: str) -> Iterator[tuple[object, object]]:
    for each in _items(value):
        pair = re.split(between, each) if isinstance(each, str) else each
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise ValueError(f"{wanted}, not {value!r}")
        yield pair[0], pair[1]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2


TIMES = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
SIZES = {
    "B": 1, "k": 1 << 10, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9,
    "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}  # fmt: skip
RATES = {
    prefix + unit: scale
    for unit in ("bit", "bit/s", "bps")
    for prefix, scale in (("", 1), ("k", 10**3), ("m", 10**6), ("g", 10**9), ("t", 10**12))
}
DIGITS = "0123456789."
PACKETS = {"packets": 1, "packet": 1}
AMOUNT_MAX = 1 << 60
NUMBERS_MAX = 1_000_000
