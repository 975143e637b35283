"""Flat memory: each buffer is one contiguous range, and a mapping is one slice of it."""

from __future__ import annotations

from stacks.dma.address_space import SLOT_SHIFT, AddressSpace
from stacks.dma.buffers import flat_view
from stacks.dma.contract import Direction, Fault


class FlatDma:
    """A `Dma` over buffers as they are: nothing is copied, and every mapping has one view."""

    __slots__ = ("_slots", "_space")

    def __init__(self) -> None:
        self._space: AddressSpace[_FlatRegion] = AddressSpace()
        self._slots = self._space.slots

    @property
    def epoch(self) -> int:
        """Rises at every `detach`."""
        return self._space.epoch

    @property
    def is_direct(self) -> bool:
        """Every buffer is one view, for as long as it is attached."""
        return True

    def attach(self, buffer: object, *, writable: bool = True) -> int:
        """Give a buffer an address aligned to 4 KiB; see the contract. The buffer cannot be resized until `detach`."""
        start = self._space.next_address
        self._space.add(_FlatRegion(start, flat_view(buffer, writable=writable), writable=writable))
        return start

    def detach(self, address: int) -> None:
        """Let go of the buffer at `address`; raises LocalError when none is there."""
        # Views that mappings still hold are exports of their own; they end with the mapping.
        self._space.remove(address).view.release()

    def map(self, address: int, length: int, direction: Direction) -> FlatMapping | Fault:
        """One view of the range, or an unrecoverable fault; an empty range maps anywhere, to no view."""
        if length == 0:
            return _EMPTY
        region = self._slots.get(address >> SLOT_SHIFT)
        if (
            region is None
            or length < 0
            or address + length > region.end
            or (direction is _WRITE and not region.is_writable)
        ):
            return Fault(address, direction, None)
        offset = address - region.start
        return FlatMapping((region.view[offset : offset + length],))


class FlatMapping:
    """A mapped range of memory that needs no word when it was written."""

    __slots__ = ("views",)

    def __init__(self, views: tuple[memoryview, ...]) -> None:
        self.views = views

    def wrote(self, length: int) -> None:
        """Nothing to do: the engine wrote the buffer itself."""


class _FlatRegion:
    __slots__ = ("end", "is_writable", "start", "view")

    def __init__(self, start: int, view: memoryview, *, writable: bool) -> None:
        self.start = start
        self.end = start + len(view)
        self.view = view
        self.is_writable = writable


_EMPTY = FlatMapping(())
_WRITE = Direction.WRITE_MEMORY
