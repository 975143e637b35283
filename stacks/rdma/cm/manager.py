"""The connection manager of one device: CM messages in and out, events to the owner (IBTA chapter 12).

It knows no verbs objects. Commands only queue a message; `poll_mad` yields it, and timers start there, so that no
command needs the time.
"""

from __future__ import annotations

import ipaddress
import random
from collections import deque
from dataclasses import replace

from stacks.rdma.cm.config import CmConfig, cm_time_ns
from stacks.rdma.cm.connection import Connection, ConnectionTable
from stacks.rdma.cm.events import CmCounters, CmEvent, CmEventType
from stacks.rdma.cm.messages import (
    ABOUT_REP,
    ABOUT_REQ,
    answer_dreq,
    build_dreq,
    build_mra,
    build_rej,
    build_rep,
    build_req,
    build_rtu,
    judge_req,
    read_rep,
)
from stacks.rdma.cm.parameters import ConnectionParameters
from stacks.rdma.cm.states import ConnectionEvent, ConnectionState
from stacks.runtime import DROP, LocalError, RemoteError, Timers, Verdict
from wire.errors import WireError
from wire.ibcm import (
    CmDrep,
    CmDreq,
    CmMessage,
    CmMra,
    CmRej,
    CmRep,
    CmReq,
    CmRtu,
    CmSidrRep,
    CmSidrReq,
    RejectReason,
    SidrStatus,
    build_mad,
    parse_mad,
)


