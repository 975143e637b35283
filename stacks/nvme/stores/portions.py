"""How much is done in one pass: of each store so much, and the rest in the passes that follow.

One host's queue full of large requests would otherwise keep every other host waiting, whatever store that one uses. The
rest stays with the core, which may still take it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from stacks.nvme.stores.contract import StoreRequest

Request = TypeVar("Request", bound=StoreRequest)


def portion_of(requests: Sequence[Request]) -> tuple[Sequence[Request], Sequence[Request]]:
    """What of `requests` is to be run now, and what waits; both in order for each store."""
    if blocks_of(requests) <= PORTION_BLOCKS:
        return requests, ()
    left: dict[int, int] = {}
    now: list[Request] = []
    later: list[Request] = []
    for request in requests:
        store = id(request.store)
        room = left.get(store, PORTION_BLOCKS)
        (now if room > 0 else later).append(request)
        left[store] = room - max(1, request.blocks)
    return now, later


def blocks_of(requests: Sequence[StoreRequest]) -> int:
    """How many blocks requests are about."""
    blocks = 0
    for request in requests:
        blocks += request.blocks
    return blocks


PORTION_BLOCKS = 4096
"""Of one store in a pass: 16 MiB in blocks of 4096 bytes, some milliseconds in memory."""
