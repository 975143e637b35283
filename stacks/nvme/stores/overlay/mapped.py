"""Blocks that are partly in a base and partly in a layer, for reading: what an overlay and its snapshots share."""

from __future__ import annotations

import errno
import threading

from stacks.nvme.stores.contract import READ, Store
from stacks.nvme.stores.overlay.block_map import ABSENT, ZERO, BlockMap
from stacks.nvme.stores.overlay.cells import FIRST_CELL
from stacks.nvme.stores.overlay.layer import LayerFile


class MappedStore(Store):
    """The blocks of a map. lock: held for every use of maps, and of the cells that they lead to."""

    def __init__(self, base: Store, layer: LayerFile, block_map: BlockMap, lock: threading.Lock) -> None:
        self.block_bytes = layer.known_state.block_bytes
        self.block_count = layer.known_state.block_count
        self.slow_verbs = base.slow_verbs & {READ}
        self._base = base
        self._layer = layer
        self._lock = lock
        self._map = block_map

    def read(self, block: int, into: memoryview) -> None:
        """Read each run of blocks from where it is."""
        size = self.block_bytes
        with self._lock:
            entries = self._map.entries(block, len(into) // size)
            first, count = 0, len(entries)
            while first < count:
                entry, last = entries[first], first + 1
                step = 1 if entry >= FIRST_CELL else 0
                while last < count and entries[last] == entry + step * (last - first):
                    last += 1
                self._read_run(entry, block + first, into[first * size : last * size])
                first = last

    def view(self, block: int, blocks: int) -> memoryview | None:
        """The base's, where nothing has changed."""
        with self._lock:
            is_changed = any(self._map.entries(block, blocks))
        return None if is_changed else self._base.view(block, blocks)

    def _read_run(self, entry: int, block: int, into: memoryview) -> None:
        if entry == ABSENT:
            self._base.read(block, into)
        elif entry == ZERO:
            into[:] = bytes(len(into))
        elif self._layer.file.read_into(entry * self.block_bytes, into) != len(into):
            raise OSError(errno.EIO, "the layer is damaged: its file is shorter than it was")
