"""The few kinds of CDDL rules (RFC 8610) that the qlog drafts use, over what JSON became.

A rule is a table of fields for a map, or a word for a type:

    "uint16"         a type that is known here or has a table of its own
    "[+ X]" "[* X]"  an array of one, or of none, and more
    "'a' / 'b' / X"  one of some strings or types
    "?" before a field's name: it may be missing
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

Rules = Mapping[str, "str | Mapping[str, str]"]


def check(value: Any, kind: str, rules: Rules, where: str) -> list[str]:
    """What of `value` is not as `kind` has it, as sentences that begin with the place; empty when nothing is."""
    kind = kind.strip()
    if kind.startswith("["):
        return _check_array(value, kind, rules, where)
    if " / " in kind:
        options = kind.split(" / ")
        found = [check(value, option, rules, where) for option in options]
        return [] if [] in found else [f"{where}: {value!r} is none of {kind}"]
    if kind.startswith("'"):
        return [] if value == kind[1:-1] else [f"{where}: {value!r} is not {kind}"]
    if kind in PRIMITIVES:
        return [] if PRIMITIVES[kind](value) else [f"{where}: {value!r} is no {kind}"]
    rule = rules[kind]
    if isinstance(rule, str):
        return check(value, rule, rules, where)
    return check_map(value, rule, rules, where)


def check_map(value: Any, fields: Mapping[str, str], rules: Rules, where: str, *, is_open: bool = False) -> list[str]:
    """The same of a map. is_open: other fields than these are fine."""
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is no map"]
    wrong = []
    known = {name.removeprefix("?"): (kind, name.startswith("?")) for name, kind in fields.items()}
    for name, (kind, is_optional) in known.items():
        if name in value:
            wrong += check(value[name], kind, rules, f"{where}.{name}")
        elif not is_optional:
            wrong.append(f"{where}: {name} is missing")
    if not is_open:
        wrong += [f"{where}: {name} is no field" for name in value if name not in known]
    return wrong + [f"{where}: {name} is not in lower case" for name in value if name != name.lower()]


def _check_array(value: Any, kind: str, rules: Rules, where: str) -> list[str]:
    match = re.fullmatch(r"\[(\+|\*|\d+\*\d+) (.*)\]", kind)
    assert match is not None, kind
    occurrence, inner = match.groups()
    low, high = {"+": (1, None), "*": (0, None)}.get(occurrence, (0, None))
    if occurrence not in "+*":
        low, high = map(int, occurrence.split("*"))
    if not isinstance(value, list):
        return [f"{where}: {value!r} is no array"]
    if len(value) < low or (high is not None and len(value) > high):
        return [f"{where}: {len(value)} elements, not {kind}"]
    return [each for index, item in enumerate(value) for each in check(item, inner, rules, f"{where}[{index}]")]


def _unsigned(bits: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << bits


def _number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


PRIMITIVES: dict[str, Callable[[Any], bool]] = {
    "uint8": _unsigned(8),
    "uint16": _unsigned(16),
    "uint32": _unsigned(32),
    "uint64": _unsigned(64),
    "bool": lambda value: isinstance(value, bool),
    "text": lambda value: isinstance(value, str),
    "float32": _number,
    "float64": _number,
    "hexstring": _matches("([0-9a-f]{2})*"),
    "hexstring16": _matches("[0-9a-f]{32}"),
    "crypto_error": _matches("crypto_error_0x1[0-9a-f][0-9a-f]"),
    "map": lambda value: isinstance(value, dict),
}
