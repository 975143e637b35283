"""Protection domains: regions, windows and queue pairs work together only inside one (IBTA 10.2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stacks.congestion import ControllerFactory
from stacks.rdma.address_handle import AddressHandle
from stacks.rdma.enums import Access, QpType
from stacks.rdma.memory.fast_registration import FastMr
from stacks.rdma.memory.paging import MrAdvice, advise, register_implicit
from stacks.rdma.memory.regions import KeyOwner, Mr
from stacks.rdma.memory.windows import Mw, MwType

if TYPE_CHECKING:
    from stacks.rdma.attributes import AddressVector
    from stacks.rdma.completion import Cq
    from stacks.rdma.device import Device
    from stacks.rdma.memory.device_memory import DeviceMemory
    from stacks.rdma.qp import Qp, QpCapacity
    from stacks.rdma.srq import Srq, Xrcd
    from stacks.rdma.work import Sge


class Pd:
    """A protection domain.

    objects: its regions and windows.
    """

    __slots__ = ("__weakref__", "_device", "objects")

    def __init__(self, device: Device) -> None:
        self._device = device
        self.objects: set[KeyOwner] = set()

    def reg_mr(self, buffer: object, access: int = Access.LOCAL_WRITE, *, address: int | None = None) -> Mr:
        """Register a buffer without copying it.

        buffer: bytearray, mmap, shared memory, numpy array or anything else with a contiguous buffer interface;
            read-only ones when `access` has no write right. It is held, and cannot be resized, until `Mr.dereg`.
        access: bits of `Access`; with ZERO_BASED, its addresses count from 0. address: where the region is to begin,
            for SGEs and peers alike, instead of the address that the device gives it (64 bits).
        Raises LocalError for rights that contradict each other or the buffer, and for an address that does not fit.
        Source: IBTA 11.2.8.2.
        """
        self._device.admit("reg_mr")
        return self._device.memory.register(self, buffer, access, address=address)

    def reg_odp(self, access: int = Access.LOCAL_WRITE) -> Mr:
        """An implicit region: everything that is attached to the device's `Dma`, now or later, under its own addresses.

        access: bits of `Access`; ON_DEMAND is implied. Raises LocalError for rights that contradict each other.
        """
        self._device.admit("reg_mr")
        return register_implicit(self._device.memory, self, access)

    def reg_device_memory(self, dm: DeviceMemory, offset: int, length: int, access: int) -> Mr:
        """Register a part of device memory; its addresses count from 0, and `access` says ZERO_BASED.

        Raises LocalError for a part that does not lie inside, and rights that contradict each other (ibv_reg_dm_mr).
        """
        self._device.admit("reg_mr")
        return dm.register(self, offset, length, access)

    def advise(self, advice: MrAdvice, sges: Sequence[Sge]) -> int:
        """Ask for the pages of on-demand regions before they are needed; how many were not there (ibv_advise_mr).

        Raises LocalError for pieces that are not inside such a region of this domain.
        """
        return advise(self._device.memory, self, advice, sges)

    def alloc_fast_mr(self, max_sges: int) -> FastMr:
        """A region for up to `max_sges` pieces that REG_MR work requests register; LocalError below 1 (IBTA 10.6.4).

        It is free, and its keys reach nothing, until then.
        """
        self._device.admit("reg_mr")
        return FastMr(self._device.memory, self, max_sges)

    def alloc_mw(self, mw_type: MwType) -> Mw:
        """A memory window that is not bound (IBTA 11.2.8.9)."""
        self._device.admit("alloc_mw")
        return Mw(self._device.memory, self, mw_type)

    def create_qp(
        self,
        qp_type: QpType = QpType.RC,
        *,
        send_cq: Cq,
        recv_cq: Cq,
        capacity: QpCapacity | None = None,
        sq_sig_all: bool = False,
        srq: Srq | None = None,
        xrcd: Xrcd | None = None,
        congestion: str | ControllerFactory | None = None,
        recovery: str | None = None,
    ) -> Qp:
        """A queue pair in RESET.

        send_cq, recv_cq: may be one. capacity: sizes of its queues. sq_sig_all: every send completes with an entry,
        signaled or not. srq: take receives from there. xrcd: the domain of an XRC_RECV, which takes no `srq`.
        congestion: what controls its rate, a name or a factory, "none" for nothing; by default what the device's
        configuration says. recovery: "go-back-n" or "selective", likewise. Source: IBTA 11.2.5.1.
        """
        return self._device.create_qp(
            self, qp_type=qp_type, send_cq=send_cq, recv_cq=recv_cq, capacity=capacity, sq_sig_all=sq_sig_all, srq=srq,
            xrcd=xrcd, congestion=congestion, recovery=recovery,
        )  # fmt: skip

    def create_ah(self, av: AddressVector) -> AddressHandle:
        """A handle for sending datagrams to an address, a host's or a group's.

        Raises LocalError for what is no numeric address of the device's family. Source: IBTA 11.2.2.1.
        """
        self._device.admit("create_ah")
        return AddressHandle(self, av, source=self._device.address[0])

    def create_srq(
        self, *, max_wr: int, max_sge: int = 16, limit: int = 0, xrcd: Xrcd | None = None, cq: Cq | None = None
    ) -> Srq:
        """A shared receive queue for `max_wr` receives of up to `max_sge` SGEs.

        limit: as of `Srq.modify`. xrcd, cq: both for an XRC queue, with the CQ that its receives complete to.
        Raises LocalError for sizes that make no sense. Source: IBTA 11.2.3.1.
        """
        return self._device.create_srq(self, max_wr=max_wr, max_sge=max_sge, limit=limit, xrcd=xrcd, cq=cq)
