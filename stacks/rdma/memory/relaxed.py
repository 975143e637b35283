"""Relaxed ordering, on purpose: what arrives for a region with RELAXED_ORDERING reaches memory in any order.

A device may reorder the data of WRITEs and SENDs on their way into such a region, but not past what a program can see:
a completion, an acknowledgement, a READ, an atomic, a FLUSH (manual page ibv_reg_mr). Real ones do
so when it suits them; with `MemoryConfig.relaxed_seed` this one does always, by a seeded permutation, so that programs
that poll the last byte of a buffer are found out. Regions without the flag keep their order. No shortcut applies then.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from stacks.dma.contract import Dma, Fault
from stacks.rdma.memory.region import HostRegion

if TYPE_CHECKING:
    from stacks.rdma.memory.pd import Pd


class RelaxedWrites:
    """What one device has taken and not put into memory yet, at most `MAX_WRITES` packets."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._writes: list[tuple[RelaxedRegion, int, bytes]] = []

    def put(self, region: RelaxedRegion, address: int, data: memoryview) -> None:
        """Take the data of a packet; the caller has checked that the memory is there."""
        self._writes.append((region, address, bytes(data)))
        if len(self._writes) > MAX_WRITES:
            self._put_one(self._writes)

    def settle(self) -> None:
        """Put everything into memory, in an order of chance: something that a program can see comes next."""
        writes, self._writes = self._writes, []
        while writes:
            self._put_one(writes)

    def _put_one(self, writes: list[tuple[RelaxedRegion, int, bytes]]) -> None:
        region, address, data = writes.pop(int(self._rng.random() * len(writes)))
        region.write_now(address, memoryview(data))


class RelaxedRegion(HostRegion):
    """A region whose order is relaxed."""

    __slots__ = ("_writes",)

    def __init__(
        self, pd: Pd, dma: Dma, start: int, length: int, *, address: int, access: int, writes: RelaxedWrites
    ) -> None:
        super().__init__(pd, dma, start, length, address=address, access=access)
        # Whoever has the memory itself does not come through here.
        self.direct = None
        self._writes = writes

    def read(self, address: int, length: int) -> tuple[memoryview, ...] | Fault:
        """See `Region.read`; all that came before is there."""
        self._writes.settle()
        return super().read(address, length)

    def write(self, address: int, data: memoryview) -> Fault | None:
        """See `Region.write`; it happens some time before the next thing that can be seen."""
        found = self._read_mapped(address, len(data))
        if isinstance(found, Fault):
            return found
        self._writes.put(self, address, data)
        return None

    def write_now(self, address: int, data: memoryview) -> None:
        """Put data into memory; a page that went away meanwhile takes it along, as a write in flight would be lost."""
        self._write_mapped(address, data)

    def flush(self, address: int, length: int) -> Fault | None:
        """See `Region.flush`."""
        self._writes.settle()
        return super().flush(address, length)

    def withdraw(self) -> None:
        """See `Region.withdraw`."""
        self._writes.settle()
        super().withdraw()


MAX_WRITES = 16
