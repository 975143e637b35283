"""Which class makes the queue pairs of each type."""

from __future__ import annotations

from errno import EOPNOTSUPP

from stacks.rdma.congestion.queue_pair import ControlledQp
from stacks.rdma.enums import QpType
from stacks.rdma.qp import Qp
from stacks.rdma.reliable.queue_pair import ReliableQp
from stacks.rdma.reliable.recovery import is_selective_repeat
from stacks.rdma.reliable.selective_queue_pair import SelectiveQp
from stacks.rdma.unreliable.datagram_queue_pair import DatagramQp
from stacks.rdma.unreliable.queue_pair import UnreliableQp
from stacks.rdma.xrc import XrcInitiatorQp, XrcTargetQp
from stacks.runtime import LocalError


class ControlledSelectiveQp(ControlledQp, SelectiveQp):
    """A reliable connection with congestion control and selective repeat."""


def class_of(
    qp_type: QpType, *, is_controlled: bool, is_chosen: bool, recovery: str | None, usual_recovery: str
) -> type[Qp]:
    """The class for a type, with congestion control and selective repeat where there is such a one.

    is_chosen: whether the program asked for the control, and not only the device's configuration.
    recovery, usual_recovery: what the program asked for, if anything, and what the device's configuration says.
    Raises LocalError for an unknown type, and for what was asked for and is not there.
    """
    if qp_type not in QP_TYPES:
        there = ", ".join(kind.name for kind in QP_TYPES)
        raise LocalError(f"there are no {qp_type.name} queue pairs: use {there}", errno=EOPNOTSUPP)
    is_selective = is_selective_repeat(usual_recovery if recovery is None else recovery)
    if is_selective and recovery is not None and qp_type is not QpType.RC:
        raise LocalError(f"{qp_type.name} queue pairs have no selective repeat", errno=EOPNOTSUPP)
    if is_selective and qp_type is QpType.RC:
        return ControlledSelectiveQp if is_controlled else SelectiveQp
    if not is_controlled:
        return QP_TYPES[qp_type]
    if is_chosen and qp_type not in CONTROLLED_QP_TYPES:
        raise LocalError(f'{qp_type.name} queue pairs have no congestion control: leave it out, or say "none"')
    return CONTROLLED_QP_TYPES.get(qp_type, QP_TYPES[qp_type])


QP_TYPES: dict[QpType, type[Qp]] = {
    QpType.RC: ReliableQp,
    QpType.UC: UnreliableQp,
    QpType.UD: DatagramQp,
    QpType.XRC_SEND: XrcInitiatorQp,
    QpType.XRC_RECV: XrcTargetQp,
}
"""Requester, completer and responder come with the class, those that its transport has (IBTA 9.8, 9.7, A14)."""

CONTROLLED_QP_TYPES: dict[QpType, type[ControlledQp]] = {
    QpType.RC: ControlledQp,
}
"""The same with congestion control."""
