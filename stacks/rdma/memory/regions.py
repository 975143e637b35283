"""Protection domains, memory regions and their keys (IBTA 10.6).

A region is a user's buffer, registered without copying. Both its keys are one random 32-bit number: what one peer was
told lets it guess no other region's key, and one that was deregistered comes back once in 2^32 registrations.
DEVIATION: Linux rxe counts the upper 24 bits up, and draws the tag byte alone.

Remote and local access go through the same three questions, asked here and nowhere else: is there such a key in this
protection domain, does it grant the right, does the range lie inside. Only then does `Dma` come in.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from stacks.congestion import ControllerFactory
from stacks.dma.contract import Direction, Dma, Fault
from stacks.rdma.enums import Access, QpType
from stacks.rdma.work import Sge
from stacks.runtime import LocalError

if TYPE_CHECKING:
    from stacks.rdma.completion import Cq
    from stacks.rdma.device import Device
    from stacks.rdma.qp import Qp, QpCapacity
    from stacks.rdma.srq import Srq, Xrcd


class Mr:
    """A registered region.

    address: where it starts in the device's address space; SGEs and remote peers name addresses in
        [address, address + length). length: bytes. lkey, rkey: equal, 32 bits.
    direct: the memory as one view where the `Dma` is direct, else None; None also once deregistered.
    """

    __slots__ = (
        "_dma", "_pages", "_table", "access", "address", "direct", "end", "is_valid", "length", "lkey", "pd", "rkey",
    )  # fmt: skip

    def __init__(self, table: MemoryTable, pd: Pd, *, address: int, length: int, key: int, access: int) -> None:
        self._table = table
        self._dma = table.dma
        self.pd = pd
        self.address = address
        self.length = length
        self.end = address + length
        self.lkey = self.rkey = key
        self.access = access
        self.is_valid = True
        self.direct: memoryview | None = None
        self._pages: dict[tuple[int, int], list[memoryview]] = {}
        if self._dma.is_direct:
            # Registration is no access: it asks for the memory the way that the buffer itself allows.
            direction = Direction.WRITE_MEMORY if access & Access.LOCAL_WRITE else Direction.READ_MEMORY
            mapping = self._dma.map(address, length, direction)
            if not isinstance(mapping, Fault) and len(mapping.views) == 1:
                self.direct = mapping.views[0]

    def read(self, address: int, length: int) -> tuple[memoryview, ...] | Fault:
        """Views of a range that the caller has checked, for sending; valid until the region is deregistered."""
        if self.direct is not None:
            offset = address - self.address
            return (self.direct[offset : offset + length],)
        mapping = self._dma.map(address, length, Direction.READ_MEMORY)
        return mapping if isinstance(mapping, Fault) else mapping.views

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
        mapping = self._dma.map(address, len(data), Direction.WRITE_MEMORY)
        if isinstance(mapping, Fault):
            return mapping
        offset = 0
        for view in mapping.views:
            view[:] = data[offset : offset + len(view)]
            offset += len(view)
        mapping.wrote(len(data))
        return None

    def sge(self, offset: int = 0, length: int | None = None) -> Sge:
        """A piece of the region for a work request: `length` bytes from `offset` on, or all that follow.

        Raises LocalError for a piece that does not lie inside.
        """
        if length is None:
            length = self.length - offset
        if offset < 0 or length < 0 or offset + length > self.length:
            raise LocalError(f"{length} bytes at {offset} are not inside a region of {self.length}")
        return Sge(self.address + offset, length, self.lkey)

    def dereg(self) -> None:
        """Give the buffer back; its keys stop being valid at once (IBTA 11.2.8.4). Idempotent."""
        if self.is_valid:
            self.is_valid = False
            self.direct = None
            self._pages.clear()
            self._table.remove(self)


class Pd:
    """A protection domain: regions and queue pairs work together only inside one (IBTA 10.2.3)."""

    __slots__ = ("_device", "regions")

    def __init__(self, device: Device) -> None:
        self._device = device
        self.regions: set[Mr] = set()

    def reg_mr(self, buffer: object, access: int = Access.LOCAL_WRITE) -> Mr:
        """Register a buffer without copying it.

        buffer: bytearray, mmap, shared memory, numpy array or anything else with a contiguous buffer interface;
            read-only ones when `access` has no write right. It is held, and cannot be resized, until `Mr.dereg`.
        access: bits of `Access`. Raises LocalError for rights that contradict each other or the buffer.
        Source: IBTA 11.2.8.2.
        """
        return self._device.memory.register(self, buffer, access)

    def create_qp(
        self,
        qp_type: QpType = QpType.RC,
        *,
        send_cq: Cq,
        recv_cq: Cq,
        capacity: QpCapacity | None = None,
        sq_sig_all: bool = False,
        srq: Srq | None = None,
        congestion: str | ControllerFactory | None = None,
    ) -> Qp:
        """A queue pair in RESET.

        send_cq, recv_cq: may be one. capacity: sizes of its queues. sq_sig_all: every send completes with an entry,
        signaled or not. srq: take receives from there. congestion: what controls its rate, a name or a factory, "none"
        for nothing; by default what the device's configuration says. Source: IBTA 11.2.5.1.
        """
        return self._device.create_qp(
            self, qp_type=qp_type, send_cq=send_cq, recv_cq=recv_cq, capacity=capacity, sq_sig_all=sq_sig_all, srq=srq,
            congestion=congestion,
        )  # fmt: skip

    def create_srq(
        self, *, max_wr: int, max_sge: int = 16, limit: int = 0, xrcd: Xrcd | None = None, cq: Cq | None = None
    ) -> Srq:
        """A shared receive queue for `max_wr` receives of up to `max_sge` SGEs.

        limit: as of `Srq.modify`. xrcd, cq: both for an XRC queue, with the CQ that its receives complete to.
        Raises LocalError for sizes that make no sense. Source: IBTA 11.2.3.1.
        """
        return self._device.create_srq(self, max_wr=max_wr, max_sge=max_sge, limit=limit, xrcd=xrcd, cq=cq)


class MemoryTable:
    """All regions of one device, by key."""

    def __init__(self, dma: Dma, rng: random.Random) -> None:
        self.dma = dma
        self._rng = rng
        self.regions: dict[int, Mr] = {}

    def register(self, pd: Pd, buffer: object, access: int) -> Mr:
        """See `Pd.reg_mr`."""
        if access & (Access.REMOTE_WRITE | Access.REMOTE_ATOMIC) and not access & Access.LOCAL_WRITE:
            raise LocalError("REMOTE_WRITE and REMOTE_ATOMIC need LOCAL_WRITE too")
        address = self.dma.attach(buffer, writable=bool(access & Access.LOCAL_WRITE))
        with memoryview(buffer) as view:  # type: ignore[arg-type]  # attach has checked it
            length = view.nbytes
        region = Mr(self, pd, address=address, length=length, key=self._new_key(), access=access)
        self.regions[region.lkey] = region
        pd.regions.add(region)
        return region

    def remove(self, region: Mr) -> None:
        """Forget a region and detach its buffer."""
        del self.regions[region.lkey]
        region.pd.regions.discard(region)
        self.dma.detach(region.address)

    def find(self, key: int, qp: Qp, address: int, length: int, right: int) -> Mr | None:
        """The region that grants `right` over the range to `qp`, or None.

        right: bits of `Access` that must all be there; 0 for local reading, which every region grants.
        """
        region = self.regions.get(key)
        if (
            region is None
            or region.pd is not qp.pd
            or region.access & right != right
            or address < region.address
            or address + length > region.end
        ):
            return None
        return region

    def invalidate(self, key: int, qp: Qp) -> None:
        """Withdraw all remote rights of a region, as a SEND with Invalidate asks (IBTA 9.4.1.1.3, 10.6.7.2).

        Its local key goes on, and only registering again gives remote rights. A key that is not valid in the queue
        pair's protection domain changes nothing: what the peer wanted gone is gone.
        DEVIATION: the standard ends the queue pair then, and spares regions that were not fast-registered.
        """
        region = self.regions.get(key)
        if region is not None and region.pd is qp.pd:
            region.access &= ~Access.REMOTE_ANY

    def _new_key(self) -> int:
        while True:
            key = int(self._rng.random() * 0x100000000)
            if key and key not in self.regions:
                return key


def _cut(view: memoryview, page_bytes: int) -> list[memoryview]:
    """The whole pages in a view."""
    return [view[start : start + page_bytes] for start in range(0, len(view) - page_bytes + 1, page_bytes)]


KEPT_PAGES = 4096
"""Pages of the largest region whose views are kept: 16 MiB at the largest path MTU, for a megabyte of views."""
KEPT_PHASES = 4
"""Positions in a page, and page sizes, for which a region keeps its views."""
