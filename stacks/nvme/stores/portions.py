"""How much an executor does in one pass: of each store so much, and the rest in the passes that follow.

One host's queue full of large requests would otherwise keep every other host waiting, whatever store that one uses.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from stacks.nvme.stores.contract import StoreRequest


class Portions:
    """Requests that wait for their pass, in order for each store."""

    def __init__(self) -> None:
        self._waiting: dict[int, deque[StoreRequest]] = {}

    def next(self, requests: Sequence[StoreRequest]) -> tuple[Sequence[StoreRequest], int]:
        """What of `requests`, and of those that wait, is to be run now, and how many blocks that is."""
        blocks = 0
        for request in requests:
            blocks += request.blocks
        if not self._waiting and blocks <= PORTION_BLOCKS:
            return requests, blocks
        for request in requests:
            self._waiting.setdefault(id(request.store), deque()).append(request)
        portion: list[StoreRequest] = []
        blocks = 0
        for store, waiting in list(self._waiting.items()):
            left = PORTION_BLOCKS
            while waiting and left > 0:
                request = waiting.popleft()
                left -= max(1, request.blocks)
                portion.append(request)
            blocks += PORTION_BLOCKS - left
            if not waiting:
                del self._waiting[store]
        return portion, blocks


PORTION_BLOCKS = 4096
"""Of one store in a pass: 16 MiB in blocks of 4096 bytes, some milliseconds in memory."""
