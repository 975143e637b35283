"""Fast registration: regions that work requests register and invalidate, in their turn in the send queue (IBTA 10.6.4).

A program allocates a region once, tells it which pieces of registered memory to reach (`map_sges`), and posts REG_MR;
LOCAL_INV, or a SEND with Invalidate of the peer, frees it for the next mapping. Linux calls this FRWR. The upper 24
bits of the keys stay, the low 8 are chosen with each REG_MR.

       REG_MR              LOCAL_INV, SEND with Invalidate
FREE ---------->  VALID  ---------------------------------->  FREE            any state --dereg--> INVALID
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from errno import EBUSY
from typing import TYPE_CHECKING

from stacks.dma.contract import Direction, Fault
from stacks.rdma.enums import Access
from stacks.rdma.memory.region import Region
from stacks.rdma.memory.regions import check_access
from stacks.rdma.work import ADDRESS_END, Sge
from stacks.runtime import IGNORE, LocalError, StateTable

if TYPE_CHECKING:
    from stacks.rdma.memory.pd import Pd
    from stacks.rdma.memory.regions import MemoryTable
    from stacks.rdma.qp import Qp


class FastMrState(enum.Enum):
    """What a fast-registered region can do."""

    FREE = "free"
    """Its keys reach nothing; it may be mapped and registered."""
    VALID = "valid"
    """Registered."""
    INVALID = "invalid"
    """Deregistered, for good."""


class FastMrEvent(enum.Enum):
    """What moves it."""

    REGISTER = "REG_MR"
    INVALIDATE = "LOCAL_INV or SEND with Invalidate"
    DEREGISTER = "dereg"


class FastMr:
    """A region that REG_MR registers; made by `Pd.alloc_fast_mr`.

    lkey, rkey: equal; those of the last registration, or of the next if its low 8 bits are left alone.
    address, length: what the keys reach, or will. state: see the module. max_sges: pieces that `map_sges` takes.
    """

    __slots__ = (
        "_pieces", "_region", "_table", "address", "length", "lkey", "max_sges", "pd", "rkey", "state",
    )  # fmt: skip

    def __init__(self, table: MemoryTable, pd: Pd, max_sges: int) -> None:
        if max_sges < 1:
            raise LocalError(f"a fast-registered region needs room for at least 1 piece, not {max_sges}")
        self._table = table
        self._pieces: tuple[Piece, ...] = ()
        self._region: Region | None = None
        self.pd = pd
        self.max_sges = max_sges
        self.address = self.length = 0
        self.state = FastMrState.FREE
        self.lkey = self.rkey = table.new_key()
        table.owners[self.lkey >> 8] = self
        pd.objects.add(self)

    def map_sges(self, sges: Sequence[Sge], *, iova: int | None = None) -> None:
        """Say which memory the next REG_MR makes reachable: pieces of valid regions of the domain, end to end.

        iova: the address of the first byte, by default that of the first piece. Raises LocalError when the region is
        not free, for too many pieces, and for one that is not registered in this domain.
        """
        if self.state is not FastMrState.FREE:
            raise LocalError(f"a fast-registered region is mapped while it is free, not {self.state.value}")
        if not 0 < len(sges) <= self.max_sges:
            raise LocalError(f"{len(sges)} pieces, but this region takes 1 to {self.max_sges}")
        pieces = tuple(self._piece(sge) for sge in sges)
        length = sum(piece.length for piece in pieces)
        address = sges[0].address if iova is None else iova
        if address < 0 or address + length > ADDRESS_END:
            raise LocalError(f"{length} bytes at address {address:#x} do not lie in 64 bits")
        self._pieces, self.address, self.length = pieces, address, length

    def sge(self, offset: int = 0, length: int | None = None) -> Sge:
        """A piece of what is mapped, as `Mr.sge`."""
        if length is None:
            length = self.length - offset
        if offset < 0 or length < 0 or offset + length > self.length:
            raise LocalError(f"{length} bytes at {offset} are not inside a region of {self.length}")
        return Sge(self.address + offset, length, self.lkey)

    def register(self, key: int, access: int, qp: Qp) -> bool:
        """Execute a REG_MR of `qp`; False when the state, the domain, the key or the rights do not allow it."""
        after = FAST_MR_TABLE.apply(self.state, FastMrEvent.REGISTER)
        if after is not FastMrState.VALID or self.pd is not qp.pd or key >> 8 != self.lkey >> 8:
            return False
        if not self._pieces or not self._allows(access):
            return False
        self.state = after
        self.lkey = self.rkey = key
        address = 0 if access & Access.ZERO_BASED else self.address
        self._region = self._table.regions[key] = FastRegion(self.pd, self._pieces, address, self.length, access=access)
        for piece in self._pieces:
            piece.region.dependents += (self._region,)
        return True

    def invalidate(self, key: int, qp: Qp) -> bool:  # noqa: ARG002  # any of the domain may
        """Free it; False when `key` is not the current one, or memory windows are bound (rxe_invalidate_mr)."""
        after = FAST_MR_TABLE.apply(self.state, FastMrEvent.INVALIDATE)
        if key != self.rkey or (self._region is not None and self._region.windows):
            return False
        if after is FastMrState.FREE:
            self.state = after
            self._end()
        return after is FastMrState.FREE or after is IGNORE

    def dereg(self) -> None:
        """Give it up; its key stops being valid at once. Idempotent; LocalError while memory windows are bound."""
        if self._region is not None and self._region.windows:
            raise LocalError("a region with memory windows bound cannot be deregistered: unbind them", errno=EBUSY)
        if self.state is not FastMrState.INVALID:
            self.state = FastMrState.INVALID
            self._end()
            self._table.forget(self, self.lkey)

    @property
    def region(self) -> Region | None:
        """What the keys reach; None unless VALID."""
        return self._region

    def _end(self) -> None:
        region, self._region = self._region, None
        if region is None:
            return
        region.withdraw()
        del self._table.regions[self.lkey]
        for piece in self._pieces:
            piece.region.dependents = tuple(one for one in piece.region.dependents if one is not region)

    def _piece(self, sge: Sge) -> Piece:
        region = self._table.regions.get(sge.lkey)
        if region is None or region.pd is not self.pd:
            raise LocalError(f"no region of this protection domain has the L_Key {sge.lkey:#x}")
        if sge.length < 1 or sge.address < region.address or sge.address + sge.length > region.end:
            raise LocalError(f"{sge.length} bytes at {sge.address:#x} are not inside the region of their L_Key")
        return Piece(region, sge.address, sge.length)

    def _allows(self, access: int) -> bool:
        try:
            check_access(access, is_durable=True)
        except LocalError:
            return False
        wanted = access & (Access.LOCAL_WRITE | Access.FLUSH_PERSISTENT)
        return all(piece.region.is_valid and piece.region.access & wanted == wanted for piece in self._pieces)


class Piece:
    """A part of a registered region."""

    __slots__ = ("address", "length", "region")

    def __init__(self, region: Region, address: int, length: int) -> None:
        self.region = region
        self.address = address
        self.length = length


class FastRegion(Region):
    """What a registered `FastMr` reaches: pieces of other regions, end to end, for as long as those are valid."""

    __slots__ = ("_pieces",)

    def __init__(self, pd: Pd, pieces: tuple[Piece, ...], address: int, length: int, *, access: int) -> None:
        super().__init__(pd, address, length, access=access)
        self._pieces = pieces
        first = pieces[0]
        if len(pieces) == 1 and first.region.direct is not None:
            offset = first.address - first.region.address
            self.direct = first.region.direct[offset : offset + length]

    def flush(self, address: int, length: int) -> Fault | None:
        """See `Region.flush`: piece by piece."""
        for region, start, size in self._parts(address, length):
            fault = region.flush(start, size)
            if fault is not None:
                return fault
        return None

    def _read_mapped(self, address: int, length: int) -> tuple[memoryview, ...] | Fault:
        if not self.is_valid:
            return Fault(address, Direction.READ_MEMORY, None)
        views: tuple[memoryview, ...] = ()
        for region, start, size in self._parts(address, length):
            found = region.read(start, size)
            if isinstance(found, Fault):
                return found
            views += found
        return views

    def _write_mapped(self, address: int, data: memoryview) -> Fault | None:
        # All of it must be there before any of it is written.
        found = self._read_mapped(address, len(data))
        if isinstance(found, Fault):
            return found
        done = 0
        for region, start, size in self._parts(address, len(data)):
            fault = region.write(start, data[done : done + size])
            if fault is not None:
                return fault
            done += size
        return None

    def _parts(self, address: int, length: int) -> Iterator[tuple[Region, int, int]]:
        offset = address - self.address
        for piece in self._pieces:
            if offset >= piece.length:
                offset -= piece.length
                continue
            size = min(length, piece.length - offset)
            if not size:
                return
            yield piece.region, piece.address + offset, size
            length -= size
            offset = 0


FAST_MR_TABLE: StateTable[FastMrState, FastMrEvent] = StateTable(
    "fast-registered region",
    FastMrState,
    events=FastMrEvent,
    entries={
        (FastMrState.FREE, FastMrEvent.REGISTER): FastMrState.VALID,
        (FastMrState.VALID, FastMrEvent.INVALIDATE): FastMrState.FREE,
        # Linux rxe lets the key of a free region be invalidated again.
        (FastMrState.FREE, FastMrEvent.INVALIDATE): IGNORE,
        **{(state, FastMrEvent.DEREGISTER): FastMrState.INVALID for state in FastMrState},
    },
)
