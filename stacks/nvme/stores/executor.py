"""Running store requests: the inline executor, and the seam for others.

A core that has store requests is a `StoreClient`; an executor is a driver's service: each `pump` takes what the core
hands out, runs it, and brings it back, before the driver sends what the core then has to say; later where the store
wants that (`held`). The one with worker threads is in `stacks.nvme.aio`, since it needs an event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stacks.nvme.stores.contract import FLUSH, StoreRequest, fail, run
from stacks.nvme.stores.held import HeldCompletions
from stacks.nvme.stores.portions import PORTION_BLOCKS, blocks_of


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
        self._held = HeldCompletions()

    def pump(self, now: int) -> bool:
        """Run what is there, and what follows from it, as far as one pass goes; True when there was anything."""
        did_anything = False
        left = PORTION_BLOCKS
        while left > 0:
            done = self._client.poll_store_requests()
            left -= blocks_of(done)
            for request in done:
                store = request.store
                assert store is not None
                if store.has_delays:
                    self._held.expect(request, now)
                run(request)
                did_anything = True
            if self._held.expected:
                done = self._held.sift(done, now)
            if not done:
                return did_anything
            self._client.handle_store_completions(done, now)
            did_anything = True
        return True

    def poll_deadline(self) -> int | None:
        """When a completion that a store wants late is due."""
        return self._held.poll_deadline()


def is_slow(request: StoreRequest) -> bool:
    """Whether the request's store says that this may block for long."""
    store = request.store
    assert store is not None
    slow = store.slow_verbs
    return bool(slow) and (request.verb in slow or (request.is_fua and FLUSH in slow))


def run_together(requests: Sequence[StoreRequest]) -> None:
    """Run requests of one store, in order, with one flush at the end for all that need one.

    What was written before a flush began is on the medium when it returns, so one serves everybody that waits.
    """
    flushing = []
    for request in requests:
        needs_flush, request.is_fua = request.is_fua or request.verb == FLUSH, False
        if request.verb != FLUSH:
            run(request)
        else:
            request.status = 0
        if needs_flush and not request.status:
            flushing.append(request)
    if not flushing:
        return
    store = flushing[0].store
    assert store is not None
    try:
        store.flush()
    except Exception as error:  # noqa: BLE001 (as in `run`)
        for request in flushing:
            fail(request, error)
