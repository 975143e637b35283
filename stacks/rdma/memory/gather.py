"""Local memory by scatter/gather list: checking it, cutting it into packets, and filling it (IBTA 10.6.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stacks.dma.contract import Fault
from stacks.rdma.enums import Access, WcStatus
from stacks.rdma.work import InlineSge, Sge

if TYPE_CHECKING:
    from stacks.rdma.qp import Qp


class GatherError(Exception):
    """A scatter/gather list that cannot be used; `status` is what the work request ends with."""

    def __init__(self, status: WcStatus) -> None:
        super().__init__(status.name)
        self.status = status


def gather(qp: Qp, sges: Sequence[Sge]) -> tuple[memoryview, ...] | Fault:
    """Views of all the memory that a list names, in order, or a recoverable Fault; raises GatherError."""
    views: tuple[memoryview, ...] = ()
    for sge in sges:
        region = qp.memory.find(sge.lkey, qp, sge.address, sge.length, 0)
        if region is None:
            if isinstance(sge, InlineSge):
                views += (sge.view,)
                continue
            raise GatherError(WcStatus.LOC_PROT_ERR)
        found = region.read(sge.address, sge.length)
        if isinstance(found, Fault):
            if found.is_recoverable:
                return found
            raise GatherError(WcStatus.LOC_PROT_ERR)
        views += found
    return views


def check_writable(qp: Qp, sges: Sequence[Sge]) -> None:
    """Raise GatherError unless every entry of the list may be written."""
    for sge in sges:
        if qp.memory.find(sge.lkey, qp, sge.address, sge.length, Access.LOCAL_WRITE) is None:
            raise GatherError(WcStatus.LOC_PROT_ERR)


def scatter(qp: Qp, sges: Sequence[Sge], offset: int, data: memoryview) -> WcStatus | Fault:
    """Copy `data` to `offset` of the memory that a list names.

    Returns LOC_LEN_ERR when it does not fit, LOC_PROT_ERR when a key, right or range is wrong, a Fault when a page is
    not there yet (then it may be tried again), else SUCCESS.
    """
    if not data:
        return WcStatus.SUCCESS
    for sge in sges:
        if offset >= sge.length:
            offset -= sge.length
            continue
        piece = data[: sge.length - offset]
        region = qp.memory.find(sge.lkey, qp, sge.address, sge.length, Access.LOCAL_WRITE)
        if region is None:
            return WcStatus.LOC_PROT_ERR
        fault = region.write(sge.address + offset, piece)
        if fault is not None:
            return fault if fault.is_recoverable else WcStatus.LOC_PROT_ERR
        data = data[len(piece) :]
        if not data:
            return WcStatus.SUCCESS
        offset = 0
    return WcStatus.LOC_LEN_ERR


def packet_views(views: Sequence[memoryview], offset: int, length: int) -> list[memoryview]:
    """The part [offset, offset + length) of views that lie end to end."""
    if len(views) == 1:
        return [views[0][offset : offset + length]]
    found: list[memoryview] = []
    for view in views:
        if offset >= len(view):
            offset -= len(view)
            continue
        piece = view[offset : offset + length]
        found.append(piece)
        length -= len(piece)
        if not length:
            break
        offset = 0
    return found


def region_pages(qp: Qp, sges: Sequence[Sge], offset: int, page_bytes: int, count: int) -> list[memoryview]:
    """Up to `count` whole pages from `offset` of checked memory on, from the views that its region keeps.

    Fewer at the end of a list entry, none where the memory is not one plain piece; `page_views` knows of those.
    """
    for sge in sges:
        if offset >= sge.length:
            offset -= sge.length
            continue
        region = qp.memory.regions.get(sge.lkey)
        count = min(count, (sge.length - offset) // page_bytes)
        start = sge.address + offset
        if region is None or region.direct is None or start < region.address:
            return []
        if start + count * page_bytes > region.end:
            return []
        return region.pages(start, page_bytes, count)
    return []


def page_views(views: Sequence[memoryview], offset: int, page_bytes: int, count: int) -> list[memoryview]:
    """Up to `count` whole pages from `offset` on, each as one view: fewer where a page would straddle two views."""
    if len(views) == 1:
        view = views[0]
        return [view[start : start + page_bytes] for start in range(offset, offset + count * page_bytes, page_bytes)]
    pages: list[memoryview] = []
    for view in views:
        if offset >= len(view):
            offset -= len(view)
            continue
        fitting = min((len(view) - offset) // page_bytes, count - len(pages))
        pages += [
            view[start : start + page_bytes] for start in range(offset, offset + fitting * page_bytes, page_bytes)
        ]
        offset += fitting * page_bytes
        if offset != len(view) or len(pages) == count:
            break
        offset = 0
    return pages
