"""One connection, and the ways to find it from what a message says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from stacks.rdma.cm.parameters import ConnectionParameters, QpSettings, active_settings, passive_settings
from stacks.rdma.cm.path_states import LoadState
from stacks.rdma.cm.states import ACTIVE, PASSIVE, ConnectionState
from stacks.runtime import LocalError

if TYPE_CHECKING:
    from stacks.rdma.cm.events import CmEvent

Request = TypeVar("Request")
Event = TypeVar("Event")


class Connection:
    """A connection as both its owner and the manager see it; the owner only reads.

    local_comm_id, remote_comm_id: what each side calls it, 32 bits; the remote one is 0 until known.
    remote_address: IP address of the peer, in numeric text form. service_id: what was asked for.
    source_port: of the RDMA-CM header; 0 without one.
    own, peer: what each side offered; None until it did. peer_guid: the CA GUID that the peer said with it.
    alternate_address: of the alternate path that was agreed on: the peer's on the active side, ours on the passive one.
    state: see `ConnectionState`. on_event: takes the connection's events instead of the manager's queue; a request
        has its listener's. Only `RdmaCm` asks.
    """

    __slots__ = (
        "alternate_address",
        "attempt",
        "backlog",
        "is_passive",
        "last_sent",
        "load",
        "local_comm_id",
        "on_event",
        "own",
        "peer",
        "peer_guid",
        "remote_address",
        "remote_comm_id",
        "service_id",
        "source_port",
        "state",
        "table",
        "transaction_id",
    )

    def __init__(self, *, local_comm_id: int, remote_address: str, service_id: int, is_passive: bool) -> None:
        self.local_comm_id = local_comm_id
        self.remote_comm_id = 0
        self.remote_address = remote_address
        self.service_id = service_id
        self.is_passive = is_passive
        self.table = PASSIVE if is_passive else ACTIVE
        self.state = ConnectionState.IDLE
        self.own: ConnectionParameters | None = None
        self.peer: ConnectionParameters | None = None
        self.peer_guid = 0
        self.transaction_id = local_comm_id
        # What to send again when the peer is silent, or says again what this has answered.
        self.last_sent = b""
        self.attempt = 0
        self.source_port = 0
        self.load: AlternateLoad | None = None
        self.alternate_address = ""
        self.on_event: Callable[[CmEvent], None] | None = None
        self.backlog: Backlog[Connection, CmEvent] | None = None

    @property
    def settings(self) -> QpSettings:
        """What to write into the queue pair; raises LocalError until both sides have made their offer."""
        if self.own is None or self.peer is None:
            raise LocalError(f"connection in state {self.state.name}: the settings are not negotiated yet")
        negotiate = passive_settings if self.is_passive else active_settings
        return negotiate(self.remote_address, self.own, self.peer)

    def __repr__(self) -> str:
        side = "from" if self.is_passive else "to"
        return f"<Connection {self.local_comm_id:#010x} {side} {self.remote_address} {self.state.name}>"


class AlternateLoad:
    """The loading of an alternate path. alternate: the address that is proposed, in numeric text form."""

    __slots__ = ("alternate", "attempt", "last_sent", "state", "transaction_id")

    def __init__(self) -> None:
        self.state = LoadState.IDLE
        self.alternate = ""
        self.transaction_id = 0
        self.last_sent = b""
        self.attempt = 0


class Backlog(Generic[Request, Event]):
    """The requests for one service that the owner has not decided on. on_event: who takes their events."""

    __slots__ = ("_limit", "_requests", "on_event")

    def __init__(self, limit: int, on_event: Callable[[Event], None] | None = None) -> None:
        self.on_event = on_event
        self._limit = limit
        self._requests: set[Request] = set()

    @property
    def is_full(self) -> bool:
        """Whether a further request has to be rejected."""
        return len(self._requests) >= self._limit

    def add(self, request: Request) -> None:
        """A request came in."""
        self._requests.add(request)

    def discard(self, request: Request) -> None:
        """It was decided on, or withdrawn."""
        self._requests.discard(request)


class ConnectionTable:
    """All connections of a manager that are not CLOSED."""

    __slots__ = ("_by_local_id", "_by_local_qpn", "_by_remote_qpn", "_by_request")

    def __init__(self) -> None:
        self._by_local_id: dict[int, Connection] = {}
        self._by_request: dict[tuple[str, int], Connection] = {}
        self._by_remote_qpn: dict[tuple[str, int, int], Connection] = {}
        self._by_local_qpn: dict[int, Connection] = {}

    def __len__(self) -> int:
        return len(self._by_local_id)

    def __contains__(self, local_comm_id: int) -> bool:
        return local_comm_id in self._by_local_id

    def add(self, connection: Connection) -> None:
        """Enter a connection, or bring what it is found by up to date."""
        address = connection.remote_address
        self._by_local_id[connection.local_comm_id] = connection
        if connection.is_passive:
            self._by_request[address, connection.remote_comm_id] = connection
        if connection.peer is not None:
            self._by_remote_qpn[address, connection.peer_guid, connection.peer.qpn] = connection
        if connection.own is not None:
            self._by_local_qpn[connection.own.qpn] = connection

    def remove(self, connection: Connection) -> None:
        """Forget a connection."""
        del self._by_local_id[connection.local_comm_id]
        address = connection.remote_address
        if connection.is_passive:
            del self._by_request[address, connection.remote_comm_id]
        # A peer's QP number may have gone over to a newer connection.
        if connection.peer is not None:
            key = address, connection.peer_guid, connection.peer.qpn
            if self.by_remote_qpn(*key) is connection:
                del self._by_remote_qpn[key]
        if connection.own is not None:
            del self._by_local_qpn[connection.own.qpn]

    def by_local_id(self, local_comm_id: int) -> Connection | None:
        """The connection that we call so."""
        return self._by_local_id.get(local_comm_id)

    def by_request(self, address: str, remote_comm_id: int) -> Connection | None:
        """The passive connection that the peer calls so."""
        return self._by_request.get((address, remote_comm_id))

    def by_remote_qpn(self, address: str, guid: int, qpn: int) -> Connection | None:
        """The latest connection with this queue pair of the channel adapter `guid` (IBTA 12.9.8.3.1)."""
        return self._by_remote_qpn.get((address, guid, qpn))

    def by_local_qpn(self, qpn: int) -> Connection | None:
        """The connection of this queue pair of ours."""
        return self._by_local_qpn.get(qpn)
