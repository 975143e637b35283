"""What a peer's messages do: one function for each (IBTA 12.9.8).

Each finds the connection that is meant, applies the event, and acts on the state that this leads to. What belongs to
no connection, or is not allowed in its state, is counted, and answered where an answer spares the peer its retries.
"""

from __future__ import annotations

from collections.abc import Mapping

from stacks.rdma.cm.alternate_paths import AlternatePaths
from stacks.rdma.cm.config import cm_time_ns
from stacks.rdma.cm.connection import Backlog, Connection
from stacks.rdma.cm.events import CmEvent, CmEventType
from stacks.rdma.cm.exchange import Exchange
from stacks.rdma.cm.messages import (
    ABOUT_LAP,
    ABOUT_REP,
    ABOUT_REQ,
    answer_dreq,
    build_mra,
    build_rej,
    judge_req,
    read_rep,
)
from stacks.rdma.cm.parameters import SMALLEST_PATH_MTU
from stacks.rdma.cm.sidr import SidrServices
from stacks.rdma.cm.states import CONNECTED, WAITING_FOR_REP, ConnectionEvent, ConnectionState
from stacks.runtime import RemoteError, Verdict
from wire.errors import WireError
from wire.ibcm import (
    CmApr,
    CmDrep,
    CmDreq,
    CmLap,
    CmMra,
    CmRej,
    CmRep,
    CmReq,
    CmRtu,
    CmSidrRep,
    CmSidrReq,
    RejectReason,
    parse_mad,
)


