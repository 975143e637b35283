"""Queue pairs connected by hand, as programs do that exchange numbers over TCP."""

from __future__ import annotations

from interop.peers.rendezvous import Place
from stacks.rdma import AddressVector, Qp, QpAttributes, QpState, QpType

ACK_TIMEOUT = 16
"""268 ms. libibverbs' examples have a quarter of that, which an emulated processor under load uses up seven times."""
RNR_TIMER = 12


def connect_by_hand(qp: Qp, own: Place, other: Place, path_mtu: int, *, serves: int = 1, asks: int = 1) -> None:
    """Take an RC or UC queue pair from INIT to RTS. serves, asks: READs and atomics at a time."""
    is_reliable = qp.qp_type is QpType.RC
    qp.modify(
        QpAttributes(
            state=QpState.RTR,
            av=AddressVector(destination=other.address),
            path_mtu=path_mtu,
            dest_qpn=other.qpn,
            rq_psn=other.psn,
            max_dest_rd_atomic=serves if is_reliable else None,
            min_rnr_timer=RNR_TIMER if is_reliable else None,
        )
    )
    qp.modify(
        QpAttributes(
            state=QpState.RTS,
            sq_psn=own.psn,
            timeout=ACK_TIMEOUT if is_reliable else None,
            retry_cnt=7 if is_reliable else None,
            rnr_retry=7 if is_reliable else None,
            max_qp_rd_atomic=asks if is_reliable else None,
        )
    )


def ready_datagrams(qp: Qp, own: Place) -> None:
    """Take a UD queue pair from INIT to RTS."""
    qp.modify(QpAttributes(state=QpState.RTR))
    qp.modify(QpAttributes(state=QpState.RTS, sq_psn=own.psn))
