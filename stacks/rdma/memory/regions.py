"""Memory regions, their keys, and the table that finds what a key reaches (IBTA 10.6).

A region is a user's buffer, registered without copying. Both its keys are one 32-bit number: 24 random bits that are
the object's own (what one peer was told lets it guess no other region's key), and 8 that change where the verbs let a
program choose them. DEVIATION: Linux rxe counts the upper 24 bits up, and draws the lower 8 alone.

Remote and local access go through the same three questions, asked here and nowhere else: is there such a key in this
protection domain, does it grant the right, does the range lie inside. Only then does `Dma` come in.
"""

from __future__ import annotations

import random
from errno import EBUSY
from typing import TYPE_CHECKING, Protocol

from stacks.dma.contract import Dma, DurableDma
from stacks.rdma.enums import Access
from stacks.rdma.memory.config import MemoryConfig
from stacks.rdma.memory.region import HostRegion, Region
from stacks.rdma.memory.relaxed import RelaxedRegion, RelaxedWrites
from stacks.rdma.work import ADDRESS_END, Sge
from stacks.runtime import LocalError

if TYPE_CHECKING:
    from stacks.rdma.memory.pd import Pd
    from stacks.rdma.memory.windows import BoundWindow
    from stacks.rdma.qp import Qp


class Mr:
    """A registered region, as its owner holds it.

    address: where it starts in the device's address space; SGEs and remote peers name addresses in
        [address, address + length). length: bytes. lkey, rkey: equal, 32 bits. access: bits of `Access`.
    region: what the keys reach.
    """

    __slots__ = ("_start", "_table", "access", "address", "length", "lkey", "pd", "region", "rkey")

    def __init__(self, table: MemoryTable, region: Region, key: int, *, start: int | None) -> None:
        self._table = table
        self._start = start
        self.lkey = self.rkey = key
        self._take(region)

    @property
    def is_valid(self) -> bool:
        """Whether it has not been deregistered."""
        return self.region.is_valid

    def sge(self, offset: int = 0, length: int | None = None) -> Sge:
        """A piece of the region for a work request: `length` bytes from `offset` on, or all that follow.

        Raises LocalError for a piece that does not lie inside.
        """
        if length is None:
            length = self.length - offset
        if offset < 0 or length < 0 or offset + length > self.length:
            raise LocalError(f"{length} bytes at {offset} are not inside a region of {self.length}")
        return Sge(self.address + offset, length, self.lkey)

    def rereg(
        self,
        *,
        pd: Pd | None = None,
        buffer: object | None = None,
        access: int | None = None,
        address: int | None = None,
    ) -> None:
        """Change the protection domain, the translation or the rights, under the same keys; messages in progress fail.

        buffer: what the keys reach from now on, at `address` as of `Pd.reg_mr`; the old one is given back.
        Raises LocalError while memory windows are bound, and as `Pd.reg_mr` does; nothing is changed then.
        Source: IBTA 11.2.8.5.
        """
        if not self.region.is_valid:
            raise LocalError("this region was deregistered")
        self._check_unbound("registered again")
        old, old_start = self.region, self._start
        rights = self.access if access is None else access
        domain = self.pd if pd is None else pd
        if buffer is None:
            self._take(self._table.again(old, old_start, domain, rights))
        else:
            region, start = self._table.attach(domain, buffer, rights, address=address)
            self._start = start
            self._take(region)
        self._table.regions[self.lkey] = self.region
        old.pd.objects.discard(self)
        domain.objects.add(self)
        old.withdraw()
        if buffer is not None and old_start is not None:
            self._table.dma.detach(old_start)

    def dereg(self) -> None:
        """Give the buffer back; its keys stop being valid at once (IBTA 11.2.8.4). Idempotent.

        Raises LocalError while memory windows are bound to it.
        """
        if self.region.is_valid:
            self._check_unbound("deregistered")
            self.region.withdraw()
            self._table.forget(self, self.lkey)
            if self._start is not None:
                self._table.dma.detach(self._start)

    def invalidate(self, key: int, qp: Qp) -> bool:  # noqa: ARG002  # as `KeyOwner` says
        """Never: only a fast-registered region may be invalidated (IBTA 10.6.5; rxe_invalidate_mr)."""
        return False

    def _check_unbound(self, what: str) -> None:
        if self.region.windows:
            bound = f"a region with {self.region.windows} memory windows bound"
            raise LocalError(f"{bound} cannot be {what}: unbind them", errno=EBUSY)

    def _take(self, region: Region) -> None:
        self.region = region
        self.pd = region.pd
        self.address = region.address
        self.length = region.length
        self.access = region.access