class Inbound:
    """The receiving half of a connection manager.

    listeners: the services that are listened on, with their unanswered requests; the manager adds and removes them.
    """

    def __init__(
        self,
        exchange: Exchange,
        listeners: Mapping[int, Backlog[Connection, CmEvent]],
        sidr: SidrServices,
        paths: AlternatePaths,
    ) -> None:
        self._exchange = exchange
        self._listeners = listeners
        self._sidr = sidr
        self._paths = paths

    def handle_mad(self, source: str, mad: memoryview, now: int) -> None:
        """Take the payload of a UD SEND to QP1. source: the peer's IP address; `mad` is not kept; `now` in ns."""
        self._exchange.counters.cm_received += 1
        try:
            header, message = parse_mad(mad)
        except WireError:
            self._exchange.counters.cm_malformed += 1
            return
        match message:
            case CmReq():
                self._handle_req(source, header.transaction_id, message)
            case CmSidrReq():
                self._sidr.handle_req(source, header.transaction_id, message)
            case CmSidrRep():
                self._sidr.handle_rep(source, message)
            case CmRej():
                self._handle_rej(source, message, now)
            case CmDreq():
                self._handle_dreq(source, header.transaction_id, message, now)
            case CmRep():
                self._handle_rep(source, header.transaction_id, message)
            case CmRtu() | CmMra() | CmDrep():
                self._handle_answer(source, message, now)
            case CmLap():
                self._paths.handle_lap(source, header.transaction_id, message)
            case CmApr():
                self._paths.handle_apr(source, header.transaction_id, message)

    def _handle_req(self, source: str, transaction_id: int, message: CmReq) -> None:
        try:
            request = judge_req(message, self._exchange.config)
            known = self._exchange.table.by_request(source, message.local_comm_id)
            if known is not None and known.peer == request.parameters:
                self._handle_duplicate_req(known)
                return
            if known is not None and _is_another(known, message):
                raise RemoteError(RejectReason.DUPLICATE_LOCAL_COMM_ID, f"{known} is still connected")
            stale = known or self._exchange.table.by_remote_qpn(source, message.local_ca_guid, message.local_qpn)
            if stale is not None:
                self._exchange.supersede(stale)
                raise RemoteError(RejectReason.STALE_CONNECTION, f"QP {message.local_qpn} is still connected")
            backlog = self._backlog(message.service_id)
        except RemoteError as error:
            rejection = CmRej(remote_comm_id=message.local_comm_id, message_rejected=ABOUT_REQ, reason=error.code)
            self._exchange.answer(source, transaction_id, rejection)
            return
        connection = self._exchange.new_connection(source, message.service_id, is_passive=True)
        connection.remote_comm_id = message.local_comm_id
        connection.transaction_id = transaction_id
        connection.peer = request.parameters
        connection.peer_guid = message.local_ca_guid
        self._exchange.move(connection, ConnectionEvent.REQ)
        self._exchange.table.add(connection)
        backlog.add(connection)
        connection.backlog = backlog
        connection.source_port = request.source_port
        connection.on_event = backlog.on_event
        self._exchange.report(CmEventType.CONNECT_REQUEST, connection, private_data=request.private_data)

    def _backlog(self, service_id: int) -> Backlog[Connection, CmEvent]:
        backlog = self._listeners.get(service_id)
        if backlog is None:
            raise RemoteError(RejectReason.INVALID_SERVICE_ID, f"nobody listens on service {service_id:#x}")
        if backlog.is_full:
            raise RemoteError(RejectReason.NO_RESOURCES, f"the backlog of service {service_id:#x} is full")
        return backlog

    def _handle_duplicate_req(self, connection: Connection) -> None:
        was_silent = connection.state is ConnectionState.REQ_RCVD
        match self._exchange.move(connection, ConnectionEvent.REQ):
            case ConnectionState.MRA_REQ_SENT if was_silent:
                self._exchange.send(connection, build_mra(connection, self._exchange.config))
            case ConnectionState.MRA_REQ_SENT | ConnectionState.REP_SENT | ConnectionState.MRA_REP_RCVD:
                self._exchange.repeat(connection)
            case ConnectionState.TIMEWAIT:
                rejection = build_rej(connection, RejectReason.STALE_CONNECTION)
                self._exchange.answer(connection.remote_address, connection.transaction_id, rejection)

    def _handle_rep(self, source: str, transaction_id: int, message: CmRep) -> None:
        connection = self._exchange.find(source, message.remote_comm_id, message.local_comm_id)
        if connection is None:
            rejection = CmRej(
                local_comm_id=message.remote_comm_id,
                remote_comm_id=message.local_comm_id,
                message_rejected=ABOUT_REP,
                reason=RejectReason.INVALID_COMM_ID,
            )
            self._exchange.answer(source, transaction_id, rejection)
            return
        before = connection.state
        match self._exchange.move(connection, ConnectionEvent.REP):
            case ConnectionState.REP_RCVD:
                self._take_reply(connection, message)
            case ConnectionState.MRA_REP_SENT if before is ConnectionState.REP_RCVD:
                self._exchange.send(connection, build_mra(connection, self._exchange.config))
            case ConnectionState.MRA_REP_SENT | ConnectionState.ESTABLISHED:
                self._exchange.repeat(connection)

    def _take_reply(self, connection: Connection, message: CmRep) -> None:
        guid = message.local_ca_guid
        stale = self._exchange.table.by_remote_qpn(connection.remote_address, guid, message.local_qpn)
        if stale is not None:
            # The peer gave its QP to this connection, so it has forgotten the other. Linux rejects the REP instead.
            self._exchange.supersede(stale)
        connection.remote_comm_id = message.local_comm_id
        assert connection.own is not None, "no REP is taken before a REQ"
        connection.peer = read_rep(message, connection.own.qp_type)
        connection.peer_guid = guid
        self._exchange.table.add(connection)
        self._exchange.report(CmEventType.CONNECT_RESPONSE, connection, private_data=message.private_data)

    def _handle_answer(self, source: str, message: CmRtu | CmMra | CmDrep, now: int) -> None:
        connection = self._exchange.find(source, message.remote_comm_id, message.local_comm_id)
        if connection is None:
            self._exchange.counters.cm_unmatched += 1
        elif isinstance(message, CmRtu):
            self.establish_passive(connection, ConnectionEvent.RTU, message.private_data)
        elif isinstance(message, CmMra):
            self._handle_mra(connection, message, now)
        elif self._exchange.move(connection, ConnectionEvent.DREP, now) is ConnectionState.TIMEWAIT:
            self._exchange.report(CmEventType.DISCONNECTED, connection, private_data=message.private_data)

    def establish_passive(self, connection: Connection, event: ConnectionEvent, private_data: bytes = b"") -> None:
        """The peer is ready, by RTU or by what it sends."""
        if self._exchange.move(connection, event) is ConnectionState.ESTABLISHED:
            self._exchange.report(CmEventType.ESTABLISHED, connection, private_data=private_data)

    def _handle_mra(self, connection: Connection, message: CmMra, now: int) -> None:
        if message.message_mraed == ABOUT_LAP and connection.state is ConnectionState.ESTABLISHED:
            self._paths.handle_mra(connection, message, now)
            return
        awaited = ABOUT_REP if connection.is_passive else ABOUT_REQ
        if message.message_mraed != awaited:
            self._exchange.counters.cm_unexpected += 1
        elif not isinstance(self._exchange.move(connection, ConnectionEvent.MRA), Verdict):
            pause_ns = min(cm_time_ns(message.service_timeout), self._exchange.config.longest_service_timeout_ns)
            self._exchange.wait_longer(connection, pause_ns, now)

    def _handle_rej(self, source: str, message: CmRej, now: int) -> None:
        if message.remote_comm_id:
            connection = self._exchange.find(source, message.remote_comm_id, message.local_comm_id)
        else:
            # The sender never learned our ID: it gave up waiting for a REP.
            connection = self._exchange.table.by_request(source, message.local_comm_id)
        if connection is None:
            self._exchange.counters.cm_unmatched += 1
            return
        was_connected = connection.state in CONNECTED
        event = _event_of(message, connection)
        outcome = self._exchange.move(connection, event, now)
        if event is ConnectionEvent.REJ_MTU:
            self._exchange.ask_for_less(connection)
        elif not isinstance(outcome, Verdict):
            kind = CmEventType.DISCONNECTED if was_connected else CmEventType.REJECTED
            self._exchange.report(kind, connection, status=message.reason, private_data=message.private_data)

    def _handle_dreq(self, source: str, transaction_id: int, message: CmDreq, now: int) -> None:
        connection = self._exchange.find(source, message.remote_comm_id, message.local_comm_id)
        if connection is None:
            # Without an answer, a peer that we have forgotten would retransmit to the end of its patience.
            self._exchange.answer(source, transaction_id, answer_dreq(message))
            return
        if connection.own is None or message.remote_qpn != connection.own.qpn:
            self._exchange.counters.cm_unexpected += 1
            return
        is_first = connection.state is not ConnectionState.TIMEWAIT
        if self._exchange.move(connection, ConnectionEvent.DREQ, now) is ConnectionState.TIMEWAIT:
            self._exchange.answer(source, transaction_id, answer_dreq(message))
            if is_first:
                self._exchange.report(CmEventType.DISCONNECTED, connection, private_data=message.private_data)
            else:
                self._exchange.counters.cm_duplicates += 1


def _is_another(known: Connection, message: CmReq) -> bool:
    """Whether a REQ gives a second queue pair of the same channel adapter the ID of a connection that stands."""
    stands = known.state is not ConnectionState.TIMEWAIT and known.peer_guid == message.local_ca_guid
    return stands and known.peer is not None and known.peer.qpn != message.local_qpn


def _event_of(message: CmRej, connection: Connection) -> ConnectionEvent:
    if message.reason == RejectReason.STALE_CONNECTION:
        return ConnectionEvent.REJ_STALE
    can_ask_for_less = connection.own is not None and connection.own.path_mtu > SMALLEST_PATH_MTU
    if message.reason == RejectReason.INVALID_MTU and connection.state in WAITING_FOR_REP and can_ask_for_less:
        return ConnectionEvent.REJ_MTU
    return ConnectionEvent.REJ
