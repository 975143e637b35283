"""Enums written down as tables: a C header has some sixty of them, and their numbers are all that they say."""

from __future__ import annotations

import enum
from typing import TypeAlias

EnumTable: TypeAlias = dict[str, tuple[str, str]]
"""Class name to the prefix that its members share, and the members as words "NAME=number"."""


def members(table: EnumTable, module: str) -> dict[str, object]:
    """The classes of a table and all their members, by their full names; `module` is where they will live."""
    namespace: dict[str, object] = {}
    for class_name, (prefix, words) in table.items():
        pairs = (word.split("=") for word in words.split())
        values = [(prefix + name, int(number, 0)) for name, number in pairs]
        # mypy wants an enum's name and members written out.
        created = enum.IntEnum(class_name, values, module=module)  # type: ignore[misc]
        namespace[class_name] = created
        namespace.update(created.__members__)
    return namespace
