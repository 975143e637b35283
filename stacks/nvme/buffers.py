"""Staging buffers: data on its way between a host's memory and a store, or a program and the fabric.

A binding registers one piece of memory once; a pool cuts it into a few sizes and hands the pieces out.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence

from stacks.runtime import LocalError


class Buffer:
    """A piece of staging memory.

    view: all of it; address: where the binding's device sees it; size_class: which shelf of the pool it belongs to;
    held: the account of who has it, where that is kept.
    """

    __slots__ = ("address", "held", "size_class", "view")

    def __init__(self, view: memoryview, address: int, size_class: int) -> None:
        self.view = view
        self.address = address
        self.size_class = size_class
        self.held: list[int] | None = None


class BufferPool:
    """Staging memory in a few sizes, cut once from one registered piece.

    memory: writable, of `pool_bytes(shelves)` bytes; pages that are never used are never touched.
    address: where the binding's device sees its first byte.
    shelves: (bytes, count) pairs, smallest first; the largest must hold the largest transfer.
    Whoever finds nothing waits elsewhere, and tries again when something came back.
    """

    def __init__(self, memory: memoryview, address: int = 0, *, shelves: Sequence[tuple[int, int]]) -> None:
        if len(memory) < pool_bytes(shelves):
            raise LocalError(f"a buffer pool of {pool_bytes(shelves)} bytes does not fit into {len(memory)}")
        self.largest_bytes = shelves[-1][0]
        self._sizes = tuple(size for size, _ in shelves)
        self._free: list[list[Buffer]] = []
        offset = 0
        for shelf, (size, count) in enumerate(shelves):
            starts = range(offset, offset + size * count, size)
            self._free.append([Buffer(memory[at : at + size], address + at, shelf) for at in reversed(starts)])
            offset += size * count
        self._quotas = tuple((count + 1) // 2 for _, count in shelves)
        self._reserves = tuple(count // 4 for _, count in shelves)
        self._smallest_bytes, self._smallest = self._sizes[0], self._free[0]

    def new_account(self) -> list[int]:
        """What one user holds of each shelf; give it to `take` to bound that."""
        return [0] * len(self._sizes)

    def take(self, length: int, held: list[int] | None = None) -> Buffer | None:
        """A buffer of at least `length` bytes, or None when there is none to have now.

        held: the account of who takes it; he may have half of a shelf, except of the smallest, which is there for
        whole queues of small commands. A small command may have a larger buffer, but not the last quarter of a shelf.
        """
        if length <= self._smallest_bytes and self._smallest:
            return self._smallest.pop()
        shelf = self._shelf_for(length, held)
        if shelf < 0:
            return None
        buffer = self._free[shelf].pop()
        if shelf and held is not None:
            held[shelf] += 1
            buffer.held = held
        return buffer

    def has_room(self, length: int, held: list[int] | None = None) -> bool:
        """Whether `take` would find a buffer."""
        return self._shelf_for(length, held) >= 0

    def is_behind(self, length: int, held: list[int]) -> bool:
        """Whether buffers for `length` bytes are held by whose account that is, of any shelf that has them.

        Of the smallest shelf no account is kept, so everybody counts as a holder of those.
        """
        return length <= self._smallest_bytes or any(
            held[shelf] for shelf, size in enumerate(self._sizes) if length <= size
        )

    def give_back(self, buffer: Buffer) -> None:
        """Take a buffer back. The last used is handed out first: it is warm in the cache."""
        held = buffer.held
        if held is not None:
            held[buffer.size_class] -= 1
            buffer.held = None
        self._free[buffer.size_class].append(buffer)

    def _shelf_for(self, length: int, held: list[int] | None) -> int:
        spare = 0
        for shelf, size in enumerate(self._sizes):
            if length > size:
                continue
            is_over_quota = shelf and held is not None and held[shelf] >= self._quotas[shelf]
            if len(self._free[shelf]) > spare and not is_over_quota:
                return shelf
            if shelf + 1 < len(self._sizes):
                spare = self._reserves[shelf + 1]
        return -1

    @property
    def free_buffers(self) -> int:
        """How many buffers are on the shelves, of all sizes."""
        return sum(map(len, self._free))


def anonymous_memory(size: int) -> mmap.mmap:
    """Memory whose pages cost nothing until they are touched, for regions that are larger than what is used."""
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def pool_bytes(shelves: Sequence[tuple[int, int]]) -> int:
    """How much memory a pool with these shelves needs."""
    return sum(size * count for size, count in shelves)


DEFAULT_SHELVES = ((8 << 10, 256), (128 << 10, 64), (1 << 20, 16))
"""26 MiB of address space: small commands at full depth, large ones at the depth that fills a link."""
