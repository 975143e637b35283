"""The completion queues of one device: what they ask of it, and what their end and their overflow do to others."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING
from weakref import WeakSet

from stacks.rdma.completion import CompChannel, Cq
from stacks.rdma.enums import AsyncEventType, QpState
from stacks.rdma.extended_cq import ExtendedCq
from stacks.rdma.limits import check_limit
from stacks.runtime import LocalError

if TYPE_CHECKING:
    from stacks.rdma.device import Device


class CompletionQueues:
    """Owner of the queues (`CqOwner`).

    held: those that somebody holds: a program may simply drop one that nothing completes to.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self.held: WeakSet[Cq] = WeakSet()

    def create(self, depth: int, *, channel: CompChannel | None, wc_flags: int | None) -> Cq:
        """See `Device.create_cq`."""
        device = self._device
        if wc_flags is None:
            cq = Cq(depth, channel=channel, owner=self)
        else:
            cq = ExtendedCq(depth, wc_flags, clock=lambda: device.now, channel=channel, owner=self)
        self.held.add(cq)
        return cq

    def check_cq_depth(self, depth: int) -> None:
        """LocalError when no completion queue may have that many entries."""
        limit = self._device.config.limits.max_cqe
        check_limit("the depth of a completion queue", depth, limit, "max_cqe")

    def remove_cq(self, cq: Cq) -> None:
        """Forget a queue, and the events that concern it; LocalError (EBUSY) while it is in use."""
        device = self._device
        users = [f"QP {qp.number}" for qp in device.qps.values() if cq in (qp.send_cq, qp.recv_cq)]
        users += [f"SRQ {srq.number}" for srq in device.srqs.values() if cq is srq.cq]
        if users:
            raise LocalError(f"{', '.join(users)} completes to this queue: destroy it first", errno=errno.EBUSY)
        self.held.discard(cq)
        device.timers.cancel(cq)
        device.events.forget(cq)

    def cq_overflowed(self, cq: Cq) -> None:
        """CQ_ERR; the queue pairs that can no longer report get QP_FATAL and go to ERR (IBTA 11.6.3.1, 11.6.3.2)."""
        device = self._device
        device.raise_event(AsyncEventType.CQ_ERR, cq=cq)
        for qp in list(device.qps.values()):
            if cq in (qp.send_cq, qp.recv_cq) and qp.state not in (QpState.RESET, QpState.ERR):
                device.raise_event(AsyncEventType.QP_FATAL, qp=qp)
                qp.enter_error()

    def delay_cq(self, cq: Cq, delay_ns: int) -> None:
        """Have a queue that holds an announcement back called again."""
        self._device.timers.arm(cq, self._device.now + delay_ns)
