"""Scattered memory: 4 KiB pages on frames that do not follow each other, as a virtual machine or an MMU hands them out.

An engine that works here slices nothing on its own. No buffer of a program is laid out like this, so `attach` copies
the bytes in, and the owner reads and writes them with `read` and `write`; its own buffer stays as it was.
"""

from __future__ import annotations

from itertools import pairwise

from stacks.dma.address_space import AddressSpace
from stacks.dma.buffers import flat_view
from stacks.dma.contract import Direction, Fault
from stacks.dma.flat import FlatMapping
from stacks.runtime.errors import LocalError


class ScatteredDma:
    """A `Dma` whose mappings have a view for each page that they touch."""

    __slots__ = ("_space",)

    def __init__(self) -> None:
        self._space: AddressSpace[_ScatteredRegion] = AddressSpace()

    @property
    def epoch(self) -> int:
        """Rises at every `detach`."""
        return self._space.epoch

    @property
    def is_direct(self) -> bool:
        """A range is as many views as it touches pages."""
        return False

    def attach(self, buffer: object, *, writable: bool = True) -> int:
        """Copy a buffer into fresh frames and return its address; raises LocalError as the contract says."""
        region = _ScatteredRegion(self._space.next_address, flat_view(buffer, writable=writable), writable=writable)
        self._space.add(region)
        return region.start

    def detach(self, address: int) -> None:
        """Give up the frames of the region at `address`; raises LocalError when none is there."""
        self._space.remove(address)

    def map(self, address: int, length: int, direction: Direction) -> FlatMapping | Fault:
        """A view for each page of the range, or an unrecoverable fault; an empty range maps anywhere, to no view."""
        if length == 0:
            return FlatMapping(())
        region = self._space.find(address, length)
        if region is None or (direction is Direction.WRITE_MEMORY and not region.is_writable):
            return Fault(address, direction, None)
        return FlatMapping(region.views(address - region.start, length))

    def read(self, address: int, length: int) -> bytes:
        """A copy of the memory, for its owner; raises LocalError when the range is not attached."""
        return b"".join(self._owned(address, length))

    def write(self, address: int, data: bytes) -> None:
        """Change the memory, as its owner; raises LocalError when the range is not attached."""
        done = 0
        for view in self._owned(address, len(data)):
            view[:] = data[done : done + len(view)]
            done += len(view)

    def _owned(self, address: int, length: int) -> tuple[memoryview, ...]:
        region = self._space.find(address, length)
        if region is None:
            raise LocalError(f"{length} bytes at {address:#x} are not attached")
        return region.views(address - region.start, length)


class _ScatteredRegion:
    __slots__ = ("_frames", "_page_count", "end", "is_writable", "start")

    def __init__(self, start: int, content: memoryview, *, writable: bool) -> None:
        self.start = start
        self.end = start + len(content)
        self.is_writable = writable
        self._page_count = -(-len(content) // PAGE_BYTES)
        self._frames = memoryview(bytearray(self._page_count * PAGE_BYTES))
        done = 0
        for view in self.views(0, len(content)):
            view[:] = content[done : done + len(view)]
            done += len(view)

    def views(self, offset: int, length: int) -> tuple[memoryview, ...]:
        end = offset + length
        first_boundary = offset - offset % PAGE_BYTES + PAGE_BYTES
        cuts = [offset, *range(first_boundary, end, PAGE_BYTES), end]
        return tuple(self._view(start, stop) for start, stop in pairwise(cuts))

    def _view(self, start: int, stop: int) -> memoryview:
        # The frames run backwards, so that no page of a region is followed by its neighbour.
        page, within = divmod(start, PAGE_BYTES)
        at = (self._page_count - 1 - page) * PAGE_BYTES + within
        return self._frames[at : at + stop - start]


PAGE_BYTES = 4096
