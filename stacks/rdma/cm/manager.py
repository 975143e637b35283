"""The connection manager of one device, as its owner and the device see it (IBTA chapter 12).

It knows no verbs objects and no time: a command only queues a message, `poll_mad` yields it, and the wait for the
answer starts there.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Sized
from dataclasses import replace

from stacks.rdma.cm.alternate_paths import AlternatePaths
from stacks.rdma.cm.config import CmConfig
from stacks.rdma.cm.connection import Backlog, Connection
from stacks.rdma.cm.events import CmCounters, CmEvent, CmEventType
from stacks.rdma.cm.exchange import Exchange
from stacks.rdma.cm.inbound import Inbound
from stacks.rdma.cm.messages import (
    build_dreq,
    build_mra,
    build_rej,
    build_rep,
    build_req,
    build_rtu,
    canonical_address,
    peer_address,
)
from stacks.rdma.cm.parameters import ACCEPTED_BY, ConnectionParameters
from stacks.rdma.cm.ports import PortTable
from stacks.rdma.cm.sidr import SidrServices
from stacks.rdma.cm.states import WAITING_FOR_REP, ConnectionEvent, ConnectionState
from stacks.runtime import LocalError, Verdict
from wire.ibcm import CmMessage, RejectReason


class ConnectionManager:
    """A sans-IO connection manager.

    address: the device's IP address in numeric text form; the CA GUID follows from it, so that peers know a device
    again after a restart. rng: communication IDs and starting PSNs are drawn from it, by `random()` alone.

    sidr: datagram services. paths: alternate paths. ports: who of its identifiers holds which port.

    A command that crosses the end of its connection has no effect: the event that tells of the end is on its way.
    """

    def __init__(self, address: str, *, rng: random.Random, config: CmConfig | None = None) -> None:
        self.address = canonical_address(address)
        self.config = config or CmConfig()
        self._listeners: dict[int, Backlog[Connection, CmEvent]] = {}
        self._exchange = Exchange(rng=rng, ca_guid=_ca_guid(self.address), config=self.config)
        self.sidr = SidrServices(self._exchange, self.address)
        self.paths = AlternatePaths(self._exchange, self.address)
        self.ports = PortTable(self._exchange.draw)
        self._inbound = Inbound(self._exchange, self._listeners, self.sidr, self.paths)

    @property
    def counters(self) -> CmCounters:
        """What was counted; see `CmCounters`."""
        return self._exchange.counters

    def __len__(self) -> int:
        return len(self._exchange.table)

    # Commands of the owner

    def listen(self, service_id: int, *, backlog: int = 128, on_event: Callable[[CmEvent], None] | None = None) -> None:
        """Report requests for `service_id` (see `wire.ibcm.service_id` for ports), `backlog` unanswered ones at most.

        on_event: see `Connection`. Raises LocalError when it is listened on already.
        """
        if service_id in self._listeners:
            raise LocalError(f"service {service_id:#x} of {self.address} is listened on already")
        self._listeners[service_id] = Backlog(backlog, on_event)

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
        Raises LocalError for what cannot be sent, for a path MTU above `CmConfig.max_path_mtu`, and for a queue pair
        whose last connection has not ended.
        """
        _check_width("service_id", service_id, 64)
        own = self._offer(parameters)
        if own.path_mtu > self.config.max_path_mtu:
            raise LocalError(f"path_mtu is {own.path_mtu}, but max_path_mtu {self.config.max_path_mtu}")
        if own.qp_type not in ACCEPTED_BY:
            raise LocalError(f"a {own.qp_type.name} queue pair only accepts connections")
        if source_port is None:
            source_port = _FIRST_PORT + self._exchange.draw(14)
        connection = self._exchange.new_connection(
            peer_address(self.address, destination), service_id, is_passive=False
        )
        message = build_req(
            connection,
            own,
            source_address=self.address,
            source_port=source_port,
            ca_guid=self._exchange.ca_guid,
            private_data=private_data,
            config=self.config,
        )
        self._exchange.move(connection, ConnectionEvent.CONNECT)
        connection.source_port = source_port
        connection.own = own
        self._exchange.table.add(connection)
        self._exchange.send(connection, message)
        return connection

    def draw_psn(self) -> int:
        """A starting PSN for an offer that somebody must know before it is made."""
        return self._exchange.draw(24)

    def accept(self, connection: Connection, *, parameters: ConnectionParameters, private_data: bytes = b"") -> None:
        """Answer a CONNECT_REQUEST with REP; the queue pair must be able to receive already.

        The limits on READs and atomics are lowered to what the peer can use. private_data: at most 196 bytes.
        Raises LocalError for what cannot be sent, or in a state other than REQ_RCVD and MRA_REQ_SENT.
        """
        peer = _offered(connection)
        if parameters.qp_type is not ACCEPTED_BY[peer.qp_type]:
            ours, theirs = parameters.qp_type.name, peer.qp_type.name
            raise LocalError(f"a {ours} queue pair cannot accept what a {theirs} one asks")
        own = replace(
            self._offer(parameters),
            responder_resources=min(parameters.responder_resources, peer.initiator_depth),
            initiator_depth=min(parameters.initiator_depth, peer.responder_resources),
        )
        message = build_rep(
            connection, own, ca_guid=self._exchange.ca_guid, private_data=private_data, config=self.config
        )
        if self._exchange.move(connection, ConnectionEvent.ACCEPT) is ConnectionState.REP_SENT:
            connection.own = own
            self._exchange.table.add(connection)
            self._exchange.send(connection, message)

    def establish(self, connection: Connection, *, private_data: bytes = b"") -> None:
        """Answer a CONNECT_RESPONSE with RTU, once the queue pair is ready to send; ESTABLISHED follows.

        private_data: at most 224 bytes. Raises LocalError in a state other than REP_RCVD and MRA_REP_SENT.
        """
        message = build_rtu(connection, private_data)
        if self._exchange.move(connection, ConnectionEvent.ESTABLISH) is ConnectionState.ESTABLISHED:
            self._exchange.send(connection, message)
            self._exchange.report(CmEventType.ESTABLISHED, connection)
            self._settle()

    def delay(self, connection: Connection) -> None:
        """Tell the peer that the answer takes a while (MRA). Raises LocalError when no answer is due."""
        message = build_mra(connection, self.config)
        self._command(connection, ConnectionEvent.DELAY, message)

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
        _check_width("reason", reason, 16)
        message = build_rej(connection, reason, private_data=private_data, ari=ari)
        self._command(connection, ConnectionEvent.REJECT, message)

    def disconnect(self, connection: Connection, *, private_data: bytes = b"") -> None:
        """End a connection in whatever state it is; idempotent.

        An established one is released with DREQ, and DISCONNECTED follows. One that is not yet is rejected, and
        nothing more is heard of it but TIMEWAIT_EXIT. private_data: at most 220 bytes, for an established one.
        """
        message: CmMessage
        if connection.state is ConnectionState.ESTABLISHED:
            message = build_dreq(connection, private_data)
        elif connection.state in WAITING_FOR_REP:
            message = build_rej(connection, RejectReason.TIMEOUT)
        else:
            message = build_rej(connection, RejectReason.CONSUMER)
        self._command(connection, ConnectionEvent.DISCONNECT, message)

    # What the device calls

    def handle_mad(self, source: str, mad: memoryview, now: int) -> None:
        """Take the payload of a UD SEND to QP1. source: the peer's IP address; `mad` is not kept; `now` in ns."""
        self._inbound.handle_mad(source, mad, now)
        self._settle()

    def handle_communication_established(self, qpn: int) -> None:
        """A message came in on our queue pair `qpn`; before the RTU, that is as good as one."""
        connection = self._exchange.table.by_local_qpn(qpn)
        if connection is not None and connection.is_passive:
            self._inbound.establish_passive(connection, ConnectionEvent.COMM_EST)
            self._settle()

    def handle_timeout(self, now: int) -> None:
        """Send again, give up, or leave TIMEWAIT, whatever is due at `now`."""
        self._exchange.handle_timeout(now)
        self.sidr.handle_timeout(now)
        self.paths.handle_timeout(now)
        self._settle()

    @property
    def outbox(self) -> Sized:
        """What waits for `poll_mad`; the same object for good, so that a data path can ask cheaply."""
        return self._exchange.outbox

    def poll_mad(self, now: int) -> tuple[str, bytes] | None:
        """The next message to send: destination and 256 bytes for its QP1. `now` starts the wait for the answer."""
        return self._exchange.poll_mad(now)

    def poll_deadline(self) -> int | None:
        """When `handle_timeout` is next due; None for never."""
        deadlines = (each.poll_deadline() for each in (self._exchange, self.sidr, self.paths))
        return min((each for each in deadlines if each is not None), default=None)

    def poll_event(self) -> CmEvent | None:
        """The next event, or None."""
        events = self._exchange.events
        return events.popleft() if events else None

    def _settle(self) -> None:
        """Called when input may have brought events; for a manager that acts on them."""

    def _command(self, connection: Connection, event: ConnectionEvent, message: CmMessage) -> None:
        if not isinstance(self._exchange.move(connection, event), Verdict):
            self._exchange.send(connection, message)

    def _offer(self, parameters: ConnectionParameters) -> ConnectionParameters:
        parameters.check()
        if self._exchange.table.by_local_qpn(parameters.qpn) is not None:
            raise LocalError(f"QP {parameters.qpn} is connected, or in TIMEWAIT")
        if parameters.starting_psn is not None:
            return parameters
        return replace(parameters, starting_psn=self.draw_psn())


def _check_width(name: str, value: int, bits: int) -> None:
    if value >> bits:
        raise LocalError(f"{name} must have {bits} bits, not be {value}")


def _offered(connection: Connection) -> ConnectionParameters:
    if connection.peer is None:
        raise LocalError("only a connection that was requested can be accepted")
    return connection.peer


def _ca_guid(address: str) -> int:
    """A locally administered EUI-64 from the low half of an address (RFC 4291 2.5.1 calls that half the interface)."""
    return _LOCAL_EUI64 | int(ipaddress.ip_address(address)) & 0x00FFFFFFFFFFFFFF


_LOCAL_EUI64 = 0x02 << 56
# RDMA-CM source ports are drawn from 16384 up.
_FIRST_PORT = 1 << 14
