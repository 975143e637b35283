"""The part of an identifier that finds datagram services: the UDP and IPOIB port spaces."""

from __future__ import annotations

from errno import EOPNOTSUPP
from typing import TYPE_CHECKING

from stacks.rdma.attributes import AddressVector, QpAttributes
from stacks.rdma.cm.channel import ConnParam, UdParam
from stacks.rdma.cm.events import CmEventType
from stacks.rdma.cm.queue_pair import RDMA_UDP_QKEY, CmQp, datagram_attributes
from stacks.rdma.cm.resolution import Resolution, ResolutionEvent, ResolutionState
from stacks.rdma.enums import QpState
from stacks.runtime import LocalError
from wire.ibcm import SidrStatus, service_id

if TYPE_CHECKING:
    from stacks.rdma.cm.identifier import RdmaId


class Datagrams:
    """One resolution, or a service for them, on behalf of an identifier.

    qkey: of the identifier's queue pair.
    """

    def __init__(self, owner: RdmaId) -> None:
        self._id = owner
        self._resolution: Resolution | None = None
        self._listens_on: int | None = None
        self.qkey = RDMA_UDP_QKEY

    def ready_qp(self, qp: CmQp) -> None:
        """Take a fresh queue pair to where datagrams can be sent."""
        if qp.state is not QpState.RESET:
            raise LocalError(f"QP {qp.number} is in {qp.state.name}: a datagram one is taken over in RESET")
        for state in (QpState.INIT, QpState.RTR, QpState.RTS):
            qp.modify(self.qp_attributes(state))

    def qp_attributes(self, state: QpState) -> QpAttributes:
        """See `RdmaId.init_qp_attr`."""
        return datagram_attributes(state, self.qkey)

    def listen(self, service: int, backlog: int) -> None:
        """Report requests for a service."""
        self._id.cm.sidr.listen(service, backlog=backlog, on_event=self._take_request)
        self._listens_on = service

    def connect(self, param: ConnParam) -> None:
        """Send SIDR_REQ."""
        owner = self._id
        self._resolution = owner.cm.sidr.resolve(
            owner.destination,
            service_id(owner.destination_port, owner.port_space),
            private_data=param.private_data,
            source_port=owner.source_port,
        )
        self._resolution.on_event = self._take

    def accept(self, param: ConnParam) -> None:
        """Send SIDR_REP with the queue pair and its key."""
        qpn = self._id.qp.number if self._id.qp is not None else param.qp_num
        self.qkey = self.qkey if param.qkey is None else param.qkey
        self._id.cm.sidr.accept(self._resolved(), qpn=qpn, qkey=self.qkey, private_data=param.private_data)

    def reject(self, private_data: bytes, reason: int | None) -> None:
        """Send SIDR_REP with a refusal."""
        status = SidrStatus.REJECT if reason is None else reason
        self._id.cm.sidr.reject(self._resolved(), status=status, private_data=private_data)

    def establish(self) -> None:
        """Datagrams are not established."""
        raise LocalError("a datagram service is not established: it answers at once", errno=EOPNOTSUPP)

    def notify_established(self) -> None:
        """Datagrams are not established."""
        self.establish()

    def disconnect(self) -> None:
        """Stop asking, or refuse what was not answered; what was found needs no farewell."""
        resolution = self._resolution
        if resolution is None:
            return
        if resolution.state is ResolutionState.REQ_SENT:
            self._id.cm.sidr.cancel(resolution)
        elif resolution.state is ResolutionState.REQ_RCVD:
            self._id.cm.sidr.reject(resolution)

    def close(self) -> None:
        """End whatever there is, and hear no more of it."""
        if self._listens_on is not None:
            self._id.cm.sidr.stop_listening(self._listens_on)
            self._listens_on = None
        self.disconnect()

    def _take_request(self, event: ResolutionEvent) -> None:
        resolution = event.resolution
        request = self._id.new_request(resolution.remote_address, resolution.source_port)
        service = request.service
        assert isinstance(service, Datagrams), "a request is of its listener's kind"
        service._resolution = resolution  # noqa: SLF001 (of the same class)
        ud = UdParam(av=self._vector(resolution.remote_address), qp_num=0, qkey=0, private_data=event.private_data)
        request.tell(event.kind, ud=ud, listen_id=self._id)

    def _take(self, event: ResolutionEvent) -> None:
        resolution = event.resolution
        ud = UdParam(
            av=self._vector(resolution.remote_address),
            qp_num=resolution.qpn,
            qkey=resolution.qkey,
            private_data=event.private_data,
        )
        if event.kind is CmEventType.UNREACHABLE:
            self._id.end()
        self._id.tell(event.kind, status=event.status, ud=ud)

    def _vector(self, destination: str) -> AddressVector:
        return AddressVector(destination=destination, traffic_class=self._id.options.tos)

    def _resolved(self) -> Resolution:
        if self._resolution is None:
            raise LocalError("the identifier has no request to answer")
        return self._resolution
