"""How a connection moves its queue pair: the attributes of each transition, by type (IBTA 12.9.7, 11.2.5.2).

The masks are those of Linux's cm_init_qp_init_attr, cm_init_qp_rtr_attr and cm_init_qp_rts_attr, so that a program that
moves its queue pairs itself can ask for the same attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self

from stacks.rdma.attributes import AddressVector, QpAttributes
from stacks.rdma.cm.parameters import QpSettings
from stacks.rdma.enums import Access, QpState, QpType
from stacks.runtime import LocalError

RDMA_UDP_QKEY = 0x01234567
"""Q_Key of RDMA-CM's datagram queue pairs and multicast groups (Linux rdma_cm.h; IBTA A11 leaves it open)."""


class CmQp(Protocol):
    """What the connection manager needs of a queue pair."""

    number: int
    qp_type: QpType
    state: QpState
    on_established: Callable[[Self], None] | None

    def modify(self, attributes: QpAttributes) -> None:
        """Change attributes and state; raises LocalError."""


def to_init(qp: CmQp) -> None:
    """Take a queue pair in RESET to INIT, open to whatever its regions allow; LocalError in another state but INIT."""
    if qp.state is QpState.RESET:
        qp.modify(init_attributes(qp.qp_type))
    elif qp.state is not QpState.INIT:
        raise LocalError(f"QP {qp.number} is in {qp.state.name}: only one in RESET or INIT can be connected")


def datagrams_to_rts(qp: CmQp, qkey: int = RDMA_UDP_QKEY) -> None:
    """Take a UD queue pair from RESET to RTS, as rdma_create_qp does; LocalError in another state."""
    qp.modify(init_attributes(QpType.UD, qkey))
    qp.modify(QpAttributes(state=QpState.RTR))
    qp.modify(QpAttributes(state=QpState.RTS, sq_psn=0))


def init_attributes(qp_type: QpType, qkey: int = RDMA_UDP_QKEY) -> QpAttributes:
    """RESET to INIT; qkey: for UD."""
    if qp_type is QpType.UD:
        return QpAttributes(state=QpState.INIT, pkey_index=0, port=1, qkey=qkey)
    return QpAttributes(state=QpState.INIT, pkey_index=0, port=1, access=_INIT_ACCESS)


def rtr_attributes(qp_type: QpType, settings: QpSettings, *, min_rnr_timer: int) -> QpAttributes:
    """INIT to RTR of a connected type. min_rnr_timer: 5-bit field."""
    serves = qp_type in (QpType.RC, QpType.XRC_RECV)
    return QpAttributes(
        state=QpState.RTR,
        av=AddressVector(destination=settings.destination, traffic_class=settings.traffic_class),
        path_mtu=settings.path_mtu,
        dest_qpn=settings.dest_qpn,
        rq_psn=settings.rq_psn,
        max_dest_rd_atomic=settings.max_dest_rd_atomic if serves else None,
        min_rnr_timer=min_rnr_timer if serves else None,
    )


def rts_attributes(qp_type: QpType, settings: QpSettings) -> QpAttributes:
    """RTR to RTS of a connected type."""
    asks = qp_type in (QpType.RC, QpType.XRC_SEND)
    return QpAttributes(
        state=QpState.RTS,
        sq_psn=settings.sq_psn,
        timeout=settings.timeout if asks or qp_type is QpType.XRC_RECV else None,
        retry_cnt=settings.retry_cnt if asks else None,
        rnr_retry=settings.rnr_retry if asks else None,
        max_qp_rd_atomic=settings.max_rd_atomic if asks else None,
    )


# What a peer may do is up to the regions: the queue pair allows everything, as ib_cm_init_qp_attr has it.
_INIT_ACCESS = Access.LOCAL_WRITE | Access.REMOTE_ANY
