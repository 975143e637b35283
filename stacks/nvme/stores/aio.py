"""Store requests under trio: quick verbs at once, slow ones in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio

from stacks.nvme.stores.contract import StoreRequest, run
from stacks.nvme.stores.executor import StoreClient, is_slow, run_together
from stacks.nvme.stores.held import HeldCompletions
from stacks.nvme.stores.portions import PORTION_BLOCKS, blocks_of


class ThreadExecutor:
    """Runs store requests: quick verbs inline, slow ones in a worker thread for each store.

    client: whose requests; wake: has the driver make a pass, or each driver when the executor is a service of several
    (`is_shared`). `run` must be running while requests come.
    """

    def __init__(self, client: StoreClient, wake: Callable[[], None]) -> None:
        self.is_shared = False
        self._client = client
        self._wake = wake
        self._slow: dict[int, deque[StoreRequest]] = {}
        self._finished: list[StoreRequest] = []
        self._held = HeldCompletions()
        self._nursery: trio.Nursery | None = None

    def pump(self, now: int) -> bool:
        """Run what is there, and bring back what the threads have run."""
        did_anything = False
        left = PORTION_BLOCKS
        while left > 0:
            done, self._finished = self._finished, []
            requests = self._client.poll_store_requests()
            left -= blocks_of(requests)
            for request in requests:
                did_anything = True
                store = request.store
                assert store is not None
                if store.has_delays:
                    self._held.expect(request, now)
                if is_slow(request):
                    self._hand_over(request)
                else:
                    run(request)
                    done.append(request)
            if self._held.expected:
                done = self._held.sift(done, now)
            if not done:
                return did_anything
            self._client.handle_store_completions(done, now)
            did_anything = True
            if self.is_shared:
                # The answers may belong to the core of another driver.
                self._wake()
        return True

    def poll_deadline(self) -> int | None:
        """When a completion that a store wants late is due."""
        return self._held.poll_deadline()

    async def run(self) -> None:
        """Keep the threads; when cancelled, waits for the verb that each is in."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    def _hand_over(self, request: StoreRequest) -> None:
        # A nursery that is closing takes no new tasks: what comes after the end of serving is not run.
        waiting = self._slow.get(id(request.store))
        if waiting is not None:
            waiting.append(request)
        elif self._nursery is not None:
            self._slow[id(request.store)] = deque([request])
            self._nursery.start_soon(self._work, id(request.store))

    async def _work(self, store: int) -> None:
        waiting = self._slow[store]
        try:
            while waiting:
                batch = list(waiting)
                waiting.clear()
                # Not abandoned when cancelled: the thread writes into buffers that are given back afterwards.
                await trio.to_thread.run_sync(run_together, batch)
                self._finished += batch
                self._wake()
        finally:
            del self._slow[store]
