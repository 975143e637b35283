"""Where random delays come from: uniform, normal, or values from a file.

A distribution is called without arguments and answers in nanoseconds, 0 or more. Of the generator only `.random()` is
drawn, and arithmetic is such that every machine and Python version arrives at the same numbers.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

from transports.errors import TransportError
from transports.link.checks import check_at_least

Distribution = Callable[[], int]


class Uniform:
    """From `low_ns` to `high_ns`, both included, each as likely. TransportError unless 0 <= low_ns <= high_ns."""

    __slots__ = ("_draw", "_span", "low_ns")

    def __init__(self, low_ns: int, high_ns: int, rng: random.Random) -> None:
        check_at_least("low", low_ns, 0)
        check_at_least("high", high_ns, low_ns)
        self.low_ns = low_ns
        self._span = high_ns - low_ns + 1
        self._draw = rng.random

    def __call__(self) -> int:
        """One value, from one draw."""
        return self.low_ns + int(self._draw() * self._span)


class Normal:
    """Normal with a mean and a standard deviation; what falls below 0 is 0.

    Marsaglia's polar method ("A convenient method for generating normal variables", SIAM Review 6, 1964): points in the
    square by two draws each until one lies in the unit circle, which gives two values, of which the second is kept for
    the next call. Square roots are exact to the last bit by IEEE 754; the logarithm, which is not, is worked out here.
    """

    __slots__ = ("_draw", "_spare", "deviation_ns", "mean_ns")

    def __init__(self, mean_ns: int, deviation_ns: int, rng: random.Random) -> None:
        check_at_least("mean", mean_ns, 0)
        check_at_least("deviation", deviation_ns, 0)
        self.mean_ns = mean_ns
        self.deviation_ns = deviation_ns
        self._draw = rng.random
        self._spare: float | None = None

    def __call__(self) -> int:
        """One value."""
        value = self._spare
        if value is None:
            value, self._spare = self._pair()
        else:
            self._spare = None
        return max(0, self.mean_ns + round(self.deviation_ns * value))

    def _pair(self) -> tuple[float, float]:
        draw = self._draw
        while True:
            x, y = 2.0 * draw() - 1.0, 2.0 * draw() - 1.0
            square = x * x + y * y
            if 0.0 < square < 1.0:
                scale = math.sqrt(-2.0 * logarithm(square) / square)
                return x * scale, y * scale


class Values:
    """Values in the order in which they are listed, again and again; with `rng`, any of them, each as likely.

    TransportError for a value below 0, and for none at all.
    """

    __slots__ = ("_draw", "_index", "values_ns")

    def __init__(self, values_ns: Sequence[int], rng: random.Random | None = None) -> None:
        if not values_ns:
            raise TransportError("values are needed, at least one")
        check_at_least("a value", min(values_ns), 0)
        self.values_ns = tuple(values_ns)
        self._draw = None if rng is None else rng.random
        self._index = 0

    def __call__(self) -> int:
        """One value."""
        values_ns = self.values_ns
        if self._draw is not None:
            return values_ns[int(self._draw() * len(values_ns))]
        index = self._index
        self._index = index + 1 if index + 1 < len(values_ns) else 0
        return values_ns[index]


def load_values(path: str | Path) -> list[int]:
    """Nanoseconds of a file with one number of milliseconds a line, such as 12.5; lines with # are comments.

    TransportError names the line that is none.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise TransportError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise TransportError(f"{path}: no text; a line is one number of milliseconds, such as 12.5") from None
    values_ns: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        word = line.partition("#")[0].strip()
        if not word:
            continue
        try:
            value_ns = int(Fraction(word) * 1_000_000)
        except (ValueError, ZeroDivisionError):
            raise TransportError(f"{path}:{number}: a line is one number of milliseconds, not {word[:40]!r}") from None
        if value_ns < 0:
            raise TransportError(f"{path}:{number}: a delay is not negative: {word}")
        values_ns.append(value_ns)
    if not values_ns:
        raise TransportError(f"{path}: no values; a line is one number of milliseconds, such as 12.5")
    return values_ns


def logarithm(value: float) -> float:
    """The natural logarithm of a positive number, from additions, multiplications and divisions alone.

    With value = m 2^e and m from 1/sqrt 2 to sqrt 2: e ln 2 + 2 artanh((m - 1) / (m + 1)), whose argument is at most
    0.172, so that twelve terms of the series leave less than a double can hold.
    """
    mantissa, exponent = math.frexp(value)
    if mantissa < HALF_SQRT:
        mantissa *= 2.0
        exponent -= 1
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    square = ratio * ratio
    total = 0.0
    for divisor in range(23, 0, -2):
        total = total * square + 1.0 / divisor
    return exponent * LN_2 + 2.0 * ratio * total


HALF_SQRT = 0.7071067811865476
LN_2 = 0.6931471805599453
