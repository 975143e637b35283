"""Rules as text: `drop:opcode=RC_SEND_ONLY,psn=5,nth=2`, on the command line and the control socket.

An action, then what narrows it, as KEY=VALUE with commas between. The same keys are those of a plan's file and of
`fault` in Python, where numbers may be numbers:

    direction  tx or rx                                     qp, dest_qp  a number, decimal or 0x...
    psn        5, 5..9, or from the QP's first: +5, +5..9   opcode       RC_SEND_ONLY, nak, or several: send|write
    nth        2, 2..5 or 2.. of the matching packets       every        3: the first of them, then every third
    probability  0 to 1                                     seed         a number
    copies     of a duplicate                               packets      that overtake a reordered one
    delay      1ms, 500us, or a number of nanoseconds       byte, bit    what a corruption flips
    icrc       wrong or right
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TypeVar

from stacks.rdma.faults.plan import Direction, FaultAction, FaultRule, Icrc, PsnRange
from stacks.runtime import LocalError

AnyEnum = TypeVar("AnyEnum", bound=Enum)


def fault(action: str | FaultAction, **fields: object) -> FaultRule:
    """A rule of an action and the keys of this module; LocalError, which says what is allowed, for what is not."""
    return rule_of(action, fields)


def parse_rule(text: str) -> FaultRule:
    """A rule from its compact form; LocalError, which says what is allowed."""
    action, _, rest = text.partition(":")
    fields: dict[str, object] = {}
    for part in filter(None, (each.strip() for each in rest.split(","))):
        key, equals, value = part.partition("=")
        if not equals:
            raise LocalError(f"{part!r} is no KEY=VALUE; a fault is written like drop:opcode=RC_SEND_ONLY,nth=2")
        if key.strip() in fields:
            raise LocalError(f"{key.strip()} is given twice")
        fields[key.strip()] = value.strip()
    return rule_of(action.strip(), fields)


def rule_of(action: object, fields: Mapping[str, object]) -> FaultRule:
    """A rule of values as a file or a program gives them: text, numbers, or lists of opcode names."""
    values: dict[str, object] = {}
    for key, value in fields.items():
        reader = KEYS.get(key)
        if reader is None:
            raise LocalError(f"unknown key {key!r}; there are: {', '.join(KEYS)}")
        name, read = reader
        values[name] = read(key, value)
    return FaultRule(action=_member(FaultAction, "action", action), **values)  # type: ignore[arg-type]  # by KEYS


def rule_text(rule: FaultRule) -> str:
    """The compact form of a rule; `parse_rule` makes the same rule of it."""
    default = FaultRule(action=rule.action)
    parts = []
    for key, (name, _) in KEYS.items():
        value = getattr(rule, name)
        if value != getattr(default, name):
            parts.append(f"{key}={_value_text(key, value)}")
    return rule.action.value + (":" + ",".join(parts) if parts else "")


def _value_text(key: str, value: object) -> str:
    match value:
        case Enum():
            return str(value.value)
        case (first, last) if key == "nth":
            return str(first) if first == last else f"{first}..{'' if last is None else last}"
        case tuple():
            return "|".join(map(str, value))
    return str(value)


def _integer(key: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        return int(str(value), 0)
    except ValueError:
        raise LocalError(f"{key} is a whole number, not {value!r}") from None


def _probability(key: str, value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        raise LocalError(f"{key} is a number from 0 to 1, not {value!r}") from None


def _psn(key: str, value: object) -> PsnRange:
    if isinstance(value, PsnRange):
        return value
    match = re.fullmatch(rf"(\+?)({NUMBER})(?:\.\.\+?({NUMBER}))?", str(value).strip())
    if match is None:
        raise LocalError(
            f"{key} is a number, a range 5..9, or counted from the QP's first PSN: +5, +5..9; not {value!r}"
        )
    last = None if match[3] is None else int(match[3], 0)
    return PsnRange(int(match[2], 0), last, is_relative=bool(match[1]))


def _occurrence(key: str, value: object) -> tuple[int, int | None]:
    match = re.fullmatch(r"(\d+)(\.\.(\d*))?", str(value).strip())
    if match is None:
        raise LocalError(f"{key} is a number, a range 2..5, or 2.. for all from the second on; not {value!r}")
    first = int(match[1])
    if match[2] is None:
        return first, first
    return first, int(match[3]) if match[3] else None


def _duration(key: str, value: object) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ns|us|ms|s)?", str(value).strip())
    if match is None:
        raise LocalError(f"{key} is a time such as 1ms, 500us or 2s, or a number of nanoseconds; not {value!r}")
    return round(float(match[1]) * NANOSECONDS[match[2] or "ns"])


def _opcodes(key: str, value: object) -> tuple[str, ...]:  # noqa: ARG001 (one signature for all)
    names = value if isinstance(value, list | tuple) else str(value).split("|")
    return tuple(str(name).strip() for name in names)


def _direction(key: str, value: object) -> Direction:
    return _member(Direction, key, value)


def _icrc(key: str, value: object) -> Icrc:
    return _member(Icrc, key, value)


def _member(kind: type[AnyEnum], key: str, value: object) -> AnyEnum:
    if isinstance(value, kind):
        return value
    for member in kind:
        if member.value == str(value).lower():
            return member
    raise LocalError(f"{key} is one of {', '.join(str(member.value) for member in kind)}, not {value!r}")


NUMBER = r"0x[0-9a-fA-F]+|\d+"
NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
KEYS: dict[str, tuple[str, Callable[[str, object], object]]] = {
    "direction": ("direction", _direction),
    "qp": ("qp", _integer),
    "dest_qp": ("dest_qp", _integer),
    "psn": ("psn", _psn),
    "opcode": ("opcode", _opcodes),
    "nth": ("nth", _occurrence),
    "every": ("every", _integer),
    "probability": ("probability", _probability),
    "seed": ("seed", _integer),
    "copies": ("copies", _integer),
    "packets": ("packets", _integer),
    "delay": ("delay_ns", _duration),
    "byte": ("byte", _integer),
    "bit": ("bit", _integer),
    "icrc": ("icrc", _icrc),
}
"""Each key, the field of `FaultRule` that it sets, and what reads its value."""
