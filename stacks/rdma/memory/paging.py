"""On-demand paging: regions whose pages come when they are needed (libibverbs' ODP).

A `Dma` whose pages fault (stacks.dma.faulting) may fault under any region; with ON_DEMAND the program counts on it.
A request of ours waits in its queue for the page. A peer's gets an RNR NAK, or waits here, as
`MemoryConfig.page_faults` says. `Device.handle_page_ready` lets both go on. An implicit region covers all that is
attached to the `Dma`, now or later; `advise` asks for pages before they are needed.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from errno import ENOENT, EPERM
from typing import TYPE_CHECKING

from stacks.dma import PAGE_BYTES
from stacks.dma.contract import Fault
from stacks.rdma.enums import Access
from stacks.rdma.memory.region import HostRegion
from stacks.rdma.memory.regions import Mr, check_access
from stacks.rdma.work import ADDRESS_END, Sge
from stacks.runtime import LocalError

if TYPE_CHECKING:
    from stacks.rdma.memory.pd import Pd
    from stacks.rdma.memory.regions import MemoryTable


class MrAdvice(enum.IntEnum):
    """What a program tells of memory that it will use (ibv_advise_mr)."""

    PREFETCH = 0
    PREFETCH_WRITE = 1
    PREFETCH_NO_FAULT = 2


def register_implicit(table: MemoryTable, pd: Pd, access: int) -> Mr:
    """See `Pd.reg_odp`."""
    check_access(access, is_durable=False)
    if access & Access.ZERO_BASED:
        raise LocalError("an implicit region has the addresses of the memory itself: it cannot be zero-based")
    region = HostRegion(pd, table.dma, 0, ADDRESS_END, address=0, access=access | Access.ON_DEMAND)
    return table.enter(region, start=None)


def advise(table: MemoryTable, pd: Pd, advice: MrAdvice, sges: Sequence[Sge]) -> int:
    """See `Pd.advise`."""
    return sum([_advise_one(table, pd, advice, sge) for sge in sges])


def _advise_one(table: MemoryTable, pd: Pd, advice: MrAdvice, sge: Sge) -> int:
    region = table.regions.get(sge.lkey)
    if region is None or region.pd is not pd:
        raise LocalError(f"no region of this protection domain has the L_Key {sge.lkey:#x}", errno=ENOENT)
    if not region.access & Access.ON_DEMAND:
        raise LocalError("advice is for regions that are paged on demand (Access.ON_DEMAND)")
    if advice is MrAdvice.PREFETCH_WRITE and not region.access & Access.LOCAL_WRITE:
        raise LocalError("this region may not be written", errno=EPERM)
    end = sge.address + sge.length
    if sge.length < 0 or sge.address < region.address or end > region.end:
        raise LocalError(f"{sge.length} bytes at {sge.address:#x} are not inside the region of their L_Key")
    if advice is MrAdvice.PREFETCH_NO_FAULT:
        # Only what is there already would be mapped, and that needs nothing here.
        return 0
    if not sge.length:
        return 0
    starts = [sge.address, *range(sge.address - sge.address % PAGE_BYTES + PAGE_BYTES, end, PAGE_BYTES)]
    return sum([isinstance(region.read(start, 1), Fault) for start in starts])
