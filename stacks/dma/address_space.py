"""Which addresses belong to which attached buffer: the part that every memory of ours shares.

Each buffer begins a new slot of 64 GiB (several, if it is larger) and slots are never given twice. So a look-up is one
shift and one dictionary access, running off the end of a buffer never lands in the next, and an address that outlived
its buffer is never taken for another's.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from stacks.runtime.errors import LocalError


class Region(Protocol):
    """What an address space needs to know of an attached buffer."""

    @property
    def start(self) -> int:
        """The first address."""

    @property
    def end(self) -> int:
        """One past the last address."""


RegionT = TypeVar("RegionT", bound=Region)


class AddressSpace(Generic[RegionT]):
    """The regions of one `Dma`. `slots` is public for look-ups on a data path: `slots.get(address >> SLOT_SHIFT)`."""

    __slots__ = ("_next_slot", "epoch", "slots")

    def __init__(self) -> None:
        self.slots: dict[int, RegionT] = {}
        self.epoch = 0
        # Slot 0 stays empty: address 0 is nobody's.
        self._next_slot = 1

    @property
    def next_address(self) -> int:
        """Where the next region must begin."""
        return self._next_slot << SLOT_SHIFT

    def add(self, region: RegionT) -> None:
        """Enter a region that begins at `next_address`; raises LocalError when the 64-bit space is used up."""
        count = max(1, -((region.start - region.end) >> SLOT_SHIFT))
        if self._next_slot + count > _SLOTS:
            raise LocalError("the 64-bit address space is used up")
        for slot in range(self._next_slot, self._next_slot + count):
            self.slots[slot] = region
        self._next_slot += count

    def remove(self, address: int) -> RegionT:
        """Take out the region that begins at `address`; raises LocalError when none does. Raises the epoch."""
        region = self.slots.get(address >> SLOT_SHIFT)
        if region is None or region.start != address:
            raise LocalError(f"nothing is attached at address {address:#x}")
        slot = address >> SLOT_SHIFT
        while self.slots.get(slot) is region:
            del self.slots[slot]
            slot += 1
        self.epoch += 1
        return region

    def find(self, address: int, length: int) -> RegionT | None:
        """The region that holds all of [address, address + length), if one does."""
        region = self.slots.get(address >> SLOT_SHIFT)
        if region is None or length < 0 or address + length > region.end:
            return None
        return region


SLOT_SHIFT = 36
_SLOTS = 1 << (64 - SLOT_SHIFT)
