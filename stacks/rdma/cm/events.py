"""What the owner of a connection is told, under rdma_cm's public names."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from stacks.rdma.cm.connection import Connection
from stacks.runtime import Counters


class CmEventType(enum.IntEnum):
    """Kinds of events, by their rdma_cma.h numbers. `RdmaId` reports them all, but for the last two.

    `ConnectionManager` reports those of connections: CONNECT_REQUEST to DISCONNECTED, and TIMEWAIT_EXIT.
    """

    ADDR_RESOLVED = 0
    """There is a way to the address that was asked for."""
    ADDR_ERROR = 1
    """There is none. status: a negative errno."""
    ROUTE_RESOLVED = 2
    """The path MTU to it is known: connect."""
    ROUTE_ERROR = 3
    """It cannot be known. status: a negative errno."""
    CONNECT_REQUEST = 4
    """A REQ for a service that is listened on: answer with accept, reject, or delay."""
    CONNECT_RESPONSE = 5
    """The peer accepted: ready the QP by `connection.settings`, then establish."""
    CONNECT_ERROR = 6
    """The peer accepted, but the QP did not take what it said; only `RdmaCm` reports this."""
    UNREACHABLE = 7
    """No answer after all retries. status: RejectReason.TIMEOUT."""
    REJECTED = 8
    """The peer said no. status: its reject reason, see `wire.ibcm.RejectReason`."""
    ESTABLISHED = 9
    """Both sides may send."""
    DISCONNECTED = 10
    """It is over; work requests are flushed. status: 0 after DREQ and DREP, else the reject reason that says why."""
    DEVICE_REMOVAL = 11
    """The device went away: destroy the identifier."""
    MULTICAST_JOIN = 12
    """The group can be sent to, and its datagrams come in."""
    MULTICAST_ERROR = 13
    """The group was not joined. status: a negative errno."""
    ADDR_CHANGE = 14
    """The address that the identifier is bound to is another device's now."""
    TIMEWAIT_EXIT = 15
    """The QP number may be used again."""
    ADDRINFO_RESOLVED = 16
    """Never reported: names are resolved by whoever calls."""
    ADDRINFO_ERROR = 17
    """Never reported."""


@dataclass(frozen=True, slots=True)
class CmEvent:
    """One event of one connection.

    status: see `CmEventType`. private_data: what the peer's message carried, zero-padded to the size that the message
        has for it: REQ 56 (92 without RDMA-CM header), REP 196, RTU and DREP 224, REJ 148, DREQ 220; empty when the
        event came of no message.
    """

    kind: CmEventType
    connection: Connection
    status: int = 0
    private_data: bytes = b""


@dataclass(slots=True, eq=False)
class CmCounters(Counters):
    """What a connection manager counts; no standard names these.

    cm_malformed: too short, not a CM message, or fields that cannot be. cm_unmatched: belongs to no connection.
    cm_unexpected: not allowed in the connection's state. cm_duplicates: answered again. cm_retries: sent again for
    want of an answer. cm_overflow: answers to strangers not sent, because too many wait to be.
    cm_mtu_lowered: asked again with a smaller path MTU.
    """

    cm_received: int = 0
    cm_sent: int = 0
    cm_malformed: int = 0
    cm_unmatched: int = 0
    cm_unexpected: int = 0
    cm_duplicates: int = 0
    cm_retries: int = 0
    cm_rejects_sent: int = 0
    cm_overflow: int = 0
    cm_mtu_lowered: int = 0
