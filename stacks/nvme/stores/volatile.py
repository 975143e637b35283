"""A volatile write cache in front of a store, whose power can be cut: for tests of Flush and FUA.

Changes stay in the cache and go to the inner store when a flush completes, or when the cache is full. A power cut
drops each change since then, or tears it: some of its blocks reach the medium and others do not. Blocks themselves
never tear, which is what AWUPF 0 promises (NVM Command Set 1.0 2.1.4).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from stacks.nvme.stores.contract import Store
from stacks.nvme.stores.wrapper import StoreWrapper


class VolatileStore(StoreWrapper):
    """`inner` behind a cache; `rng` decides what a power cut does to each unflushed change.

    flushes: how many completed. dropped, torn: changes that power cuts dropped, and tore.
    """

    def __init__(self, inner: Store, rng: random.Random) -> None:
        super().__init__(inner)
        # Everything is in the caller's thread: the cache is not made for two.
        self.slow_verbs = frozenset()
        self.flushes = 0
        self.dropped = 0
        self.torn = 0
        self._rng = rng
        # First block, and one item for each block: what it holds, None for zeroes.
        self._log: list[tuple[int, Sequence[bytes | None]]] = []
        self._logged_blocks = 0
        self._cache: dict[int, bytes | None] = {}

    def read(self, block: int, into: memoryview) -> None:
        """Read through the cache."""
        self.inner.read(block, into)
        size = self.block_bytes
        for index in range(len(into) // size):
            if (number := block + index) in self._cache:
                into[index * size : (index + 1) * size] = self._cache[number] or bytes(size)

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        """Write into the cache."""
        content, size = b"".join(data), self.block_bytes
        self._change(block, [content[at : at + size] for at in range(0, len(content), size)])

    def flush(self) -> None:
        """Bring every cached change to the inner store, and flush that."""
        self._write_back()
        self.inner.flush()
        self.flushes += 1

    def deallocate(self, block: int, blocks: int) -> None:
        """Deallocated blocks read as zeroes at once; where the inner store does not promise that, nothing is done."""
        if self.is_zero_after_deallocate:
            self.write_zeroes(block, blocks)

    def write_zeroes(self, block: int, blocks: int) -> None:
        """Put zeroes into the cache; many go straight to the inner store."""
        if blocks <= ZEROED_BLOCKS_MAX:
            self._change(block, [None] * blocks)
        else:
            self._write_back()
            self.inner.write_zeroes(block, blocks)

    def view(self, block: int, blocks: int) -> memoryview | None:
        """The inner store's, where nothing of it is in the cache."""
        is_cached = self._cache and any(block + index in self._cache for index in range(blocks))
        return None if is_cached else self.inner.view(block, blocks)

    def resize(self, size_bytes: int, *, may_shrink: bool = False) -> None:
        """As the inner store, with nothing in the cache."""
        self._write_back()
        super().resize(size_bytes, may_shrink=may_shrink)

    def close(self) -> None:
        """Flush, and close the inner store."""
        try:
            self.flush()
        finally:
            self.inner.close()

    def power_cut(self) -> None:
        """Lose the cache: each change in it is dropped, or torn into the blocks that made it and those that did not."""
        for block, contents in self._log:
            if self._rng.random() < DROP_SHARE:
                self.dropped += 1
            else:
                self.torn += 1
                for number, content in enumerate(contents, block):
                    if self._rng.random() < TORN_BLOCK_SHARE:
                        self._apply(number, [content])
        self._forget()

    def _change(self, block: int, contents: Sequence[bytes | None]) -> None:
        self._log.append((block, contents))
        self._cache.update(enumerate(contents, block))
        self._logged_blocks += len(contents)
        if self._logged_blocks * self.block_bytes > CACHED_BYTES_MAX:
            self._write_back()

    def _write_back(self) -> None:
        for block, contents in self._log:
            self._apply(block, contents)
        self._forget()

    def _apply(self, block: int, contents: Sequence[bytes | None]) -> None:
        if contents[0] is None:
            self.inner.write_zeroes(block, len(contents))
        else:
            self.inner.write(block, [memoryview(b"".join(content for content in contents if content is not None))])

    def _forget(self) -> None:
        self._log.clear()
        self._logged_blocks = 0
        self._cache.clear()


DROP_SHARE = 0.5
TORN_BLOCK_SHARE = 0.5

CACHED_BYTES_MAX = 64 << 20
"""More is written back without a flush, as the cache of a drive would be."""
ZEROED_BLOCKS_MAX = 4096
