"""A plan from a TOML document:

    seed = 7

    [[fault]]
    action = "drop"
    opcode = ["RC_SEND_ONLY", "nak"]
    psn = "+5..9"
    nth = 2

The keys of a fault are `action` and those of `stacks.rdma.faults.text`. Errors name the line.
"""

from __future__ import annotations

from collections.abc import Iterator

from stacks.rdma.faults.plan import FaultPlan, FaultRule
from stacks.rdma.faults.text import KEYS, rule_of
from stacks.runtime import LocalError
from stacks.runtime.toml_lines import key_line, parse_toml, table_lines


def load_plan(text: str, name: str = "plan") -> FaultPlan:
    """The plan in a TOML document; name: what errors call it, such as the file's path.

    LocalError, with the line and what is allowed, for anything that is no plan.
    """
    document = parse_toml(text, name)
    for key in document:
        if key not in ("seed", "fault"):
            line = key_line(text, key)
            raise LocalError(f"{name}:{line}: unknown key {key!r}; a plan has seed, and [[fault]] tables")
    seed, tables = document.get("seed", 0), document.get("fault", [])
    if not isinstance(seed, int):
        raise LocalError(f"{name}:{key_line(text, 'seed')}: seed is a whole number, not {seed!r}")
    if not isinstance(tables, list):
        raise LocalError(f"{name}: a fault starts with [[fault]], in two pairs of brackets")
    return FaultPlan(tuple(_rules(text, name, tables)), seed)


def _rules(text: str, name: str, tables: list[object]) -> Iterator[FaultRule]:
    starts = table_lines(text, "fault")
    for index, table in enumerate(tables):
        start = starts[index] if index < len(starts) else 1
        if not isinstance(table, dict):
            raise LocalError(f"{name}:{start}: a fault is a table, which starts with [[fault]]")
        try:
            yield _rule(dict(table))
        except LocalError as error:
            line = key_line(text, _culprit(dict(table)), start)
            raise LocalError(f"{name}:{line}: {error}") from error


def _rule(table: dict[str, object]) -> FaultRule:
    if "action" not in table:
        raise LocalError('a fault needs an action, such as action = "drop"')
    return rule_of(table.pop("action"), table)


def _culprit(table: dict[str, object]) -> str:
    """The key whose absence or solitude shows that it is at fault; empty when it takes several."""
    action = table.pop("action", None)
    for key, value in table.items():
        if key not in KEYS:
            return key
        try:
            rule_of(action, {key: value})
        except LocalError:
            return key if _is_action(action) else "action"
    return "" if action is None or _is_action(action) else "action"


def _is_action(action: object) -> bool:
    try:
        rule_of(action, {})
    except LocalError:
        return False
    return True
