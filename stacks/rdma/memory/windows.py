"""Memory windows: remote rights over a part of a region, granted and taken back without registering (IBTA 10.6.7).

Type 1 belongs to a protection domain: every queue pair of the domain may use it, binding it again replaces what it
granted, binding it to nothing takes that back. Type 2 is bound to one queue pair, must be invalidated before it is
bound again, and its owner chooses the low 8 bits of the new R_Key. The standard has two kinds of type 2, which devices
pick from: 2A is tied to the number of the queue pair, and keeps that from being destroyed; 2B to the number and the
protection domain. Linux rxe has type 1 and 2B.
"""

from __future__ import annotations

import enum
from errno import EBUSY
from typing import TYPE_CHECKING, NamedTuple

from stacks.dma.contract import Fault
from stacks.rdma.enums import Access
from stacks.rdma.memory.region import Region
from stacks.runtime import LocalError

if TYPE_CHECKING:
    from stacks.rdma.memory.fast_registration import FastMr
    from stacks.rdma.memory.pd import Pd
    from stacks.rdma.memory.regions import MemoryTable, Mr
    from stacks.rdma.qp import Qp


class MwType(enum.IntEnum):
    """Types of memory windows, under libibverbs' numbers."""

    TYPE_1 = 1
    TYPE_2 = 2


class MwBind(NamedTuple):
    """What a window is to grant: `access` over `length` bytes from `address` on, as `mr` names them.

    access: REMOTE and FLUSH rights, for type 2 also ZERO_BASED. A length of 0 takes back what a type 1 window grants.
    """

    mr: Mr | FastMr
    address: int
    length: int
    access: int


class Mw:
    """A memory window; made by `Pd.alloc_mw`.

    rkey: what peers name it by, once bound; its low 8 bits change with each bind. window: what it grants now, or None.
    """

    __slots__ = ("_table", "mw_type", "pd", "rkey", "window")

    def __init__(self, table: MemoryTable, pd: Pd, mw_type: MwType) -> None:
        self._table = table
        self.mw_type = mw_type
        self.pd = pd
        self.rkey = table.new_key()
        self.window: BoundWindow | None = None
        table.owners[self.rkey >> 8] = self
        pd.objects.add(self)

    def bind(self, bind: MwBind, key: int, qp: Qp) -> bool:
        """Execute a BIND_MW of `qp`; False when it must be refused (IBTA 10.6.7.2, as rxe_check_bind_mw checks it).

        key: the low 8 bits of the next R_Key, for type 2; type 1 counts its own up.
        """
        if self._table.owners.get(self.rkey >> 8) is not self or self.pd is not qp.pd or not self._allows(bind, qp):
            return False
        if self.mw_type is MwType.TYPE_1:
            key = self.rkey + 1
        self._unbind()
        self.rkey = self.rkey & ~0xFF | key & 0xFF
        region = bind.mr.region
        if bind.length and region is not None:
            self.window = self._table.windows[self.rkey] = BoundWindow(region, bind, self._number(qp), self._table)
        return True

    def invalidate(self, key: int, qp: Qp) -> bool:
        """Unbind one of type 2 on behalf of the queue pair that it is bound to; else False (IBTA 10.6.7.2.6)."""
        if self.mw_type is MwType.TYPE_1 or self.window is None or key != self.rkey or not self.window.admits(qp):
            return False
        self._unbind()
        return True

    def dealloc(self) -> None:
        """Give the window up; what it granted ends at once (IBTA 11.2.8.12). Idempotent."""
        if self._table.owners.get(self.rkey >> 8) is self:
            self._unbind()
            self._table.forget(self, self.rkey)

    def _allows(self, bind: MwBind, qp: Qp) -> bool:
        region = bind.mr.region
        if self.mw_type is MwType.TYPE_2:
            if self.window is not None or not bind.length:
                return False
        elif bind.access & Access.ZERO_BASED:
            return False
        if not bind.length:
            return not bind.access & ~_GRANTS
        return (
            region is not None
            and region.is_valid
            and region.pd is qp.pd
            and not bind.access & ~_GRANTS
            and bool(region.access & Access.MW_BIND)
            and not region.access & Access.ZERO_BASED
            and (bool(region.access & Access.LOCAL_WRITE) or not bind.access & _WRITING)
            and not bind.access & Access.FLUSH_ANY & ~region.access
            and region.address <= bind.address
            and bind.address + bind.length <= region.end
        )

    def _number(self, qp: Qp) -> int | None:
        return qp.number if self.mw_type is MwType.TYPE_2 else None

    def _unbind(self) -> None:
        window, self.window = self.window, None
        if window is not None:
            window.withdraw()
            del self._table.windows[self.rkey]


class BoundWindow(Region):
    """What a bound window grants, over memory of the region that it is bound to.

    qp_number: of the queue pair that may use it, or None for all of the domain.
    """

    __slots__ = ("_parent", "_shift", "_ties_domain", "qp_number")

    def __init__(self, parent: Region, bind: MwBind, qp_number: int | None, table: MemoryTable) -> None:
        address = 0 if bind.access & Access.ZERO_BASED else bind.address
        super().__init__(parent.pd, address, bind.length, access=bind.access)
        self._parent = parent
        self._shift = bind.address - address
        self._ties_domain = qp_number is None or table.config.type_2_windows == "2B"
        self.qp_number = qp_number
        if parent.direct is not None:
            offset = bind.address - parent.address
            self.direct = parent.direct[offset : offset + bind.length]
        parent.windows += 1
        parent.dependents += (self,)

    def admits(self, qp: Qp) -> bool:
        """Whether requests that came to `qp` may use it."""
        return self.qp_number in (None, qp.number) and (not self._ties_domain or self.pd is qp.pd)

    def withdraw(self) -> None:
        """See `Region.withdraw`; the region it was bound to loses a window."""
        if self.is_valid:
            super().withdraw()
            self._parent.windows -= 1
            self._parent.dependents = tuple(one for one in self._parent.dependents if one is not self)

    def flush(self, address: int, length: int) -> Fault | None:
        """See `Region.flush`."""
        return self._parent.flush(address + self._shift, length)

    def _read_mapped(self, address: int, length: int) -> tuple[memoryview, ...] | Fault:
        return self._parent.read(address + self._shift, length)

    def _write_mapped(self, address: int, data: memoryview) -> Fault | None:
        return self._parent.write(address + self._shift, data)


def check_no_windows(table: MemoryTable, qp: Qp) -> None:
    """Raise LocalError when a queue pair cannot be destroyed for windows of type 2A bound to it (IBTA 10.6.7.2.5)."""
    if table.config.type_2_windows == "2A" and any(window.qp_number == qp.number for window in table.windows.values()):
        raise LocalError(f"memory windows of type 2A are bound to QP {qp.number}: invalidate them first", errno=EBUSY)


_WRITING = Access.REMOTE_WRITE | Access.REMOTE_ATOMIC
_GRANTS = Access.REMOTE_ANY | Access.FLUSH_ANY | Access.ZERO_BASED
