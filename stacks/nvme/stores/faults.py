"""Faults of a store on purpose: which requests fail or are late, as values and as text.

    read:error=EIO,blocks=100..200,count=3      write|flush:delay=5ms      any:error=ENOSPC,probability=0.01

Verbs, what happens to them, then what narrows it, as KEY=VALUE with commas between:

    error   the name of an errno, whose status the request ends with: EIO, ENOSPC, EROFS, EAGAIN, ...
    delay   how much later it completes: 5ms, 200us, 1s, or a number of nanoseconds
    blocks  5, 100..200 or 100..: requests that touch one of these; none of them a flush
    nth     2, 2..5 or 2.. of the requests that match     every  3: the first of them, then every third
    probability  0 to 1 of those                          seed   a number, for that
    count   how often at most

A rule is frozen; `ArmedFault` is one in a store, with its counts.
"""

from __future__ import annotations

import errno
import os
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from types import MappingProxyType

from stacks.nvme.stores.contract import DEALLOCATE, FLUSH, READ, WRITE, WRITE_ZEROES
from stacks.runtime import LocalError


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFault:
    """One rule: which requests, which of them, and what happens to those.

    verbs: READ, WRITE, ... error: the errno that the verb raises, or 0. delay_ns: by how much the completion is late,
    or 0; a rule has one of both. blocks: first and last that count, last None for all behind; None for any request.
    nth: which of the matching requests, counted from 1, first and last. every: of those the first, then every
    so many-th. probability: of those how many, by `random.Random(seed)`. count: how often at most; None for always.

    LocalError, which says what is allowed, for values that make no sense.
    """

    verbs: frozenset[int]
    error: int = 0
    delay_ns: int = 0
    blocks: tuple[int, int | None] | None = None
    nth: tuple[int, int | None] = (1, None)
    every: int = 1
    probability: float = 1.0
    seed: int = 0
    count: int | None = None

    def __post_init__(self) -> None:
        _check("a fault has an error or a delay, and not both", bool(self.error) != bool(self.delay_ns))
        _check("delay is not negative", self.delay_ns >= 0)
        _check("error is an errno", not self.error or self.error in errno.errorcode)
        _check(f"a fault has verbs: {', '.join(VERBS)}", bool(self.verbs) and self.verbs <= frozenset(VERBS.values()))
        for name in ("blocks", "nth"):
            first, last = getattr(self, name) or (1, None)
            _check(f"{name} does not run backwards", last is None or last >= first)
        _check("blocks are for verbs that have any, and a flush has none", not self.blocks or self.verbs != {FLUSH})
        _check("nth counts from 1", self.nth[0] >= 1)
        _check("every is at least 1", self.every >= 1)
        _check("probability is from 0 to 1", 0 <= self.probability <= 1)
        _check("count is at least 1", self.count is None or self.count >= 1)

    def touches(self, verb: int, block: int, blocks: int) -> bool:
        """Whether a request is one of those that the rule is about."""
        if verb not in self.verbs:
            return False
        if self.blocks is None:
            return True
        first, last = self.blocks
        return blocks > 0 and block + blocks > first and (last is None or block <= last)

    def __str__(self) -> str:
        names = "|".join(name for name, verb in VERBS.items() if verb in self.verbs)
        parts = [f"error={errno.errorcode[self.error]}" if self.error else f"delay={_duration_text(self.delay_ns)}"]
        for field in fields(self)[3:]:
            value = getattr(self, field.name)
            if value != field.default:
                parts.append(f"{field.name}={_range_text(value) if isinstance(value, tuple) else value}")
        return f"{'any' if len(self.verbs) == len(VERBS) else names}:{','.join(parts)}"


class ArmedFault:
    """A rule at work. matched: requests that it is about. fired: what it did to them."""

    def __init__(self, rule: StoreFault) -> None:
        self.rule = rule
        self.matched = 0
        self.fired = 0
        self._rng = random.Random(rule.seed)

    def fires(self) -> bool:
        """Count a request that the rule is about; whether it is one of those that get the fault."""
        rule, (first, last) = self.rule, self.rule.nth
        self.matched += 1
        if self.matched < first or (last is not None and self.matched > last) or (self.matched - first) % rule.every:
            return False
        if rule.probability < 1 and self._rng.random() >= rule.probability:
            return False
        if rule.count is not None and self.fired >= rule.count:
            return False
        self.fired += 1
        return True

    def error(self) -> OSError:
        """What the verb raises."""
        return OSError(self.rule.error, f"{os.strerror(self.rule.error)} (on purpose)")


