"""Identifiers' events in the order in which they happened: what rdma_event_channel is in librdmacm."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stacks.rdma.attributes import AddressVector
from stacks.rdma.cm.events import CmEventType

if TYPE_CHECKING:
    from stacks.rdma.cm.identifier import RdmaId


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnParam:
    """What connect and accept say, and what an event says of the peer: rdma_conn_param.

    private_data: connect 56 bytes (UDP port space 180), accept 196 (136); an event's is zero-padded to that.
    responder_resources: READs and atomics that are served at a time; initiator_depth: that are asked for at a time. In
    a request's event they are as the receiver sees them, so that they can be given to accept.
    retry_count, rnr_retry_count: 0 to 7. srq, qp_num: only where the identifier has no queue pair of its own.
    qkey: of the accepting UD queue pair, RDMA_UDP_QKEY when None.
    """

    private_data: bytes = b""
    responder_resources: int = 16
    initiator_depth: int = 16
    retry_count: int = 7
    rnr_retry_count: int = 7
    srq: bool = False
    qp_num: int = 0
    qkey: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UdParam:
    """Where datagrams are to be sent: rdma_ud_param. av: for an address handle. qp_num, qkey: the queue pair."""

    av: AddressVector
    qp_num: int
    qkey: int
    private_data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RdmaEvent:
    """One event: rdma_cm_event.

    id: whom it is about; of a CONNECT_REQUEST a new identifier. listen_id: who listens, for a CONNECT_REQUEST.
    status: 0, a reject reason (REJECTED), a SIDR status (UNREACHABLE, UDP port space), or a negative errno.
    conn: what the peer said, for connections; ud: for datagrams and multicast. context: of the multicast join.
    """

    kind: CmEventType
    id: RdmaId
    listen_id: RdmaId | None = None
    status: int = 0
    conn: ConnParam | None = None
    ud: UdParam | None = None
    context: object = None

    @property
    def private_data(self) -> bytes:
        """What the peer's message carried, zero-padded; empty without a message."""
        if self.ud is not None:
            return self.ud.private_data
        return self.conn.private_data if self.conn is not None else b""


class EventChannel:
    """A queue of events. on_event: called after each that is added, for whoever waits."""

    def __init__(self, on_event: Callable[[], None] | None = None) -> None:
        self._events: deque[RdmaEvent] = deque()
        self._on_event = on_event

    def __len__(self) -> int:
        """Events that wait to be polled."""
        return len(self._events)

    def poll_event(self) -> RdmaEvent | None:
        """The next event, or None. It has to be acknowledged (`ack`) before its identifier can be destroyed."""
        if not self._events:
            return None
        event = self._events.popleft()
        event.id.unacknowledged += 1
        return event

    def ack(self, event: RdmaEvent) -> None:
        """Say that an event was dealt with (rdma_ack_cm_event)."""
        event.id.unacknowledged -= 1

    def tell(self, event: RdmaEvent) -> None:
        """Add an event."""
        self._events.append(event)
        if self._on_event is not None:
            self._on_event()

    def forget(self, gone: RdmaId) -> list[RdmaId]:
        """Drop the events of an identifier; the identifiers of requests to it that nobody has seen."""
        dropped = [event for event in self._events if gone in (event.id, event.listen_id)]
        self._events = deque(event for event in self._events if gone not in (event.id, event.listen_id))
        return [event.id for event in dropped if event.listen_id is gone]

    def take_over(self, moved: RdmaId, source: EventChannel) -> None:
        """Bring an identifier's events along from the channel where it was."""
        for event in [event for event in source._events if event.id is moved]:
            self.tell(event)
        source.forget(moved)
