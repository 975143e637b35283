"""Keyed deadlines for a core: `arm`, `cancel`, `next_deadline`, `expired`.

A data path re-arms its retransmission timer at every acknowledgement, nearly always to a later time. So `arm` only
writes the new deadline down: the heap keeps one entry for each key, which may be too early, and is moved to its true
place when it comes to the top. Only a deadline earlier than that entry costs a push.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Timers(Generic[Key]):
    """Any number of timers, each under its key. Times are integer nanoseconds of the clock that the core is given."""

    __slots__ = ("_deadlines", "_heap", "_queued", "_sequence")

    def __init__(self) -> None:
        self._deadlines: dict[Key, int] = {}
        # (time, tie-break, key); an entry counts only while `_queued` names its time.
        self._heap: list[tuple[int, int, Key]] = []
        self._queued: dict[Key, int] = {}
        self._sequence = 0

    def arm(self, key: Key, deadline_ns: int) -> None:
        """Set the timer, or move it if it is set."""
        self._deadlines[key] = deadline_ns
        queued_ns = self._queued.get(key)
        if queued_ns is None or deadline_ns < queued_ns:
            self._push(key, deadline_ns)

    def cancel(self, key: Key) -> None:
        """Clear the timer; nothing happens when it is not set."""
        self._deadlines.pop(key, None)

    def is_armed(self, key: Key) -> bool:
        """Whether the timer is set and has not expired."""
        return key in self._deadlines

    def deadline(self, key: Key) -> int | None:
        """When this timer expires, or None when it is not set."""
        return self._deadlines.get(key)

    def next_deadline(self) -> int | None:
        """The earliest deadline of all, or None when none is set."""
        heap = self._heap
        while heap:
            time_ns, _, key = heap[0]
            if self._queued.get(key) != time_ns:
                heapq.heappop(heap)
                continue
            deadline_ns = self._deadlines.get(key)
            if deadline_ns == time_ns:
                return time_ns
            heapq.heappop(heap)
            del self._queued[key]
            if deadline_ns is not None:
                self._push(key, deadline_ns)
        return None

    def expired(self, now: int) -> list[Key]:
        """The keys whose deadline is `now` or before, in order of their deadlines; they are no longer set."""
        keys: list[Key] = []
        while (deadline_ns := self.next_deadline()) is not None and deadline_ns <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._queued[key], self._deadlines[key]
            keys.append(key)
        return keys

    def _push(self, key: Key, deadline_ns: int) -> None:
        if len(self._heap) > 2 * len(self._queued) + _SLACK:
            self._heap = [entry for entry in self._heap if self._queued.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)
        self._sequence += 1
        self._queued[key] = deadline_ns
        heapq.heappush(self._heap, (deadline_ns, self._sequence, key))


# Superseded entries are swept when they outnumber the live ones by this many: on average, sweeping costs nothing.
_SLACK = 64
