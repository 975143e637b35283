"""One service ID resolution, from either side: how a datagram service is found without a connection (IBTA 12.11).

    active   IDLE > REQ_SENT > CLOSED
    passive  IDLE > REQ_RCVD > REP_SENT > CLOSED

The answer is kept in REP_SENT for as long as the peer may ask again, so that a lost SIDR_REP costs a retry and not a
second request to the owner; Linux forgets at once, and asks its owner again.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from stacks.rdma.cm.connection import Backlog
from stacks.rdma.cm.events import CmEventType
from stacks.runtime import IGNORE, StateTable
from wire.ibcm import SidrStatus


class ResolutionState(enum.IntEnum):
    """Where a resolution is."""

    IDLE = 0
    REQ_SENT = 1
    REQ_RCVD = 2
    REP_SENT = 3
    CLOSED = 4


class ResolutionStep(enum.IntEnum):
    """What happens to a resolution."""

    RESOLVE = 0
    ANSWER = 1
    CANCEL = 2
    """The owner who asked gives up."""
    REQ = 3
    REP = 4
    RETRIES_EXHAUSTED = 5
    FORGOTTEN = 6
    """No copy of the request can come any more."""


class Resolution:
    """A resolution as both its owner and the manager see it; the owner only reads.

    request_id: 32 bits, the asking side's. remote_address: the peer's IP address, in numeric text form.
    source_port: of the RDMA-CM header, 0 without one. status: the answer's, None before. qpn, qkey: the queue pair that
    serves, and its key, when the status is VALID. on_event: takes the events instead of the manager's queue.
    """

    __slots__ = (
        "attempt",
        "backlog",
        "is_passive",
        "last_sent",
        "on_event",
        "qkey",
        "qpn",
        "remote_address",
        "request_id",
        "service_id",
        "source_port",
        "state",
        "status",
        "transaction_id",
    )

    def __init__(self, *, request_id: int, remote_address: str, service_id: int, is_passive: bool) -> None:
        self.request_id = request_id
        self.remote_address = remote_address
        self.service_id = service_id
        self.is_passive = is_passive
        self.source_port = 0
        self.state = ResolutionState.IDLE
        self.status: SidrStatus | int | None = None
        self.qpn = 0
        self.qkey = 0
        self.transaction_id = request_id
        self.last_sent = b""
        self.attempt = 0
        self.backlog: Backlog[Resolution, ResolutionEvent] | None = None
        self.on_event: Callable[[ResolutionEvent], None] | None = None

    @property
    def key(self) -> tuple[str, int, bool]:
        """What it is found by: two peers may draw the same request ID, and we may ask whom we answer."""
        return self.remote_address, self.request_id, self.is_passive

    def __repr__(self) -> str:
        side = "from" if self.is_passive else "to"
        return f"<Resolution {self.request_id:#010x} {side} {self.remote_address} {self.state.name}>"


@dataclass(frozen=True, slots=True)
class ResolutionEvent:
    """One event of one resolution.

    kind: CONNECT_REQUEST for the passive side; ESTABLISHED or UNREACHABLE for the active one.
    status: of UNREACHABLE: the answer's `wire.ibcm.SidrStatus`, or `TIMED_OUT` when none came.
    private_data: SIDR_REQ 180 bytes (216 without RDMA-CM header), SIDR_REP 136.
    """

    kind: CmEventType
    resolution: Resolution
    status: int = 0
    private_data: bytes = b""


TIMED_OUT = -110
"""Status when nobody answered: -ETIMEDOUT, as Linux has it."""

_S = ResolutionState
_E = ResolutionStep

RESOLUTION_TABLE: StateTable[ResolutionState, ResolutionStep] = StateTable(
    "resolution",
    ResolutionState,
    events=ResolutionStep,
    entries={
        (_S.IDLE, _E.RESOLVE): _S.REQ_SENT,
        (_S.IDLE, _E.REQ): _S.REQ_RCVD,
        (_S.REQ_SENT, _E.REP): _S.CLOSED,
        (_S.REQ_SENT, _E.CANCEL): _S.CLOSED,
        (_S.REQ_SENT, _E.RETRIES_EXHAUSTED): _S.CLOSED,
        (_S.REQ_RCVD, _E.REQ): IGNORE,
        (_S.REQ_RCVD, _E.ANSWER): _S.REP_SENT,
        (_S.REP_SENT, _E.REQ): _S.REP_SENT,
        (_S.REP_SENT, _E.FORGOTTEN): _S.CLOSED,
        (_S.CLOSED, _E.CANCEL): IGNORE,
    },
    commands=(_E.RESOLVE, _E.ANSWER, _E.CANCEL),
)
