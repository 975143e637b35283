"""State machines as data: an enum of states, an enum of events, one table, one function that applies it.

What a core does on a transition stays in the core; the table only says which transitions there are, so that the whole
machine can be read, drawn, and compared with a reviewed snapshot.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping
from typing import Final, Generic, TypeVar

from stacks.runtime.errors import LocalError


class Verdict(enum.Enum):
    """What becomes of an event that moves nothing."""

    IGNORE = "ignore"
    """Expected here and without effect: a duplicate, or news that is no news."""
    DROP = "drop"
    """Not allowed here: the core counts it and forgets it."""


IGNORE: Final = Verdict.IGNORE
DROP: Final = Verdict.DROP

State = TypeVar("State", bound=enum.Enum)
Event = TypeVar("Event", bound=enum.Enum)


class StateTable(Generic[State, Event]):
    """One state machine; immutable, shared by all its instances.

    name: used in errors and in drawings.
    states, events: the enums, or the members that this machine has; those of an IntEnum are looked up faster. The first
        state is where it begins.
    entries: (state, event) to the next state, IGNORE or DROP.
    commands: the events that a caller causes. One without an entry is his mistake; any other event without an entry
        came from a peer or a clock, and is dropped.
    """

    __slots__ = ("_commands", "_entries", "_events", "_states", "name")

    def __init__(
        self,
        name: str,
        states: Iterable[State],
        *,
        events: Iterable[Event],
        entries: Mapping[tuple[State, Event], State | Verdict],
        commands: Collection[Event] = (),
    ) -> None:
        self.name = name
        self._states = tuple(states)
        self._events = tuple(events)
        self._entries = dict(entries)
        self._commands = frozenset(commands)

    def apply(self, state: State, event: Event) -> State | Verdict:
        """The next state, or IGNORE or DROP; raises LocalError for a command that `state` does not allow."""
        outcome = self._entries.get((state, event))
        if outcome is not None:
            return outcome
        if event in self._commands:
            raise LocalError(f"{self.name}: {event.name} is not possible in state {state.name}")
        return DROP

    def render(self) -> str:
        """The full table as text, a row an event and a column a state, for snapshots and documents."""
        header = ["", *(state.name for state in self._states)]
        rows = [[event.name, *(self._cell(state, event) for state in self._states)] for event in self._events]
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        return "".join(_line(row, widths) for row in [header, *rows])

    def to_mermaid(self) -> str:
        """The graph of all transitions that change the state, as a mermaid state diagram."""
        edges: dict[tuple[str, str], list[str]] = {}
        for (state, event), outcome in self._entries.items():
            if not isinstance(outcome, Verdict) and outcome is not state:
                edges.setdefault((state.name, outcome.name), []).append(event.name)
        lines = [f"    {before} --> {after}: {', '.join(names)}" for (before, after), names in edges.items()]
        return "\n".join(["stateDiagram-v2", f"    [*] --> {self._states[0].name}", *lines]) + "\n"

    def _cell(self, state: State, event: Event) -> str:
        outcome = self._entries.get((state, event))
        if outcome is None:
            return "error" if event in self._commands else "drop"
        return outcome.value if isinstance(outcome, Verdict) else outcome.name


def _line(cells: list[str], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() + "\n"
