"""Tracing: a core is given one callable, or None, and reports to it what a person would want to follow.

On a data path the core tests `if trace is not None` itself, so that a silent core pays nothing for building a record.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

TraceValue = int | str | bytes | None


class Trace(Protocol):
    """What a core calls: the time, what happened (lower case, words joined by `_`), and its particulars."""

    def __call__(self, now: int, event: str, **fields: TraceValue) -> None: ...


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """One remembered call."""

    time_ns: int
    event: str
    fields: Mapping[str, TraceValue]

    def __str__(self) -> str:
        particulars = "".join(f" {name}={_text(value)}" for name, value in self.fields.items())
        return f"{self.time_ns / 1e9:.9f} {self.event}{particulars}"


class TraceLog:
    """A `Trace` that keeps the last `capacity` records."""

    __slots__ = ("_records",)

    def __init__(self, capacity: int = 1000) -> None:
        self._records: deque[TraceRecord] = deque(maxlen=capacity)

    def __call__(self, now: int, event: str, **fields: TraceValue) -> None:
        """Remember it, forgetting the oldest when full."""
        self._records.append(TraceRecord(now, event, fields))

    def __iter__(self) -> Iterator[TraceRecord]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)


def _text(value: TraceValue) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
