"""What a queue pair is made from and changed by: ibv_qp_cap, ibv_qp_init_attr(_ex), ibv_qp_attr."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stacks.rdma.attributes import AlternatePath, QpAttributes
from stacks.rdma.enums import PathMigrationState, QpState, QpType
from stacks.rdma.qp import QpCapacity
from stacks.rdma.transitions import QpAttribute
from stacks.rdma.verbs.addr import AHAttr

if TYPE_CHECKING:
    from stacks.rdma.verbs.cq import CQBase
    from stacks.rdma.verbs.pd import PD
    from stacks.rdma.verbs.srq import SRQ
    from stacks.rdma.verbs.xrcd import XRCD


@dataclass(slots=True)
class QPCap:
    """Sizes: work requests outstanding in each queue, SGEs in each of them, bytes of an inline send."""

    max_send_wr: int = 1
    max_recv_wr: int = 10
    max_send_sge: int = 1
    max_recv_sge: int = 1
    max_inline_data: int = 0


class QPInitAttr:
    """What a queue pair is created with. qp_type: an IBV_QPT_ number. scq, rcq: where completions go.

    srq: where receives come from, None for a queue of its own. sq_sig_all: every send completes with an entry.
    qp_context: the program's own.
    """

    def __init__(
        self,
        qp_type: int = QpType.UD,
        qp_context: object = None,
        scq: CQBase | None = None,
        rcq: CQBase | None = None,
        srq: SRQ | None = None,
        cap: QPCap | None = None,
        sq_sig_all: int = 1,
    ) -> None:
        self.qp_type = qp_type
        self.qp_context = qp_context
        self.send_cq = scq
        self.recv_cq = rcq
        self.srq = srq
        self.cap = cap or QPCap()
        self.sq_sig_all = sq_sig_all

    @property
    def max_send_wr(self) -> int:
        """See `QPCap`, as the four below."""
        return self.cap.max_send_wr

    @max_send_wr.setter
    def max_send_wr(self, val: int) -> None:
        self.cap.max_send_wr = val

    @property
    def max_recv_wr(self) -> int:
        """See `QPCap`."""
        return self.cap.max_recv_wr

    @max_recv_wr.setter
    def max_recv_wr(self, val: int) -> None:
        self.cap.max_recv_wr = val

    @property
    def max_send_sge(self) -> int:
        """See `QPCap`."""
        return self.cap.max_send_sge

    @max_send_sge.setter
    def max_send_sge(self, val: int) -> None:
        self.cap.max_send_sge = val

    @property
    def max_recv_sge(self) -> int:
        """See `QPCap`."""
        return self.cap.max_recv_sge

    @max_recv_sge.setter
    def max_recv_sge(self, val: int) -> None:
        self.cap.max_recv_sge = val

    @property
    def max_inline_data(self) -> int:
        """See `QPCap`."""
        return self.cap.max_inline_data

    @max_inline_data.setter
    def max_inline_data(self, val: int) -> None:
        self.cap.max_inline_data = val


class QPInitAttrEx(QPInitAttr):
    """As `QPInitAttr`, for a queue pair created from a context: so `pd` or `xrcd` must be named.

    comp_mask: IBV_QP_INIT_ATTR_ bits of what is meant. send_ops_flags: IBV_QP_EX_WITH_ bits of what `QPEx` may post.
    create_flags, max_tso_header, source_qpn, hash_conf, ind_table: of other devices; not 0 or None, and it is refused.
    """

    def __init__(
        self,
        qp_type: int = QpType.UD,
        qp_context: object = None,
        scq: CQBase | None = None,
        rcq: CQBase | None = None,
        srq: SRQ | None = None,
        cap: QPCap | None = None,
        sq_sig_all: int = 0,
        comp_mask: int = 0,
        pd: PD | None = None,
        xrcd: XRCD | None = None,
        create_flags: int = 0,
        max_tso_header: int = 0,
        source_qpn: int = 0,
        hash_conf: object = None,
        ind_table: object = None,
        send_ops_flags: int = 0,
    ) -> None:
        super().__init__(qp_type, qp_context, scq, rcq, srq, cap, sq_sig_all)
        self.comp_mask = comp_mask
        self.pd = pd
        self.xrcd = xrcd
        self.create_flags = create_flags
        self.max_tso_header = max_tso_header
        self.source_qpn = source_qpn
        self.hash_conf = hash_conf
        self.ind_table = ind_table
        self.send_ops_flags = send_ops_flags


@dataclass(slots=True)
class QPAttr:
    """Attributes as modify takes and query returns them; which of them count is in the mask beside.

    path_mtu: an IBV_MTU_ number. timeout: 5-bit field, 4.096 us * 2^timeout. rq_psn, sq_psn: 24 bits.
    """

    qp_state: int = QpState.INIT
    cur_qp_state: int = QpState.RESET
    port_num: int = 1
    path_mtu: int = 3
    path_mig_state: int = PathMigrationState.MIGRATED
    qkey: int = 0
    rq_psn: int = 0
    sq_psn: int = 0
    dest_qp_num: int = 0
    qp_access_flags: int = 0
    cap: QPCap = field(default_factory=QPCap)
    ah_attr: AHAttr = field(default_factory=AHAttr)
    alt_ah_attr: AHAttr = field(default_factory=AHAttr)
    pkey_index: int = 0
    alt_pkey_index: int = 0
    en_sqd_async_notify: int = 0
    sq_draining: int = 0
    max_rd_atomic: int = 1
    max_dest_rd_atomic: int = 1
    min_rnr_timer: int = 0
    timeout: int = 0
    retry_cnt: int = 0
    rnr_retry: int = 0
    alt_port_num: int = 0
    alt_timeout: int = 0
    rate_limit: int = 0

    def core(self, mask: int) -> QpAttributes:
        """What of it a core is given: the attributes in `mask`."""
        values: dict[str, object] = {name: getattr(self, ours) for bit, name, ours in _PLAIN if mask & bit}
        if mask & QpAttribute.STATE:
            values["state"] = QpState(self.qp_state)
        if mask & QpAttribute.CUR_STATE:
            values["cur_state"] = QpState(self.cur_qp_state)
        if mask & QpAttribute.PATH_MTU:
            values["path_mtu"] = 128 << self.path_mtu
        if mask & QpAttribute.AV:
            values["av"] = self.ah_attr.address_vector
        if mask & QpAttribute.PATH_MIG_STATE:
            values["path_mig_state"] = PathMigrationState(self.path_mig_state)
        if mask & QpAttribute.ALT_PATH:
            values["alt_path"] = AlternatePath(
                av=self.alt_ah_attr.address_vector,
                pkey_index=self.alt_pkey_index,
                port=self.alt_port_num,
                timeout=self.alt_timeout,
            )
        if mask & QpAttribute.CAP:
            values["cap"] = capacity_of(self.cap)
        return QpAttributes(**values)  # type: ignore[arg-type]  # names and types are those of the two tables

    @classmethod
    def of_core(cls, attributes: QpAttributes, cap: QPCap) -> QPAttr:
        """From what a core tells; what it does not tell is 0, as in a structure that a kernel fills."""
        attr = cls(cap=cap, path_mtu=0, port_num=1, max_rd_atomic=0, max_dest_rd_atomic=0)
        for _, name, ours in _PLAIN:
            if (value := getattr(attributes, name)) is not None:
                setattr(attr, ours, value)
        if attributes.state is not None:
            attr.qp_state = attr.cur_qp_state = attributes.state
        if attributes.path_mtu is not None:
            attr.path_mtu = attributes.path_mtu.bit_length() - 8
        if attributes.av is not None:
            attr.ah_attr = AHAttr.of_vector(attributes.av)
        if (path := attributes.alt_path) is not None:
            attr.alt_ah_attr = AHAttr.of_vector(path.av)
            attr.alt_pkey_index, attr.alt_port_num, attr.alt_timeout = path.pkey_index, path.port, path.timeout
        attr.sq_draining = int(attributes.sq_draining or 0)
        return attr


def capacity_of(cap: QPCap) -> QpCapacity:
    """Sizes as a core takes them."""
    return QpCapacity(
        max_send_wr=cap.max_send_wr,
        max_recv_wr=cap.max_recv_wr,
        max_send_sge=cap.max_send_sge,
        max_recv_sge=cap.max_recv_sge,
        max_inline_data=cap.max_inline_data,
    )


_PLAIN = (
    (QpAttribute.EN_SQD_ASYNC_NOTIFY, "en_sqd_async_notify", "en_sqd_async_notify"),
    (QpAttribute.ACCESS, "access", "qp_access_flags"),
    (QpAttribute.PKEY_INDEX, "pkey_index", "pkey_index"),
    (QpAttribute.PORT, "port", "port_num"),
    (QpAttribute.QKEY, "qkey", "qkey"),
    (QpAttribute.TIMEOUT, "timeout", "timeout"),
    (QpAttribute.RETRY_CNT, "retry_cnt", "retry_cnt"),
    (QpAttribute.RNR_RETRY, "rnr_retry", "rnr_retry"),
    (QpAttribute.RQ_PSN, "rq_psn", "rq_psn"),
    (QpAttribute.MAX_QP_RD_ATOMIC, "max_qp_rd_atomic", "max_rd_atomic"),
    (QpAttribute.MIN_RNR_TIMER, "min_rnr_timer", "min_rnr_timer"),
    (QpAttribute.SQ_PSN, "sq_psn", "sq_psn"),
    (QpAttribute.MAX_DEST_RD_ATOMIC, "max_dest_rd_atomic", "max_dest_rd_atomic"),
    (QpAttribute.DEST_QPN, "dest_qpn", "dest_qp_num"),
    (QpAttribute.RATE_LIMIT, "rate_limit", "rate_limit"),
)
"""Bit, the core's name, and the C name, of attributes that are plain numbers."""
