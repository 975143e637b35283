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

import re
import tomllib
from collections.abc import Iterator

from stacks.rdma.faults.plan import FaultPlan, FaultRule
from stacks.rdma.faults.text import KEYS, rule_of
from stacks.runtime import LocalError


def load_plan(text: str, name: str = "plan") -> FaultPlan:
    """The plan in a TOML document; name: what errors call it, such as the file's path.

    LocalError, with the line and what is allowed, for anything that is no plan.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LocalError(f"{name}{_plain(str(error))}") from error
    for key in document:
        if key not in ("seed", "fault"):
            line = _line_of(key, text.splitlines(), 0)
            raise LocalError(f"{name}, line {line}: unknown key {key!r}; a plan has seed, and [[fault]] tables")
    seed, tables = document.get("seed", 0), document.get("fault", [])
    if not isinstance(seed, int):
        raise LocalError(f"{name}, line {_line_of('seed', text.splitlines(), 0)}: seed is a whole number, not {seed!r}")
    if not isinstance(tables, list):
        raise LocalError(f"{name}: a fault starts with [[fault]], in two pairs of brackets")
    return FaultPlan(tuple(_rules(text, name, tables)), seed)


def _rules(text: str, name: str, tables: list[object]) -> Iterator[FaultRule]:
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if re.match(r"\s*\[\[\s*fault\s*\]\]", line)]
    for index, table in enumerate(tables):
        start = starts[index] if index < len(starts) else 0
        if not isinstance(table, dict):
            raise LocalError(f"{name}, line {start + 1}: a fault is a table, which starts with [[fault]]")
        try:
            yield _rule(dict(table))
        except LocalError as error:
            line = _line_of(_culprit(dict(table)), lines, start)
            raise LocalError(f"{name}, line {line}: {error}") from error


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


def _line_of(key: str, lines: list[str], start: int) -> int:
    """The line, from 1, that sets `key` in the table that starts at `start`; the table's own when none does."""
    for number in range(start, len(lines)):
        if number > start and re.match(r"\s*\[", lines[number]):
            break
        if key and re.match(rf"""\s*["']?{re.escape(key)}["']?\s*=""", lines[number]):
            return number + 1
    return start + 1


def _plain(words: str) -> str:
    """A parser's complaint with the line in front, as all others have it."""
    match = re.search(r"\s*\(at line (\d+), column \d+\)$", words)
    return f": {words.lower()}" if match is None else f", line {match[1]}: {words[: match.start()].lower()}"
