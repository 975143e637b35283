"""Queue pairs (IBTA 10.2.4, 11.2.5, 11.4.1)."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stacks.rdma.completion import Cq
from stacks.rdma.enums import QpState, QpType, WrOpcode
from stacks.rdma.transitions import QpAttribute, rule_of
from stacks.rdma.unreliable.datagram_queue_pair import DatagramQp
from stacks.rdma.verbs.addr import GID
from stacks.rdma.verbs.errors import PyverbsRDMAError, PyverbsUserError, failing_with, rdma_error, unsupported
from stacks.rdma.verbs.objects import VerbsObject
from stacks.rdma.verbs.pd import PD
from stacks.rdma.verbs.qp_attributes import QPAttr, QPCap, QPInitAttr, QPInitAttrEx, capacity_of
from stacks.rdma.work import SendWr
from stacks.runtime import LocalError

if TYPE_CHECKING:
    from stacks.rdma import qp as core
    from stacks.rdma.verbs.cq import CQBase
    from stacks.rdma.verbs.device import Context
    from stacks.rdma.verbs.mw import MW, MWBind
    from stacks.rdma.verbs.wr import RecvWR, SendWR


@dataclass(slots=True)
class ECE:
    """Options of a vendor that two connection managers negotiate."""

    vendor_id: int = 0
    options: int = 0
    comp_mask: int = 0


class QP(VerbsObject):
    """A queue pair.

    creator: a protection domain; or a context, with QPInitAttrEx, which names the domain. init_attr: see QPInitAttr.
    qp_attr: takes the queue pair to RTS if it is of type UD, to INIT otherwise; without it, it stays in RESET.
    """

    def __init__(self, creator: PD | Context, init_attr: QPInitAttr, qp_attr: QPAttr | None = None) -> None:
        self.pd = _domain(creator, init_attr)
        self.context = self.pd.context
        self.xrcd = init_attr.xrcd if isinstance(init_attr, QPInitAttrEx) else None
        self._init_attr = init_attr
        host = self.context.host
        with host.lock, failing_with("Failed to create QP"):
            self.core = self._create()
        parents = (self.pd, init_attr.send_cq, init_attr.recv_cq, init_attr.srq, self.xrcd)
        super().__init__(host, tuple(parent for parent in parents if parent is not None))
        if qp_attr is not None:
            self.to_rts(qp_attr) if self.qp_type == QpType.UD else self.to_init(qp_attr)

    # Attributes

    @property
    def qp_num(self) -> int:
        """24 bits, what the peer must know."""
        return self.core.number

    @property
    def qp_type(self) -> int:
        """An IBV_QPT_ number."""
        return self.core.qp_type

    @property
    def qp_state(self) -> int:
        """An IBV_QPS_ number."""
        return self.core.state

    @property
    def send_cq(self) -> CQBase:
        """Where sends complete."""
        return _named(self._init_attr.send_cq)

    @property
    def recv_cq(self) -> CQBase:
        """Where receives complete."""
        return _named(self._init_attr.recv_cq)

    def query(self, attr_mask: int) -> tuple[QPAttr, QPInitAttr]:  # noqa: ARG002  # everything is told at no cost
        """All attributes, whatever is asked, and what the queue pair was created with."""
        cap = self._init_attr.cap
        granted = QPCap(cap.max_send_wr, cap.max_recv_wr, cap.max_send_sge, cap.max_recv_sge, cap.max_inline_data)
        attr = QPAttr.of_core(self.core.query(), granted)
        init = QPInitAttr(
            self.qp_type,
            self._init_attr.qp_context,
            self._init_attr.send_cq,
            self._init_attr.recv_cq,
            self._init_attr.srq,
            granted,
            self._init_attr.sq_sig_all,
        )
        return attr, init

    def modify(self, qp_attr: QPAttr, mask: int) -> None:
        """Change the attributes in `mask`, IBV_QP_ bits; PyverbsRDMAError says which is missing or forbidden."""
        with self._host.lock, failing_with("Failed to modify QP"):
            self.core.modify(qp_attr.core(int(mask)))
            if self.core.state is QpState.RESET:
                # What it was doing is forgotten, and so is the news of it: a program that starts over polls no ghosts.
                self.core.send_cq.discard(self.qp_num)
                self.core.recv_cq.discard(self.qp_num)
            self._host.pump()

    def to_init(self, qp_attr: QPAttr) -> None:
        """From RESET to INIT."""
        self._step(QpState.INIT, qp_attr)

    def to_rtr(self, qp_attr: QPAttr) -> None:
        """From RESET or INIT to RTR."""
        if self.core.state is not QpState.INIT:
            self.to_init(qp_attr)
        self._step(QpState.RTR, qp_attr)

    def to_rts(self, qp_attr: QPAttr) -> None:
        """From RESET, INIT or RTR to RTS."""
        if self.core.state is not QpState.RTR:
            self.to_rtr(qp_attr)
        self._step(QpState.RTS, qp_attr)

    # Work

    def post_send(self, wr: SendWR, bad_wr: object = None) -> None:  # noqa: ARG002  # the error says which
        """Post a send and those linked to it, and have what can leave leave."""
        with self._host.lock:
            request: SendWR | None = wr
            try:
                while request is not None:
                    self.core.post_send(request.prepared())
                    request = request.next_wr
            except LocalError as error:
                raise rdma_error("Failed to post send", error) from error
            finally:
                self._host.poll()

    def post_recv(self, wr: RecvWR, bad_wr: object = None) -> None:  # noqa: ARG002  # the error says which
        """Post a receive and those linked to it."""
        with self._host.lock:
            request: RecvWR | None = wr
            try:
                while request is not None:
                    self.core.post_recv(request.core)
                    request = request.next_wr
            except LocalError as error:
                raise rdma_error("Failed to post recv", error) from error

    def bind_mw(self, mw: MW, mw_bind: MWBind) -> None:
        """Post a bind of a type 1 window, which gets its next key at once (ibv_bind_mw)."""
        wr = SendWr(mw_bind.wr_id, WrOpcode.BIND_MW, (), int(mw_bind.send_flags))
        wr.mw, wr.bind = mw.core, mw_bind.info.core
        with self._host.lock, failing_with("Failed to bind MW"):
            self.core.post_send(wr)
            self._host.poll()

    def attach_mcast(self, gid: GID) -> None:
        """Receive what is sent to a group as well (UD only)."""
        with self._host.lock, failing_with("Failed to attach to multicast group"):
            self._datagrams.attach_mcast(gid.ip)

    def detach_mcast(self, gid: GID) -> None:
        """No longer receive what is sent to a group."""
        with self._host.lock, failing_with("Failed to detach from multicast group"):
            self._datagrams.detach_mcast(gid.ip)

    def query_data_in_order(self, op: int, flags: int = 0) -> int:  # noqa: ARG002  # true of none of them
        """0: data of a message may become visible in any order."""
        return 0

    def set_ece(self, ece: ECE) -> None:
        """EOPNOTSUPP for any option: this device has none."""
        if ece.vendor_id:
            raise unsupported("Failed to set ECE options")

    def query_ece(self) -> ECE:
        """No options."""
        return ECE()

    # Inside

    @property
    def _datagrams(self) -> DatagramQp:
        if not isinstance(self.core, DatagramQp):
            raise LocalError("only UD queue pairs are in multicast groups", errno=errno.EINVAL)
        return self.core

    def _create(self) -> core.Qp:
        attr = self._init_attr
        _refuse_foreign(attr)
        send_cq, recv_cq = self._cqs()
        return self.pd.core.create_qp(
            _qp_type(attr.qp_type),
            send_cq=send_cq,
            recv_cq=recv_cq,
            capacity=capacity_of(attr.cap),
            sq_sig_all=bool(attr.sq_sig_all),
            srq=None if attr.srq is None else attr.srq.core,
            xrcd=None if self.xrcd is None else self.xrcd.core,
        )

    def _cqs(self) -> tuple[Cq, Cq]:
        if self._init_attr.qp_type == QpType.XRC_SEND:
            # It never receives.
            return self.send_cq.core, self.send_cq.core
        if self._init_attr.qp_type == QpType.XRC_RECV:
            # Nothing completes on it: what it receives goes to the CQ of a shared receive queue.
            unused = self.context.device.create_cq(1)
            return unused, unused
        return self.send_cq.core, self.recv_cq.core

    def _step(self, target: QpState, qp_attr: QPAttr) -> None:
        with failing_with(f"Failed to modify QP to {target.name}"):
            required, _ = rule_of(self.core.qp_type, self.core.state, target)
        qp_attr.qp_state = target
        self.modify(qp_attr, required | QpAttribute.STATE)

    def _release(self) -> None:
        self.core.destroy()


def _domain(creator: PD | Context, init_attr: QPInitAttr) -> PD:
    if isinstance(creator, PD):
        return creator
    if isinstance(init_attr, QPInitAttrEx) and init_attr.pd is not None:
        return init_attr.pd
    if isinstance(init_attr, QPInitAttrEx) and init_attr.xrcd is not None:
        # An XRC target has no memory of its own to protect: the shared receive queues that it feeds name theirs.
        return PD(creator)
    raise PyverbsUserError("Cannot create a QP from a Context without QPInitAttrEx that names a PD")


def _refuse_foreign(attr: QPInitAttr) -> None:
    if isinstance(attr, QPInitAttrEx) and (
        attr.create_flags or attr.max_tso_header or attr.source_qpn or attr.hash_conf or attr.ind_table
    ):
        raise unsupported("Failed to create QP: no create flags, segmentation offload or receive hash here")


def _qp_type(number: int) -> QpType:
    try:
        return QpType(number)
    except ValueError:
        raise unsupported(f"Failed to create QP: there is no type {number}") from None


def _named(cq: CQBase | None) -> CQBase:
    if cq is None:
        raise PyverbsRDMAError("Failed to create QP: it needs a CQ for sends and one for receives", errno.EINVAL)
    return cq