class ConnectionManager:
    """A sans-IO connection manager.

    address: the device's IP address in numeric text form. rng: communication IDs, starting PSNs and the CA GUID are
    drawn from it, by `random()` alone.
    """

    def __init__(self, address: str, *, rng: random.Random, config: CmConfig | None = None) -> None:
        self.address = _canonical(address)
        self.counters = CmCounters()
        self._rng = rng
        self._config = config or CmConfig()
        self._ca_guid = self._draw(32) << 32 | self._draw(32)
        self._listeners: dict[int, _Listener] = {}
        self._table = ConnectionTable()
        self._timers: Timers[int] = Timers()
        self._events: deque[CmEvent] = deque()
        self._outbox: deque[tuple[str, bytes, Connection | None]] = deque()

    def __len__(self) -> int:
        return len(self._table)

    # Commands of the owner

    def listen(self, service_id: int, *, backlog: int = 128) -> None:
        """Report requests for `service_id` (see `wire.ibcm.service_id` for ports), `backlog` unanswered ones at most.

        Raises LocalError when it is listened on already.
        """
        if service_id in self._listeners:
            raise LocalError(f"service {service_id:#x} of {self.address} is listened on already")
        self._listeners[service_id] = _Listener(backlog)

    def stop_listening(self, service_id: int) -> None:
        """Reject further requests; those that were reported stay. Raises LocalError when it is not listened on."""
        if self._listeners.pop(service_id, None) is None:
            raise LocalError(f"service {service_id:#x} of {self.address} is not listened on")

    def connect(
        self,
        destination: str,
        service_id: int,
        *,
        parameters: ConnectionParameters,
        private_data: bytes = b"",
        source_port: int | None = None,
    ) -> Connection:
        """Ask `destination` for a connection; CONNECT_RESPONSE, REJECTED or UNREACHABLE will tell what it says.

        destination: IP address in numeric text form. private_data: at most 56 bytes for RDMA-CM's port spaces, else 92.
        source_port: for the RDMA-CM header; drawn when None.
        Raises LocalError for what cannot be sent, and for a queue pair whose last connection has not ended.
        """
        own = self._offer(parameters)
        connection = Connection(
            local_comm_id=self._new_comm_id(),
            remote_address=_canonical(destination),
            service_id=service_id,
            is_passive=False,
        )
        message = build_req(
            connection,
            own,
            source_address=self.address,
            source_port=_FIRST_PORT + self._draw(14) if source_port is None else source_port,
            ca_guid=self._ca_guid,
            private_data=private_data,
            config=self._config,
        )
        self._move(connection, ConnectionEvent.CONNECT)
        connection.own = own
        self._table.add(connection)
        self._send(connection, message)
        return connection

    def accept(self, connection: Connection, *, parameters: ConnectionParameters, private_data: bytes = b"") -> None:
        """Answer a CONNECT_REQUEST with REP; the queue pair must be able to receive already.

        The limits on READs and atomics are lowered to what the peer can use. private_data: at most 196 bytes.
        Raises LocalError for what cannot be sent, or in a state other than REQ_RCVD and MRA_REQ_SENT.
        """
        peer = _offered(connection)
        own = replace(
            self._offer(parameters),
            responder_resources=min(parameters.responder_resources, peer.initiator_depth),
            initiator_depth=min(parameters.initiator_depth, peer.responder_resources),
        )
        message = build_rep(connection, own, ca_guid=self._ca_guid, private_data=private_data, config=self._config)
        self._move(connection, ConnectionEvent.ACCEPT)
        connection.own = own
        self._table.add(connection)
        self._send(connection, message)

    def establish(self, connection: Connection, *, private_data: bytes = b"") -> None:
        """Answer a CONNECT_RESPONSE with RTU, once the queue pair is ready to send; ESTABLISHED follows.

        private_data: at most 224 bytes. Raises LocalError in a state other than REP_RCVD and MRA_REP_SENT.
        """
        message = build_rtu(connection, private_data)
        self._move(connection, ConnectionEvent.ESTABLISH)
        self._send(connection, message)
        self._report(CmEventType.ESTABLISHED, connection)

    def delay(self, connection: Connection) -> None:
        """Tell the peer that the answer takes a while (MRA). Raises LocalError when no answer is due."""
        message = build_mra(connection, self._config)
        self._move(connection, ConnectionEvent.DELAY)
        self._send(connection, message)

    def reject(
        self,
        connection: Connection,
        *,
        reason: int = RejectReason.CONSUMER,
        private_data: bytes = b"",
        ari: bytes = b"",
    ) -> None:
        """Answer a CONNECT_REQUEST or CONNECT_RESPONSE with REJ.

        reason: see `wire.ibcm.RejectReason`. private_data: at most 148 bytes; ari, additional information: 72.
        Raises LocalError when no answer is due.
        """
        message = build_rej(connection, reason, private_data=private_data, ari=ari)
        self._move(connection, ConnectionEvent.REJECT)
        self._send(connection, message)

    def disconnect(self, connection: Connection, *, private_data: bytes = b"") -> None:
        """End a connection in whatever state it is; idempotent.

        An established one is released with DREQ, and DISCONNECTED follows. One that is not yet is rejected, and
        nothing more is heard of it but TIMEWAIT_EXIT. private_data: at most 220 bytes, for an established one.
        """
        message: CmMessage
        if connection.state is ConnectionState.ESTABLISHED:
            message = build_dreq(connection, private_data)
        elif connection.state in _WAITING_FOR_REP:
            message = build_rej(connection, RejectReason.TIMEOUT)
        else:
            message = build_rej(connection, RejectReason.CONSUMER)
        if not isinstance(self._move(connection, ConnectionEvent.DISCONNECT), Verdict):
            self._send(connection, message)

    # Input

    def handle_mad(self, source: str, mad: memoryview, now: int) -> None:
        """Take the payload of a UD SEND to QP1. source: the peer's IP address; `mad` is not kept; `now` in ns."""
        self.counters.cm_received += 1
        try:
            header, message = parse_mad(mad)
        except WireError:
            self.counters.cm_malformed += 1
            return
        match message:
            case CmReq():
                self._handle_req(source, header.transaction_id, message)
            case CmSidrReq():
                answer = CmSidrRep(
                    request_id=message.request_id, status=SidrStatus.UNSUPPORTED, service_id=message.service_id
                )
                self._answer(source, header.transaction_id, answer)
            case CmRej():
                self._handle_rej(source, message, now)
            case CmDreq():
                self._handle_dreq(source, header.transaction_id, message, now)
            case CmRep():
                self._handle_rep(source, header.transaction_id, message)
            case CmRtu() | CmMra() | CmDrep():
                self._handle_answer(source, message, now)
            case _:
                self.counters.cm_unexpected += 1

    def handle_communication_established(self, qpn: int) -> None:
        """A message came in on our queue pair `qpn`; before the RTU, that is as good as one."""
        connection = self._table.by_local_qpn(qpn)
        if connection is not None and connection.is_passive:
            self._establish_passive(connection, ConnectionEvent.COMM_EST, b"")

    def handle_timeout(self, now: int) -> None:
        """Send again, give up, or leave TIMEWAIT, whatever is due at `now`."""
        for local_comm_id in self._timers.expired(now):
            connection = self._table.by_local_id(local_comm_id)
            assert connection is not None, "a timer outlived its connection"
            if connection.state is ConnectionState.TIMEWAIT:
                self._move(connection, ConnectionEvent.TIMEWAIT_OVER)
                self._report(CmEventType.TIMEWAIT_EXIT, connection)
            elif connection.attempt < self._config.max_retries:
                connection.attempt += 1
                self.counters.cm_retries += 1
                self._send_again(connection)
            else:
                self._give_up(connection, now)

    # Output

    def poll_mad(self, now: int) -> tuple[str, bytes] | None:
        """The next message to send: destination and 256 bytes for its QP1. `now` starts the wait for the answer."""
        if not self._outbox:
            return None
        destination, mad, connection = self._outbox.popleft()
        if connection is not None:
            self._start_timer(connection, now)
        self.counters.cm_sent += 1
        return destination, mad

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is next due; None for never."""
        return self._timers.next_deadline()

    def poll_event(self) -> CmEvent | None:
        """The next event, or None."""
        return self._events.popleft() if self._events else None

    # Requests and replies

    def _handle_req(self, source: str, transaction_id: int, message: CmReq) -> None:
        try:
            request = judge_req(message, self._config)
            known = self._table.by_request(source, message.local_comm_id)
            if known is not None and known.peer == request.parameters:
                self._handle_duplicate_req(known)
                return
            stale = known or self._table.by_remote_qpn(source, message.local_qpn)
            if stale is not None:
                self._supersede(stale)
                raise RemoteError(RejectReason.STALE_CONNECTION, f"QP {message.local_qpn} is still connected")
            listener = self._listener(message.service_id)
        except RemoteError as error:
            rejection = CmRej(remote_comm_id=message.local_comm_id, message_rejected=ABOUT_REQ, reason=error.code)
            self._answer(source, transaction_id, rejection)
            return
        connection = Connection(
            local_comm_id=self._new_comm_id(), remote_address=source, service_id=message.service_id, is_passive=True
        )
        connection.remote_comm_id = message.local_comm_id
        connection.transaction_id = transaction_id
        connection.peer = request.parameters
        self._move(connection, ConnectionEvent.REQ)
        self._table.add(connection)
        listener.unanswered.add(connection.local_comm_id)
        self._report(CmEventType.CONNECT_REQUEST, connection, private_data=request.private_data)

    def _handle_duplicate_req(self, connection: Connection) -> None:
        was_silent = connection.state is ConnectionState.REQ_RCVD
        match self._move(connection, ConnectionEvent.REQ):
            case ConnectionState.MRA_REQ_SENT if was_silent:
                self._send(connection, build_mra(connection, self._config))
            case ConnectionState.MRA_REQ_SENT | ConnectionState.REP_SENT | ConnectionState.MRA_REP_RCVD:
                self.counters.cm_duplicates += 1
                self._send_again(connection)
            case ConnectionState.TIMEWAIT:
                self._send(connection, build_rej(connection, RejectReason.STALE_CONNECTION))

    def _handle_rep(self, source: str, transaction_id: int, message: CmRep) -> None:
        connection = self._find(source, message.remote_comm_id, message.local_comm_id)
        if connection is None:
            rejection = CmRej(
                local_comm_id=message.remote_comm_id,
                remote_comm_id=message.local_comm_id,
                message_rejected=ABOUT_REP,
                reason=RejectReason.INVALID_COMM_ID,
            )
            self._answer(source, transaction_id, rejection)
            return
        before = connection.state
        match self._move(connection, ConnectionEvent.REP):
            case ConnectionState.REP_RCVD:
                self._take_reply(connection, message)
            case ConnectionState.MRA_REP_SENT if before is ConnectionState.REP_RCVD:
                self._send(connection, build_mra(connection, self._config))
            case ConnectionState.MRA_REP_SENT | ConnectionState.ESTABLISHED:
                self.counters.cm_duplicates += 1
                self._send_again(connection)

    def _take_reply(self, connection: Connection, message: CmRep) -> None:
        stale = self._table.by_remote_qpn(connection.remote_address, message.local_qpn)
        if stale is not None:
            # The peer gave its QP to this connection, so it has forgotten the other. Linux rejects the REP instead.
            self._supersede(stale)
        connection.remote_comm_id = message.local_comm_id
        connection.peer = read_rep(message)
        self._table.add(connection)
        self._report(CmEventType.CONNECT_RESPONSE, connection, private_data=message.private_data)

    def _handle_answer(self, source: str, message: CmRtu | CmMra | CmDrep, now: int) -> None:
        connection = self._find(source, message.remote_comm_id, message.local_comm_id)
        if connection is None:
            self.counters.cm_unmatched += 1
        elif isinstance(message, CmRtu):
            self._establish_passive(connection, ConnectionEvent.RTU, message.private_data)
        elif isinstance(message, CmMra):
            self._handle_mra(connection, message, now)
        elif self._move(connection, ConnectionEvent.DREP, now) is ConnectionState.TIMEWAIT:
            self._report(CmEventType.DISCONNECTED, connection, private_data=message.private_data)

    def _establish_passive(self, connection: Connection, event: ConnectionEvent, private_data: bytes) -> None:
        if self._move(connection, event) is ConnectionState.ESTABLISHED:
            self._report(CmEventType.ESTABLISHED, connection, private_data=private_data)

    def _handle_mra(self, connection: Connection, message: CmMra, now: int) -> None:
        awaited = ABOUT_REP if connection.is_passive else ABOUT_REQ
        if message.message_mraed != awaited:
            self.counters.cm_unexpected += 1
        elif not isinstance(self._move(connection, ConnectionEvent.MRA), Verdict):
            connection.attempt = 0
            pause_ns = min(cm_time_ns(message.service_timeout), self._config.longest_service_timeout_ns)
            self._timers.arm(connection.local_comm_id, now + pause_ns + self._config.retry_ns(0))

    # Rejection and release

    def _handle_rej(self, source: str, message: CmRej, now: int) -> None:
        if message.remote_comm_id:
            connection = self._find(source, message.remote_comm_id, message.local_comm_id)
        else:
            # The sender never learned our ID: it gave up waiting for a REP.
            connection = self._table.by_request(source, message.local_comm_id)
        if connection is None:
            self.counters.cm_unmatched += 1
            return
        is_stale = message.reason == RejectReason.STALE_CONNECTION
        was_connected = connection.state in _CONNECTED
        outcome = self._move(connection, ConnectionEvent.REJ_STALE if is_stale else ConnectionEvent.REJ, now)
        if not isinstance(outcome, Verdict):
            kind = CmEventType.DISCONNECTED if was_connected else CmEventType.REJECTED
            self._report(kind, connection, status=message.reason, private_data=message.private_data)

    def _handle_dreq(self, source: str, transaction_id: int, message: CmDreq, now: int) -> None:
        connection = self._find(source, message.remote_comm_id, message.local_comm_id)
        if connection is None:
            # Without an answer, a peer that we have forgotten would retransmit to the end of its patience.
            self._answer(source, transaction_id, answer_dreq(message))
            return
        if connection.own is None or message.remote_qpn != connection.own.qpn:
            self.counters.cm_unexpected += 1
            return
        is_first = connection.state is not ConnectionState.TIMEWAIT
        if self._move(connection, ConnectionEvent.DREQ, now) is ConnectionState.TIMEWAIT:
            self._answer(source, transaction_id, answer_dreq(message))
            if is_first:
                self._report(CmEventType.DISCONNECTED, connection, private_data=message.private_data)
            else:
                self.counters.cm_duplicates += 1

    def _supersede(self, connection: Connection) -> None:
        before = connection.state
        match self._move(connection, ConnectionEvent.SUPERSEDED):
            case ConnectionState.DREQ_SENT:
                self._send(connection, build_dreq(connection))
            case ConnectionState.CLOSED:
                self._report(CmEventType.REJECTED, connection, status=RejectReason.STALE_CONNECTION)
            case ConnectionState.TIMEWAIT if before is not ConnectionState.TIMEWAIT:
                self._send(connection, build_rej(connection, RejectReason.STALE_CONNECTION))
                self._report(CmEventType.DISCONNECTED, connection, status=RejectReason.STALE_CONNECTION)

    def _give_up(self, connection: Connection, now: int) -> None:
        is_release = connection.state is ConnectionState.DREQ_SENT
        message = build_rej(connection, RejectReason.TIMEOUT, ari=self._ca_guid.to_bytes(8, "big"))
        self._move(connection, ConnectionEvent.RETRIES_EXHAUSTED, now)
        if not is_release:
            self._send(connection, message)
        kind = CmEventType.DISCONNECTED if is_release else CmEventType.UNREACHABLE
        self._report(kind, connection, status=RejectReason.TIMEOUT)

    # The parts that everything above is made of

    def _move(
        self, connection: Connection, event: ConnectionEvent, now: int | None = None
    ) -> ConnectionState | Verdict:
        """Apply an event; raises LocalError for a command that the state does not allow."""
        before = connection.state
        outcome = connection.table.apply(before, event)
        if outcome is DROP:
            self.counters.cm_unexpected += 1
        if isinstance(outcome, Verdict) or outcome is before:
            return outcome
        connection.state = outcome
        connection.attempt = 0
        self._timers.cancel(connection.local_comm_id)
        if before in _UNANSWERED and outcome not in _UNANSWERED:
            for listener in self._listeners.values():
                listener.unanswered.discard(connection.local_comm_id)
        if outcome is ConnectionState.TIMEWAIT and now is not None:
            self._start_timer(connection, now)
        if outcome is ConnectionState.CLOSED:
            self._table.remove(connection)
        return outcome

    def _start_timer(self, connection: Connection, now: int) -> None:
        if self._timers.is_armed(connection.local_comm_id):
            return
        if connection.state in _AWAITING_ANSWER:
            self._timers.arm(connection.local_comm_id, now + self._config.retry_ns(connection.attempt))
        elif connection.state is ConnectionState.TIMEWAIT:
            self._timers.arm(connection.local_comm_id, now + self._config.time_wait_ns)

    def _send(self, connection: Connection, message: CmMessage) -> None:
        if isinstance(message, CmRej):
            self.counters.cm_rejects_sent += 1
        connection.last_sent = build_mad(message, connection.transaction_id)
        self._send_again(connection)

    def _send_again(self, connection: Connection) -> None:
        self._outbox.append((connection.remote_address, connection.last_sent, connection))

    def _answer(self, destination: str, transaction_id: int, message: CmMessage) -> None:
        """Answer without a connection; strangers may not fill our memory."""
        if len(self._outbox) >= _MOST_QUEUED:
            self.counters.cm_overflow += 1
            return
        if isinstance(message, CmRej):
            self.counters.cm_rejects_sent += 1
        self._outbox.append((destination, build_mad(message, transaction_id), None))

    def _report(self, kind: CmEventType, connection: Connection, *, status: int = 0, private_data: bytes = b"") -> None:
        self._events.append(CmEvent(kind, connection, status, private_data))

    def _find(self, source: str, local_comm_id: int, remote_comm_id: int) -> Connection | None:
        """The connection that a message means: the peer must be who it was, and must call it what it did."""
        connection = self._table.by_local_id(local_comm_id)
        if connection is None or connection.remote_address != source:
            return None
        if connection.remote_comm_id and remote_comm_id not in (0, connection.remote_comm_id):
            return None
        return connection

    def _listener(self, service_id: int) -> _Listener:
        listener = self._listeners.get(service_id)
        if listener is None:
            raise RemoteError(RejectReason.INVALID_SERVICE_ID, f"nobody listens on service {service_id:#x}")
        if len(listener.unanswered) >= listener.backlog:
            raise RemoteError(RejectReason.NO_RESOURCES, f"the backlog of service {service_id:#x} is full")
        return listener

    def _offer(self, parameters: ConnectionParameters) -> ConnectionParameters:
        parameters.check()
        if self._table.by_local_qpn(parameters.qpn) is not None:
            raise LocalError(f"QP {parameters.qpn} is connected, or in TIMEWAIT")
        if parameters.starting_psn is not None:
            return parameters
        return replace(parameters, starting_psn=self._draw(24))

    def _new_comm_id(self) -> int:
        while not (comm_id := self._draw(32)) or comm_id in self._table:
            pass
        return comm_id

    def _draw(self, bits: int) -> int:
        return int(self._rng.random() * (1 << bits))


class _Listener:
    __slots__ = ("backlog", "unanswered")

    def __init__(self, backlog: int) -> None:
        self.backlog = backlog
        self.unanswered: set[int] = set()


def _offered(connection: Connection) -> ConnectionParameters:
    if connection.peer is None:
        raise LocalError("only a connection that was requested can be accepted")
    return connection.peer


def _canonical(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        raise LocalError(f"{address!r} is not a numeric IP address") from None


_S = ConnectionState
_WAITING_FOR_REP = frozenset({_S.REQ_SENT, _S.MRA_REQ_RCVD})
_UNANSWERED = frozenset({_S.REQ_RCVD, _S.MRA_REQ_SENT})
_CONNECTED = frozenset({_S.ESTABLISHED, _S.DREQ_SENT})
_AWAITING_ANSWER = _WAITING_FOR_REP | {_S.REP_SENT, _S.MRA_REP_RCVD, _S.DREQ_SENT}

# RDMA-CM source ports are drawn from 16384 up.
_FIRST_PORT = 1 << 14
_MOST_QUEUED = 1024
