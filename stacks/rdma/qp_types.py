"""Which class makes the queue pairs of each type."""

from __future__ import annotations

from stacks.rdma.congestion.queue_pair import ControlledQp
from stacks.rdma.enums import QpType
from stacks.rdma.qp import Qp
from stacks.rdma.reliable.queue_pair import ReliableQp
from stacks.rdma.unreliable.datagram_queue_pair import DatagramQp
from stacks.rdma.unreliable.queue_pair import UnreliableQp
from stacks.rdma.xrc import XrcInitiatorQp, XrcTargetQp

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
