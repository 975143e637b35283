"""Stores that keep everybody waiting: requests are run when a test says so, as in a slow thread."""

from __future__ import annotations

from stacks.nvme.stores import MemoryStore, StoreRequest
from stacks.nvme.stores.contract import run
from stacks.nvme.target import Target


class HoldingExecutor:
    """Runs nothing while `is_holding`; what it then has looks at memory no earlier than it is run."""

    def __init__(self, target: Target) -> None:
        self.is_holding = False
        self.held: list[StoreRequest] = []
        self._target = target

    def pump(self, now: int) -> bool:
        """Take what there is, and run it unless it is held."""
        did_anything = False
        while requests := self._target.poll_store_requests():
            self.held += requests
            did_anything = not self.is_holding or did_anything
            if self.is_holding:
                break
            self.release(now)
        return did_anything

    def release(self, now: int, count: int = 1 << 30) -> None:
        """Run the first `count` of what is held."""
        requests, self.held = self.held[:count], self.held[count:]
        for request in requests:
            run(request)
        self._target.handle_store_completions(requests, now)


class CopyingStore(MemoryStore):
    """A memory store that lends nothing, so that each read needs a buffer."""

    def view(self, block: int, blocks: int) -> memoryview | None:
        """None."""
        return None