def parse_fault(text: str) -> StoreFault:
    """A rule from its text; LocalError, which says what is allowed. Colons may stand for the commas."""
    names, *parts = (part.strip() for part in re.split("[:,]", text))
    values: dict[str, object] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals:
            raise LocalError(f"{part!r} is no KEY=VALUE; a fault is written like {EXAMPLE}")
        if key not in KEYS:
            raise LocalError(f"unknown key {key!r}; there are: {', '.join(KEYS)}")
        name, read = KEYS[key]
        if name in values:
            raise LocalError(f"{key} is given twice")
        values[name] = read(key, value)
    return StoreFault(verbs=_verbs(names), **values)  # type: ignore[arg-type]  # by KEYS


def is_fault(text: str) -> bool:
    """Whether a text is meant to be a rule: it starts with verbs and a colon."""
    names, colon, _ = text.partition(":")
    return bool(colon) and all(name in VERBS or name == "any" for name in names.split("|"))


def _verbs(text: str) -> frozenset[int]:
    verbs: set[int] = set()
    for name in text.split("|"):
        if name != "any" and name not in VERBS:
            raise LocalError(f"{name!r} is no verb; there are: {', '.join(VERBS)}, any; {EXAMPLE}")
        verbs.update(VERBS.values() if name == "any" else (VERBS[name],))
    return frozenset(verbs)


def _error(key: str, value: str) -> int:
    number = getattr(errno, value, None)
    if not isinstance(number, int):
        raise LocalError(f"{key} is the name of an errno, such as EIO or ENOSPC, not {value!r}")
    return number


def _duration(key: str, value: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ns|us|ms|s)?", value)
    if match is None or not float(match[1]):
        raise LocalError(f"{key} is a time such as 5ms, 200us or 1s, or a number of nanoseconds, not {value!r}")
    return round(float(match[1]) * NANOSECONDS[match[2] or "ns"])


def _range(key: str, value: str) -> tuple[int, int | None]:
    match = re.fullmatch(r"(\d+)(?:(?:\.\.|-)(\d+)?)?", value)
    if match is None:
        raise LocalError(f"{key} is a number, a range 2..5, or 2.. for all from the second on; not {value!r}")
    first = int(match[1])
    is_one = match[0] == match[1]
    return first, first if is_one else int(match[2]) if match[2] else None


def _integer(key: str, value: str) -> int:
    if not re.fullmatch(r"\d+", value):
        raise LocalError(f"{key} is a whole number, not {value!r}")
    return int(value)


def _probability(key: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise LocalError(f"{key} is a number from 0 to 1, not {value!r}") from None


def _check(rule: str, holds: bool) -> None:
    if not holds:
        raise LocalError(rule)


def _range_text(value: tuple[int, int | None]) -> str:
    first, last = value
    return str(first) if first == last else f"{first}..{'' if last is None else last}"


def _duration_text(delay_ns: int) -> str:
    unit = next(unit for unit in ("s", "ms", "us", "ns") if not delay_ns % NANOSECONDS[unit])
    return f"{delay_ns // NANOSECONDS[unit]}{unit}"


EXAMPLE = "read:error=EIO,blocks=100..200,count=3"
NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
VERBS = MappingProxyType(
    {"read": READ, "write": WRITE, "flush": FLUSH, "deallocate": DEALLOCATE, "write_zeroes": WRITE_ZEROES}
)
KEYS: dict[str, tuple[str, Callable[[str, str], object]]] = {
    "error": ("error", _error),
    "delay": ("delay_ns", _duration),
    "blocks": ("blocks", _range),
    "nth": ("nth", _range),
    "every": ("every", _integer),
    "probability": ("probability", _probability),
    "seed": ("seed", _integer),
    "count": ("count", _integer),
}
"""Each key, the field of `StoreFault` that it sets, and what reads its value."""
