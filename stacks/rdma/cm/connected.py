"""The part of an identifier that connects queue pairs: the TCP and IB port spaces."""

from __future__ import annotations

from errno import EINVAL, ETIMEDOUT
from typing import TYPE_CHECKING

from stacks.rdma.attributes import QpAttributes
from stacks.rdma.cm.channel import ConnParam
from stacks.rdma.cm.connection import Connection
from stacks.rdma.cm.events import CmEvent, CmEventType
from stacks.rdma.cm.parameters import ACCEPTED_BY, ConnectionParameters, QpSettings, passive_settings
from stacks.rdma.cm.queue_pair import CmQp, init_attributes, rtr_attributes, rts_attributes, to_init
from stacks.rdma.enums import QpState
from stacks.runtime import LocalError
from wire.ibcm import RejectReason, service_id

if TYPE_CHECKING:
    from stacks.rdma.cm.identifier import RdmaId


class Connected:
    """One connection, or a listener for them, on behalf of an identifier."""

    def __init__(self, owner: RdmaId) -> None:
        self._id = owner
        self._connection: Connection | None = None
        self._listens_on: int | None = None
        self._starting_psn: int | None = None

    def ready_qp(self, qp: CmQp) -> None:
        """Take a fresh queue pair to where receives can be posted."""
        to_init(qp)

    def qp_attributes(self, state: QpState) -> QpAttributes:
        """See `RdmaId.init_qp_attr`."""
        if state is QpState.INIT:
            return init_attributes(self._id.qp_type)
        settings = self._settings()
        if state is QpState.RTR:
            return rtr_attributes(self._id.qp_type, settings, min_rnr_timer=self._id.cm.config.min_rnr_timer)
        if state is QpState.RTS:
            return rts_attributes(self._id.qp_type, settings)
        raise LocalError(f"a connection takes its queue pair to INIT, RTR and RTS, not {state.name}")

    def listen(self, service: int, backlog: int) -> None:
        """Report requests for a service."""
        self._id.cm.listen(service, backlog=backlog, on_event=self._take_request)
        self._listens_on = service

    def connect(self, param: ConnParam) -> None:
        """Send REQ."""
        owner = self._id
        self._connection = owner.cm.connect(
            owner.destination,
            service_id(owner.destination_port, owner.port_space),
            parameters=self._parameters(param),
            private_data=param.private_data,
            source_port=owner.source_port,
            qp=owner.qp,
        )
        self._connection.on_event = self._take

    def accept(self, param: ConnParam) -> None:
        """Send REP."""
        connection = self._connected()
        self._id.cm.accept(
            connection, parameters=self._parameters(param), private_data=param.private_data, qp=self._id.qp
        )

    def reject(self, private_data: bytes, reason: int | None) -> None:
        """Send REJ."""
        reason = RejectReason.CONSUMER if reason is None else reason
        self._id.cm.reject(self._connected(), reason=reason, private_data=private_data)

    def establish(self) -> None:
        """Send RTU."""
        self._id.cm.establish(self._connected())

    def notify_established(self) -> None:
        """The owner saw the first message."""
        own = self._connected().own
        if own is not None:
            self._id.cm.handle_communication_established(own.qpn)

    def disconnect(self) -> None:
        """Send DREQ, or what else ends it."""
        self._id.cm.disconnect(self._connected())

    def close(self) -> None:
        """End whatever there is, and hear no more of it."""
        if self._listens_on is not None:
            self._id.cm.stop_listening(self._listens_on)
            self._listens_on = None
        if self._connection is not None:
            self._id.cm.disconnect(self._connection)
            self._connection.on_event = _ignore

    def _settings(self) -> QpSettings:
        """What is negotiated; for a request that was not answered yet, what accepting it will agree to."""
        connection = self._connected()
        if connection.own is not None or connection.peer is None:
            return connection.settings
        if self._starting_psn is None:
            # As with Linux (cma_accept_ib): an owner that moves the queue pair itself has it ready before it accepts.
            self._starting_psn = self._id.cm.draw_psn()
        return passive_settings(connection.remote_address, self._parameters(ConnParam()), connection.peer)

    def _parameters(self, param: ConnParam) -> ConnectionParameters:
        owner = self._id
        qp_type = owner.qp_type
        if self._connection is not None and self._connection.is_passive:
            # An XRC listener takes requests of initiators with queue pairs that are targets.
            qp_type = ACCEPTED_BY.get(qp_type, qp_type)
        default = ConnectionParameters(qpn=0)
        return ConnectionParameters(
            qpn=owner.qp.number if owner.qp is not None else param.qp_num,
            starting_psn=self._starting_psn,
            path_mtu=owner.path_mtu,
            responder_resources=param.responder_resources,
            initiator_depth=param.initiator_depth,
            retry_count=param.retry_count,
            rnr_retry=param.rnr_retry_count,
            ack_timeout=default.ack_timeout if owner.options.ack_timeout is None else owner.options.ack_timeout,
            own_ack_timeout=owner.options.ack_timeout,
            has_srq=param.srq,
            qp_type=qp_type,
            traffic_class=owner.options.tos,
        )

    def _take_request(self, event: CmEvent) -> None:
        connection = event.connection
        assert connection.peer is not None, "a request has made its offer"
        if connection.peer.qp_type is not _ASKED_BY[self._id.qp_type]:
            self._id.cm.reject(connection, reason=RejectReason.INVALID_TRANSPORT_TYPE)
            return
        request = self._id.new_request(connection.remote_address, connection.source_port)
        service = request.service
        assert isinstance(service, Connected), "a request is of its listener's kind"
        service._connection = connection  # noqa: SLF001 (of the same class)
        connection.on_event = service._take  # noqa: SLF001 (of the same class)
        request.tell(event.kind, conn=_seen_from_here(connection, event.private_data), listen_id=self._id)

    def _take(self, event: CmEvent) -> None:
        if event.kind is CmEventType.ESTABLISHED and self._id.qp is None and not event.connection.is_passive:
            # Who called `establish` knows, and Linux tells him nothing (cma_ib_handler has no event for an RTU sent).
            return
        if event.kind in _ENDINGS:
            self._id.end()
        conn = _seen_from_here(event.connection, event.private_data)
        self._id.tell(event.kind, status=_status(event), conn=conn)

    def _connected(self) -> Connection:
        if self._connection is None:
            raise LocalError("the identifier has no connection")
        return self._connection


def _seen_from_here(connection: Connection, private_data: bytes) -> ConnParam:
    """What the peer offered, turned round: what it serves is what can be asked for here."""
    peer = connection.peer
    if peer is None:
        return ConnParam(private_data=private_data, responder_resources=0, initiator_depth=0)
    return ConnParam(
        private_data=private_data,
        responder_resources=peer.initiator_depth,
        initiator_depth=peer.responder_resources,
        retry_count=peer.retry_count,
        rnr_retry_count=peer.rnr_retry,
        srq=peer.has_srq,
        qp_num=peer.qpn,
    )


def _status(event: CmEvent) -> int:
    if event.kind is CmEventType.REJECTED:
        return event.status
    if event.kind is CmEventType.CONNECT_ERROR:
        return -EINVAL
    return -ETIMEDOUT if event.status == RejectReason.TIMEOUT else 0


def _ignore(_event: CmEvent) -> None:
    """What is heard of a connection whose identifier is gone."""


_ENDINGS = frozenset(
    {CmEventType.REJECTED, CmEventType.UNREACHABLE, CmEventType.DISCONNECTED, CmEventType.CONNECT_ERROR}
)
_ASKED_BY = {accepts: asks for asks, accepts in ACCEPTED_BY.items()}
