"""Running store requests: the inline executor, and the seam for others.

A core that has store requests is a `StoreClient`; an executor is a driver's service: each `pump` takes what the core
hands out, runs it, and brings it back, before the driver sends what the core then has to say. The one with worker
threads is in `stacks.nvme.aio`, since it needs an event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stacks.nvme.stores.contract import StoreRequest, run


class StoreClient(Protocol):
    """A core whose commands need stores."""

    def poll_store_requests(self) -> Sequence[StoreRequest]:
        """The requests since the last call, in order; empty when there are none."""

    def handle_store_completions(self, requests: Sequence[StoreRequest], now: int) -> None:
        """Requests that have been run; their status is set."""


class InlineExecutor:
    """Runs every verb in the caller's thread: for the simulator and for programs without an event loop."""

    def __init__(self, client: StoreClient) -> None:
        self._client = client

    def pump(self, now: int) -> bool:
        """Run what is there, and what follows from it; True when there was anything."""
        did_anything = False
        while requests := self._client.poll_store_requests():
            for request in requests:
                run(request)
            self._client.handle_store_completions(requests, now)
            did_anything = True
        return did_anything
