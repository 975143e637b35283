"""What the tests of overlays share: a base that nobody may change, and a layer over several lives of an overlay."""

from __future__ import annotations

import random
from collections.abc import Sequence

from stacks.nvme.stores import MemoryStore, Store
from stacks.nvme.stores.overlay import OverlayStore
from tests.stacks.nvme.vanishing_file import VanishingFile

SIZE = 1 << 20


class Golden(MemoryStore):
    """A base with something in it, that nobody may change."""

    def __init__(self, block_bytes: int = 4096, size_bytes: int = SIZE) -> None:
        super().__init__(size_bytes, block_bytes=block_bytes)
        self.is_closed = False
        rng = random.Random(99)
        for block in range(0, self.block_count, 7):
            super().write(block, [memoryview(bytes([1 + int(rng.random() * 255)]) * block_bytes)])

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        raise AssertionError

    def write_zeroes(self, block: int, blocks: int) -> None:
        raise AssertionError

    def close(self) -> None:
        self.is_closed = True


class Reusing:
    """A layer's file over several lives of an overlay."""

    def __init__(self, block_bytes: int = 4096, base: Store | None = None) -> None:
        self.file = VanishingFile()
        self.base = base or Golden(block_bytes)

    def open(self, **options: bool) -> OverlayStore:
        self.file.is_open = True
        return OverlayStore(self.base, self.file, name="changes.layer", **options)
