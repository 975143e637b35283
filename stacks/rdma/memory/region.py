"""What a key reaches: a range of addresses, the rights over it, and the memory behind it (IBTA 10.6.2, 10.6.3).

A program holds handles (`Mr`, `FastMr`, `Mw`); each has one `Region` while its key is valid. A region never changes: to
invalidate, register again or bind again ends it (`withdraw`) and makes another. So a message in progress, which keeps
the region that its first packet found, needs only to ask `is_valid` before each access.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stacks.dma.contract import Direction, Dma, DurableDma, Fault
from stacks.rdma.enums import Access

if TYPE_CHECKING:
    from stacks.rdma.memory.pd import Pd


class Region:
    """A range that one key reaches.

    address, end: SGEs and remote peers name addresses in [address, end). length: bytes. access: bits of `Access`.
    direct: the memory as one view where there is one that may be kept, else None; None also once withdrawn.
    windows: how many memory windows are bound to it. dependents: regions made of parts of it, which end with it.
    """

    __slots__ = ("_pages", "access", "address", "dependents", "direct", "end", "is_valid", "length", "pd", "windows")

    def __init__(self, pd: Pd, address: int, length: int, *, access: int, direct: memoryview | None = None) -> None:
        self.pd = pd
        self.address = address
        self.length = length
        self.end = address + length
        self.access = access
        self.direct = direct
        self.is_valid = True
        self.windows = 0
        self.dependents: tuple[Region, ...] = ()
        self._pages: dict[tuple[int, int], list[memoryview]] = {}

    def read(self, address: int, length: int) -> tuple[memoryview, ...] | Fault:
        """Views of a range that the caller has checked, for sending; valid until the region is withdrawn."""
        if self.direct is not None:
            offset = address - self.address
            return (self.direct[offset : offset + length],)
        return self._read_mapped(address, length)

    def pages(self, address: int, page_bytes: int, count: int) -> list[memoryview]:
        """`count` views of `page_bytes` each from `address` on, of a direct region whose range the caller has checked.

        Making a view costs as much as summing a kilobyte, so those of a region that is not too large are kept, for the
        first few positions in a page at which messages start.
        """
        index, phase = divmod(address - self.address, page_bytes)
        kept = self._pages.get((page_bytes, phase))
        if kept is None:
            kept = self._cut(page_bytes, phase)
        if kept:
            return kept[index : index + count]
        assert self.direct is not None
        start = address - self.address
        return _cut(self.direct[start : start + count * page_bytes], page_bytes)

    def _cut(self, page_bytes: int, phase: int) -> list[memoryview]:
        if len(self._pages) >= KEPT_PHASES or self.length > KEPT_PAGES * page_bytes or self.direct is None:
            return []
        kept = self._pages[page_bytes, phase] = _cut(self.direct[phase:], page_bytes)
        return kept

    def write(self, address: int, data: memoryview) -> Fault | None:
        """Copy `data` to a range that the caller has checked; nothing is written when a Fault is returned."""
        if self.direct is not None:
            offset = address - self.address
            self.direct[offset : offset + len(data)] = data
            return None
        return self._write_mapped(address, data)

    def flush(self, address: int, length: int) -> Fault | None:
        """Make a range that the caller has checked durable, or say why that cannot be done."""
        return Fault(address, Direction.READ_MEMORY, None) if length else None

    def withdraw(self) -> None:
        """Let nobody reach the memory through this any more."""
        self.is_valid = False
        self.direct = None
        self._pages.clear()
        for dependent in self.dependents:
            dependent.withdraw()

    def _read_mapped(self, address: int, length: int) -> tuple[memoryview, ...] | Fault:  # noqa: ARG002
        return Fault(address, Direction.READ_MEMORY, None)

    def _write_mapped(self, address: int, data: memoryview) -> Fault | None:  # noqa: ARG002  # what others override
        return Fault(address, Direction.WRITE_MEMORY, None)


class HostRegion(Region):
    """A range of the host's memory, behind its `Dma`.

    start: where it begins there, which need not be the address under which the key reaches it.
    """

    __slots__ = ("_dma", "_shift")

    def __init__(self, pd: Pd, dma: Dma, start: int, length: int, *, address: int, access: int) -> None:
        super().__init__(pd, address, length, access=access)
        self._dma = dma
        self._shift = start - address
        if dma.is_direct:
            # Registration is no access: it asks for the memory the way that the buffer itself allows.
            direction = Direction.WRITE_MEMORY if access & Access.LOCAL_WRITE else Direction.READ_MEMORY
            mapping = dma.map(start, length, direction)
            if not isinstance(mapping, Fault) and len(mapping.views) == 1:
                self.direct = mapping.views[0]

    def flush(self, address: int, length: int) -> Fault | None:
        """See `Region.flush`; only a `Dma` with durable memory can."""
        dma = self._dma
        if not isinstance(dma, DurableDma):
            return super().flush(address, length)
        return dma.flush(address + self._shift, length)

    def _read_mapped(self, address: int, length: int) -> tuple[memoryview, ...] | Fault:
        mapping = self._dma.map(address + self._shift, length, Direction.READ_MEMORY)
        return mapping if isinstance(mapping, Fault) else mapping.views

    def _write_mapped(self, address: int, data: memoryview) -> Fault | None:
        mapping = self._dma.map(address + self._shift, len(data), Direction.WRITE_MEMORY)
        if isinstance(mapping, Fault):
            return mapping
        copy_into(mapping.views, data)
        mapping.wrote(len(data))
        return None


def copy_into(views: Sequence[memoryview], data: memoryview) -> None:
    """Spread `data` over views that have room for exactly as much."""
    offset = 0
    for view in views:
        view[:] = data[offset : offset + len(view)]
        offset += len(view)


def _cut(view: memoryview, page_bytes: int) -> list[memoryview]:
    """The whole pages in a view."""
    return [view[start : start + page_bytes] for start in range(0, len(view) - page_bytes + 1, page_bytes)]


KEPT_PAGES = 4096
"""Pages of the largest region whose views are kept: 16 MiB at the largest path MTU, for a megabyte of views."""
KEPT_PHASES = 4
"""Positions in a page, and page sizes, for which a region keeps its views."""
