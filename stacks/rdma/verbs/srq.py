"""Shared receive queues (IBTA 10.2.9, 11.2.3)."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from stacks.rdma import srq as core
from stacks.rdma.verbs.errors import PyverbsRDMAError, PyverbsUserError, failing_with, rdma_error, unsupported
from stacks.rdma.verbs.objects import VerbsObject
from stacks.rdma.verbs.pd import PD
from stacks.runtime import LocalError

if TYPE_CHECKING:
    from stacks.rdma.verbs.cq import CQBase
    from stacks.rdma.verbs.device import Context
    from stacks.rdma.verbs.wr import RecvWR
    from stacks.rdma.verbs.xrcd import XRCD


@dataclass(slots=True)
class SrqAttr:
    """max_wr: receives that fit. max_sge: SGEs in each. srq_limit: an event when fewer are left; 0 for none."""

    max_wr: int = 100
    max_sge: int = 1
    srq_limit: int = 0


class SrqInitAttr:
    """What a plain shared receive queue is created with."""

    def __init__(self, attr: SrqAttr | None = None) -> None:
        self.attr = attr or SrqAttr()

    @property
    def max_wr(self) -> int:
        """See `SrqAttr`, as the two below."""
        return self.attr.max_wr

    @property
    def max_sge(self) -> int:
        """See `SrqAttr`."""
        return self.attr.max_sge

    @property
    def srq_limit(self) -> int:
        """See `SrqAttr`."""
        return self.attr.srq_limit


class SrqInitAttrEx:
    """The same for one that is created from a context. srq_type: IBV_SRQT_BASIC or IBV_SRQT_XRC.

    pd; and for XRC, xrcd and the cq that its receives complete to. comp_mask: IBV_SRQ_INIT_ATTR_ bits.
    """

    def __init__(self, max_wr: int = 100, max_sge: int = 1, srq_limit: int = 0) -> None:
        self.max_wr = max_wr
        self.max_sge = max_sge
        self.srq_limit = srq_limit
        self.comp_mask = 0
        self.srq_type = TYPE_BASIC
        self.pd: PD | None = None
        self.xrcd: XRCD | None = None
        self.cq: CQBase | None = None
        self.max_num_tags = 0
        self.max_ops = 0


class OpsWr:
    """An operation on a tag matching queue; no device of ours has one to post it to."""

    def __init__(self, wr_id: int = 0, **fields: object) -> None:
        self.wr_id = wr_id
        self.fields = fields


class SRQ(VerbsObject):
    """A shared receive queue. creator: a protection domain with SrqInitAttr, or a context with SrqInitAttrEx."""

    CLOSING_RANK: ClassVar[int] = 1

    def __init__(self, creator: PD | Context, attr: SrqInitAttr | SrqInitAttrEx) -> None:
        self.pd = creator if isinstance(creator, PD) else _domain(attr)
        host = self.pd.context.host
        xrcd = getattr(attr, "xrcd", None)
        cq = getattr(attr, "cq", None)
        with host.lock, failing_with("Failed to create SRQ"):
            self.core = self.pd.core.create_srq(
                max_wr=attr.max_wr,
                max_sge=attr.max_sge,
                limit=attr.srq_limit,
                xrcd=None if xrcd is None else xrcd.core,
                cq=None if xrcd is None or cq is None else cq.core,
            )
        super().__init__(host, tuple(parent for parent in (self.pd, xrcd, cq) if parent is not None))
        self.cq = cq

    def get_srq_num(self) -> int:
        """The number that XRC sends name; EINVAL for a queue of another kind."""
        if self.core.xrcd is None:
            raise PyverbsRDMAError("Failed to retrieve SRQ number", errno.EINVAL)
        return self.core.number

    def modify(self, attr: SrqAttr, comp_mask: int) -> None:
        """Change size (IBV_SRQ_MAX_WR) or limit (IBV_SRQ_LIMIT)."""
        with self._host.lock, failing_with("Failed to modify SRQ"):
            self.core.modify(
                max_wr=attr.max_wr if comp_mask & MASK_MAX_WR else None,
                limit=attr.srq_limit if comp_mask & MASK_LIMIT else None,
            )

    def query(self) -> SrqAttr:
        """Its sizes, and the limit that is armed."""
        attributes: core.SrqAttributes = self.core.query()
        return SrqAttr(attributes.max_wr, attributes.max_sge, attributes.limit)

    def post_recv(self, recv_wr: RecvWR, bad_wr: object = None) -> None:  # noqa: ARG002  # the error says which
        """Post a receive and those linked to it."""
        with self._host.lock:
            request: RecvWR | None = recv_wr
            try:
                while request is not None:
                    self.core.post_recv(request.core)
                    request = request.next_wr
            except LocalError as error:
                raise rdma_error("Failed to post receive to SRQ", error) from error

    def _release(self) -> None:
        self.core.destroy()


def _domain(attr: SrqInitAttr | SrqInitAttrEx) -> PD:
    if not isinstance(attr, SrqInitAttrEx) or attr.pd is None:
        raise PyverbsUserError("Cannot create an SRQ from a Context without SrqInitAttrEx that names a PD")
    if attr.srq_type not in (TYPE_BASIC, TYPE_XRC):
        raise unsupported("Failed to create SRQ: no tag matching here")
    return attr.pd


TYPE_BASIC, TYPE_XRC = 0, 1
MASK_MAX_WR, MASK_LIMIT = 1, 2
