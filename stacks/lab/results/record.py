"""What one run recorded: tables of integers and words, and the metrics worked out of them."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Column = array | Sequence[str]  # type: ignore[type-arg]
"""Integers (`q`), floating-point numbers (`d`), or words."""
Table = Mapping[str, Column]
Value = int | float | str | None


@dataclass(frozen=True, slots=True)
class Record:
    """A run.

    tables: `flows`, `links`; where samples were taken `series` (of flows) and `queues` (of links); where there is some,
    `traffic`; -1 in a table stands for nothing. states: the controllers' states, which `series` has by number.
    metrics: by name. events: data packets that crossed a queue. facts: what else its runner tells, in JSON's types: in
    real time `valid` and why.
    """

    tables: Mapping[str, Table]
    states: Sequence[str] = ()
    metrics: Mapping[str, Value] = field(default_factory=dict)
    events: int = 0
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def is_valid(self) -> bool:
        """Whether it counts: in real time a machine may be too slow for that."""
        return self.facts.get("valid") is not False

    def digest(self) -> str:
        """The same for two runs exactly when they recorded the same."""
        found = hashlib.sha256()
        for name, table in self.tables.items():
            for key, column in table.items():
                found.update(f"{name}.{key}:{len(column)};".encode())
                found.update(column.tobytes() if isinstance(column, array) else "\n".join(column).encode())
        found.update(repr((list(self.states), sorted(self.metrics.items()))).encode())
        return found.hexdigest()
