"""How a connection moves its queue pair: the attributes of each transition, by type (IBTA 12.9.7, 11.2.5.2).

The masks are those of Linux's cm_init_qp_init_attr, cm_init_qp_rtr_attr and cm_init_qp_rts_attr, so that a program that
moves its queue pairs itself can ask for the same attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self, runtime_checkable

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


@runtime_checkable
class MulticastQp(Protocol):
    """A UD queue pair that can be in multicast groups."""

    def attach_mcast(self, group: str, /) -> None:
        """Receive what is sent to a group, an IP address in numeric text form; raises LocalError."""

    def detach_mcast(self, group: str, /) -> None:
        """The inverse of `attach_mcast`."""


def to_init(qp: CmQp) -> None:
    """Take a queue pair in RESET to INIT, open to whatever its regions allow; LocalError in another state but INIT."""
    if qp.state is QpState.RESET:
        qp.modify(init_attributes(qp.qp_type))
    elif qp.state is not QpState.INIT:
        raise LocalError(f"QP {qp.number} is in {qp.state.name}: only one in RESET or INIT can be connected")


def init_attributes(qp_type: QpType) -> QpAttributes:
    """RESET to INIT; a datagram type gets RDMA-CM's Q_Key."""
    if qp_type is QpType.UD:
        return datagram_attributes(QpState.INIT, RDMA_UDP_QKEY)
    return QpAttributes(state=QpState.INIT, pkey_index=0, port=1, access=_INIT_ACCESS)


def datagram_attributes(state: QpState, qkey: int) -> QpAttributes:
    """The way to INIT, RTR or RTS of a datagram type; LocalError for another state."""
    if state is QpState.INIT:
        return QpAttributes(state=state, pkey_index=0, port=1, qkey=qkey)
    if state is QpState.RTR:
        return QpAttributes(state=state)
    if state is QpState.RTS:
        return QpAttributes(state=state, sq_psn=0)
    raise LocalError(f"a queue pair is taken to INIT, RTR and RTS, not {state.name}")


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
