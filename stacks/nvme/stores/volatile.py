"""A volatile write cache in front of a store, whose power can be cut: for tests of Flush and FUA.

Writes stay in the cache and go to the inner store when a flush completes. A power cut drops each write since then,
or tears it: some of its blocks reach the medium and others do not. Blocks themselves never tear, which is what
AWUPF 0 promises (NVM Command Set 1.0 2.1.4).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from stacks.nvme.stores.contract import Store


class VolatileStore(Store):
    """`inner` behind a cache; `rng` decides what a power cut does to each unflushed write."""

    def __init__(self, inner: Store, rng: random.Random) -> None:
        self.block_bytes = inner.block_bytes
        self.block_count = inner.block_count
        self.inner = inner
        self.flushes = 0
        self.dropped = 0
        self.torn = 0
        self._rng = rng
        self._log: list[tuple[int, bytes]] = []
        self._cache: dict[int, bytes] = {}

    def read(self, block: int, into: memoryview) -> None:
        """Read through the cache."""
        self.inner.read(block, into)
        size = self.block_bytes
        for index in range(len(into) // size):
            if (cached := self._cache.get(block + index)) is not None:
                into[index * size : (index + 1) * size] = cached

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        """Write into the cache."""
        content, size = b"".join(data), self.block_bytes
        self._log.append((block, content))
        for index in range(len(content) // size):
            self._cache[block + index] = content[index * size : (index + 1) * size]

    def flush(self) -> None:
        """Bring every cached write to the inner store, and flush that."""
        for block, content in self._log:
            self.inner.write(block, [memoryview(content)])
        self.inner.flush()
        self._forget()
        self.flushes += 1

    def power_cut(self) -> None:
        """Lose the cache: each write in it is dropped, or torn into the blocks that made it and those that did not."""
        for block, content in self._log:
            if self._rng.random() < DROP_SHARE:
                self.dropped += 1
            else:
                self.torn += 1
                self._tear(block, content)
        self._forget()

    def _tear(self, block: int, content: bytes) -> None:
        size = self.block_bytes
        for index in range(len(content) // size):
            if self._rng.random() < TORN_BLOCK_SHARE:
                self.inner.write(block + index, [memoryview(content)[index * size : (index + 1) * size]])

    def _forget(self) -> None:
        self._log.clear()
        self._cache.clear()


DROP_SHARE = 0.5
TORN_BLOCK_SHARE = 0.5
