"""What both faces, `sync` and `aio`, have in common: a device, and short ways to what most programs need."""

from __future__ import annotations

from collections.abc import Callable

from stacks.rdma.cm.ids import CmId, CmIds, CmListener
from stacks.rdma.cm.queue_pair import to_init
from stacks.rdma.completion import CompChannel, Cq
from stacks.rdma.device import Device
from stacks.rdma.enums import QpType
from stacks.rdma.qp import Qp, QpCapacity
from stacks.rdma.srq import Srq, Xrcd
from transports.datagram import DatagramTransport, MulticastTransport


class EndpointBase:
    """A device with one protection domain and its connections.

    device: for everything that has no short way here; its connection manager is polled here and by nobody else.
    pd: the protection domain of `create_qp`; register memory in it.
    """

    def __init__(
        self, device: Device, *, channel: CompChannel | None = None, on_change: Callable[[], None] | None = None
    ) -> None:
        self.device = device
        self.pd = device.alloc_pd()
        self.ids = CmIds(device.cm, on_change)
        self._channel = channel

    def _use(self, transport: DatagramTransport) -> None:
        """Have the device's groups joined where its packets come by."""
        if isinstance(transport, MulticastTransport):
            self.device.groups.membership = transport

    @property
    def address(self) -> str:
        """The device's IP address, in numeric text form."""
        return self.device.address[0]

    def create_cq(self, depth: int) -> Cq:
        """A completion queue that this endpoint can wait for; LocalError when depth is below 1."""
        return self.device.create_cq(depth, channel=self._channel)

    def create_qp(
        self,
        *,
        send_cq: Cq | None = None,
        recv_cq: Cq | None = None,
        capacity: QpCapacity | None = None,
        sq_sig_all: bool = False,
        qp_type: QpType = QpType.RC,
        srq: Srq | None = None,
        xrcd: Xrcd | None = None,
    ) -> Qp:
        """A queue pair in INIT, as rdma_create_qp makes it: receives may be posted before it is connected.

        send_cq, recv_cq: where completions go; what is not given is one queue that holds everything outstanding.
        capacity, sq_sig_all, qp_type, srq, xrcd: as of `Pd.create_qp`.
        """
        capacity = capacity or QpCapacity()
        if send_cq is None or recv_cq is None:
            own = self.create_cq(capacity.max_send_wr + capacity.max_recv_wr)
            send_cq = own if send_cq is None else send_cq
            recv_cq = own if recv_cq is None else recv_cq
        qp = self.pd.create_qp(
            qp_type, send_cq=send_cq, recv_cq=recv_cq, capacity=capacity, sq_sig_all=sq_sig_all, srq=srq, xrcd=xrcd
        )
        to_init(qp)
        return qp

    def listen(self, port: int, *, backlog: int = 128) -> CmListener:
        """Take requests for a port, `backlog` unanswered ones at most; LocalError when it is listened on already."""
        return self.ids.listen(port, backlog=backlog)

    def stop_listening(self, listener: CmListener) -> None:
        """Refuse what waits and what comes; what was accepted stays. Idempotent."""
        self.ids.stop_listening(listener)


def settled(cm_id: CmId) -> CmId:
    """The connection, if it came about; raises ConnectionFailed otherwise."""
    cm_id.check()
    return cm_id
