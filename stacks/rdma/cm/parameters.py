"""What two sides tell each other about their queue pairs, and what they end up with.

Each side offers `ConnectionParameters`; from its own and the peer's follow the `QpSettings` that it writes into its
queue pair. As in Linux cma: the active side decides the path MTU, each side's limits on outstanding READs and atomics
meet the other's, and each side says how patient the other shall be with it (retry count and RNR retry count).
"""

from __future__ import annotations

from dataclasses import dataclass

from stacks.rdma.enums import QpType
from stacks.runtime import LocalError


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionParameters:
    """One side's queue pair, as it offers it.

    qpn: queue pair number, 24 bits. starting_psn: of the first packet that the peer is to send, 24 bits (IBTA
        12.6.5, and so in the captures: a REQ's is the passive side's first); None lets the manager draw one.
        path_mtu: bytes, 256 to 4096; the passive side's is not asked.
    responder_resources: READs and atomics that this side serves at a time; initiator_depth: that it asks for at a
        time; both 0 to 255. retry_count, rnr_retry: 0 to 7; rnr_retry 7 is without end.
    ack_timeout: 5-bit local ACK timeout, 4.096 us * 2^n. has_srq: receives come from a shared queue.
    qp_type: RC, UC, XRC_SEND (asks) or XRC_RECV (accepts). traffic_class: the IP header's byte, which the active side
        decides for both. own_ack_timeout: what this side's queue pair waits, if not what the REQ says.
    """

    qpn: int
    starting_psn: int | None = None
    path_mtu: int = 1024
    responder_resources: int = 16
    initiator_depth: int = 16
    retry_count: int = 7
    rnr_retry: int = 7
    ack_timeout: int = 15
    has_srq: bool = False
    qp_type: QpType = QpType.RC
    traffic_class: int = 0
    own_ack_timeout: int | None = None

    def check(self) -> None:
        """Raise LocalError for a value out of its range."""
        for name, highest in _HIGHEST.items():
            value = getattr(self, name)
            if value is not None and not 0 <= value <= highest:
                raise LocalError(f"{name} must be between 0 and {highest}, not {value}")
        if self.path_mtu not in MTU_CODES:
            raise LocalError(f"path_mtu must be one of {', '.join(map(str, MTU_CODES))}, not {self.path_mtu}")
        if self.qp_type not in ACCEPTED_BY and self.qp_type not in ACCEPTED_BY.values():
            raise LocalError(f"a {self.qp_type.name} queue pair has no connections: resolve its service by SIDR")


@dataclass(frozen=True, slots=True, kw_only=True)
class QpSettings:
    """What to write into the queue pair: the attributes of INIT to RTR and RTR to RTS, under their verbs names.

    destination: the peer's IP address in numeric text form; path_mtu in bytes; timeout: 5-bit local ACK timeout.
    """

    destination: str
    dest_qpn: int
    path_mtu: int
    rq_psn: int
    sq_psn: int
    max_dest_rd_atomic: int
    max_rd_atomic: int
    retry_cnt: int
    rnr_retry: int
    timeout: int
    traffic_class: int = 0


def active_settings(destination: str, own: ConnectionParameters, reply: ConnectionParameters) -> QpSettings:
    """What the side that sent REQ writes, given the peer's REP."""
    return QpSettings(
        destination=destination,
        dest_qpn=reply.qpn,
        path_mtu=own.path_mtu,
        rq_psn=own.starting_psn or 0,
        sq_psn=reply.starting_psn or 0,
        max_dest_rd_atomic=min(own.responder_resources, reply.initiator_depth),
        max_rd_atomic=min(own.initiator_depth, reply.responder_resources),
        retry_cnt=own.retry_count,
        rnr_retry=reply.rnr_retry,
        timeout=own.ack_timeout if own.own_ack_timeout is None else own.own_ack_timeout,
        traffic_class=own.traffic_class,
    )


def passive_settings(destination: str, own: ConnectionParameters, request: ConnectionParameters) -> QpSettings:
    """What the side that sends REP writes, given the peer's REQ."""
    return QpSettings(
        destination=destination,
        dest_qpn=request.qpn,
        path_mtu=request.path_mtu,
        rq_psn=own.starting_psn or 0,
        sq_psn=request.starting_psn or 0,
        max_dest_rd_atomic=min(own.responder_resources, request.initiator_depth),
        max_rd_atomic=min(own.initiator_depth, request.responder_resources),
        retry_cnt=request.retry_count,
        rnr_retry=request.rnr_retry,
        timeout=request.ack_timeout if own.own_ack_timeout is None else own.own_ack_timeout,
        traffic_class=request.traffic_class,
    )


ACCEPTED_BY = {QpType.RC: QpType.RC, QpType.UC: QpType.UC, QpType.XRC_SEND: QpType.XRC_RECV}
"""The type of queue pair that asks, to the one that must accept."""

MTU_CODES = {256: 1, 512: 2, 1024: 3, 2048: 4, 4096: 5}
"""Path MTU in bytes to its number on the wire (IBTA 12.7.27)."""
SMALLEST_PATH_MTU = min(MTU_CODES)

_HIGHEST = {
    "qpn": 0xFFFFFF,
    "starting_psn": 0xFFFFFF,
    "responder_resources": 255,
    "initiator_depth": 255,
    "retry_count": 7,
    "rnr_retry": 7,
    "ack_timeout": 31,
    "traffic_class": 255,
    "own_ack_timeout": 31,
}
