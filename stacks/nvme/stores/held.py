"""Completions that are held back because their stores want them late: what executors have of delays.

A store knows no time. It says how long a request takes at the least (`Store.delay_ns`), the executor notes when that
is over (`expect`), runs the verb as ever, and lets the completion go when both are done (`sift`).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from stacks.nvme.stores.contract import StoreRequest


class HeldCompletions:
    """Requests with a delay, from their arrival to the end of it.

    expected: those that are not over, by when they may complete; while it is empty there is nothing to ask here.
    """

    def __init__(self) -> None:
        self.expected: dict[StoreRequest, int] = {}
        self._ready: list[tuple[int, int, StoreRequest]] = []
        self._count = 0

    def expect(self, request: StoreRequest, now: int) -> None:
        """Note a request that came at `now`, before its verb is called."""
        store = request.store
        assert store is not None
        try:
            delay_ns = store.delay_ns(request)
        except Exception:  # noqa: BLE001 (a store is anybody's code; what it cannot say is no delay)
            return
        if delay_ns:
            self.expected[request] = now + delay_ns

    def sift(self, done: Sequence[StoreRequest], now: int) -> list[StoreRequest]:
        """Take requests whose verbs have been called; those that may complete now, of them and of earlier ones."""
        free: list[StoreRequest] = []
        for request in done:
            due_ns = self.expected.get(request)
            if due_ns is None:
                free.append(request)
            else:
                self._count += 1
                heapq.heappush(self._ready, (due_ns, self._count, request))
        while self._ready and self._ready[0][0] <= now:
            request = heapq.heappop(self._ready)[2]
            del self.expected[request]
            free.append(request)
        return free

    def poll_deadline(self) -> int | None:
        """When the next completion is due; None while none waits for the time alone."""
        return self._ready[0][0] if self._ready else None
