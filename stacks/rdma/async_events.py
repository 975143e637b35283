"""Asynchronous events: what belongs to no work request (IBTA 11.6.3)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stacks.rdma.counters import RdmaCounters
from stacks.rdma.enums import AsyncEventType

if TYPE_CHECKING:
    from stacks.rdma.completion import Cq
    from stacks.rdma.qp import Qp
    from stacks.rdma.srq import Srq


@dataclass(frozen=True, slots=True)
class AsyncEvent:
    """An event, with what it concerns; one of the port or the device concerns none of them."""

    kind: AsyncEventType
    qp: Qp | None = None
    cq: Cq | None = None
    srq: Srq | None = None


class EventQueue:
    """The events of one device; while nobody takes them, only the first MAX_EVENTS are kept."""

    def __init__(self, counters: RdmaCounters) -> None:
        self._counters = counters
        self._events: deque[AsyncEvent] = deque()

    def add(self, event: AsyncEvent) -> None:
        """Queue an event, or count it where there is no room."""
        if len(self._events) < MAX_EVENTS:
            self._events.append(event)
        else:
            self._counters.dropped_async_events += 1

    def poll(self) -> AsyncEvent | None:
        """The next event, or None."""
        return self._events.popleft() if self._events else None

    def forget(self, subject: Qp | Cq | Srq) -> None:
        """Drop the events that concern what is being destroyed."""
        if self._events:
            self._events = deque(event for event in self._events if subject not in (event.qp, event.cq, event.srq))


MAX_EVENTS = 1024
