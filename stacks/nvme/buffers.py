"""Staging buffers: data on its way between a host's memory and a store, or a program and the fabric.

A binding registers one piece of memory once; a pool cuts it into a few sizes and hands the pieces out.
"""

from __future__ import annotations

from collections.abc import Sequence

from stacks.runtime import LocalError


class Buffer:
    """A piece of staging memory.

    view: all of it; address: where the binding's device sees it; size_class: which shelf of the pool it belongs to.
    """

    __slots__ = ("address", "size_class", "view")

    def __init__(self, view: memoryview, address: int, size_class: int) -> None:
        self.view = view
        self.address = address
        self.size_class = size_class


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
        self._smallest_bytes, self._smallest = self._sizes[0], self._free[0]

    def take(self, length: int) -> Buffer | None:
        """A buffer of at least `length` bytes, or None when all that are long enough are in use."""
        if length <= self._smallest_bytes and self._smallest:
            return self._smallest.pop()
        for size, free in zip(self._sizes, self._free, strict=True):
            if length <= size and free:
                return free.pop()
        return None

    def has_room(self, length: int) -> bool:
        """Whether `take` would find a buffer."""
        return any(length <= size and free for size, free in zip(self._sizes, self._free, strict=True))

    def give_back(self, buffer: Buffer) -> None:
        """Take a buffer back. The last used is handed out first: it is warm in the cache."""
        self._free[buffer.size_class].append(buffer)

    @property
    def free_buffers(self) -> int:
        """How many buffers are on the shelves, of all sizes."""
        return sum(map(len, self._free))


def pool_bytes(shelves: Sequence[tuple[int, int]]) -> int:
    """How much memory a pool with these shelves needs."""
    return sum(size * count for size, count in shelves)


DEFAULT_SHELVES = ((8 << 10, 256), (128 << 10, 64), (1 << 20, 16))
"""26 MiB of address space: small commands at full depth, large ones at the depth that fills a link."""