class KeyOwner(Protocol):
    """A handle that has keys: a region, a fast-registered one, or a window."""

    @property
    def pd(self) -> Pd:
        """The protection domain that it belongs to."""

    def invalidate(self, key: int, qp: Qp) -> bool:
        """End `key` on behalf of a queue pair of that domain; False when it may not, or is not the current one."""


class MemoryTable:
    """Everything of one device that has a key.

    regions: by L_Key and R_Key. windows: bound memory windows, by R_Key. owners: handles by the upper 24 bits, which
    are theirs alone. device_memory_used: bytes of the device's own memory that are allocated.
    """

    def __init__(self, dma: Dma, rng: random.Random, config: MemoryConfig | None = None) -> None:
        self.dma = dma
        self.config = config or MemoryConfig()
        self.device_memory_used = 0
        seed = self.config.relaxed_seed
        self.relaxed = None if seed is None else RelaxedWrites(seed)
        self._rng = rng
        self.regions: dict[int, Region] = {}
        self.windows: dict[int, BoundWindow] = {}
        self.owners: dict[int, KeyOwner] = {}

    def register(self, pd: Pd, buffer: object, access: int, *, address: int | None) -> Mr:
        """See `Pd.reg_mr`."""
        region, start = self.attach(pd, buffer, access, address=address)
        return self.enter(region, start=start)

    def enter(self, region: Region, *, start: int | None) -> Mr:
        """Give a new region its keys; `start` is where its buffer is attached to the `Dma`, if it is."""
        mr = Mr(self, region, self.new_key(), start=start)
        self.owners[mr.lkey >> 8] = mr
        self.regions[mr.lkey] = region
        region.pd.objects.add(mr)
        return mr

    def attach(self, pd: Pd, buffer: object, access: int, *, address: int | None) -> tuple[Region, int]:
        """Attach a buffer and make the region that reaches it; also where it begins in the `Dma`."""
        check_access(access, is_durable=isinstance(self.dma, DurableDma))
        if access & Access.ZERO_BASED and address:
            raise LocalError("a zero-based region begins at address 0")
        start = self.dma.attach(buffer, writable=bool(access & Access.LOCAL_WRITE))
        with memoryview(buffer) as view:  # type: ignore[arg-type]  # attach has checked it
            length = view.nbytes
        if access & Access.ZERO_BASED:
            address = 0
        elif address is None:
            address = start
        if address < 0 or address + length > ADDRESS_END:
            self.dma.detach(start)
            raise LocalError(f"{length} bytes at address {address:#x} do not lie in 64 bits")
        return self._host_region(pd, start, length, address=address, access=access), start

    def again(self, old: Region, start: int | None, pd: Pd, access: int) -> Region:
        """A region over the same memory, with another domain or other rights."""
        check_access(access, is_durable=isinstance(self.dma, DurableDma))
        if start is None and old.direct is not None:
            return Region(pd, old.address, old.length, access=access, direct=old.direct)
        if start is None:
            # An implicit region, of all that is attached.
            return HostRegion(pd, self.dma, 0, old.length, address=0, access=access)
        if access & Access.LOCAL_WRITE and not old.access & Access.LOCAL_WRITE:
            raise LocalError("this buffer was registered for reading: give it again to have it writable")
        address = 0 if access & Access.ZERO_BASED else start if old.access & Access.ZERO_BASED else old.address
        return self._host_region(pd, start, old.length, address=address, access=access)

    def _host_region(self, pd: Pd, start: int, length: int, *, address: int, access: int) -> Region:
        if self.relaxed is None or not access & Access.RELAXED_ORDERING:
            return HostRegion(pd, self.dma, start, length, address=address, access=access)
        return RelaxedRegion(pd, self.dma, start, length, address=address, access=access, writes=self.relaxed)

    def settle(self) -> None:
        """A program is about to see something: whatever arrived before it must be in memory."""
        if self.relaxed is not None:
            self.relaxed.settle()

    def forget(self, owner: KeyOwner, key: int) -> None:
        """A handle is gone; `key` is any of its keys."""
        self.regions.pop(key, None)
        del self.owners[key >> 8]
        owner.pd.objects.discard(owner)

    def find(self, key: int, qp: Qp, address: int, length: int, right: int) -> Region | None:
        """The region that grants `right` over the range to `qp`, or None.

        right: bits of `Access` that must all be there; 0 for local reading, which every region grants.
        """
        region = self.regions.get(key)
        if region is None:
            return self._find_window(key, qp, address, length, right) if self.windows else None
        if (
            region.pd is not qp.pd
            or region.access & right != right
            or address < region.address
            or address + length > region.end
        ):
            return None
        return region

    def find_whole(self, key: int, qp: Qp, right: int) -> Region | None:
        """As `find`, for all that a key reaches."""
        region = self.regions.get(key) or self.windows.get(key)
        return None if region is None else self.find(key, qp, region.address, region.length, right)

    def _find_window(self, key: int, qp: Qp, address: int, length: int, right: int) -> Region | None:
        """A window is for peers only, and one of type 2 for the queue pair that it is bound to (IBTA 10.6.7.2.4)."""
        window = self.windows.get(key)
        if (
            window is None
            or not right
            or not window.admits(qp)
            or window.access & right != right
            or address < window.address
            or address + length > window.end
        ):
            return None
        return window

    def invalidate(self, key: int, qp: Qp) -> bool:
        """End a key, as LOCAL_INV and SEND with Invalidate ask; False when there is none that may be ended so.

        Fast-registered regions become free, windows of type 2 unbound; all others stay (IBTA 10.6.5, 10.6.7.2.6).
        """
        owner = self.owners.get(key >> 8)
        return owner is not None and owner.pd is qp.pd and owner.invalidate(key, qp)

    def invalidate_for_peer(self, key: int, qp: Qp) -> bool:
        """As `invalidate`, for a SEND with Invalidate: only what grants peers something has an R_Key (rxe_mr_init).

        So a peer that was told a region's key once cannot end a later registration that is for local use alone.
        """
        region = self.regions.get(key)
        if region is not None and not region.access & (Access.REMOTE_ANY | Access.FLUSH_ANY):
            return False
        return self.invalidate(key, qp)

    def new_key(self) -> int:
        """A key whose upper 24 bits nobody has."""
        while True:
            key = int(self._rng.random() * 0x100000000)
            if key >> 8 and key >> 8 not in self.owners:
                return key


def check_access(access: int, *, is_durable: bool) -> None:
    """Raise LocalError for rights that contradict each other or the memory (IBTA 10.6.3.1, 11.2.8.2)."""
    if access & ~Access.EVERYTHING:
        raise LocalError(f"{access & ~Access.EVERYTHING:#x} is no access right")
    if access & (Access.REMOTE_WRITE | Access.REMOTE_ATOMIC) and not access & Access.LOCAL_WRITE:
        raise LocalError("REMOTE_WRITE and REMOTE_ATOMIC need LOCAL_WRITE too")
    if access & Access.FLUSH_PERSISTENT and not is_durable:
        raise LocalError("FLUSH_PERSISTENT needs memory that can be made durable (stacks.dma.DurableDma)")
