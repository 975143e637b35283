"""The connection's two state machines, one for each side (IBTA 12.9.7, figures 124 and 125).

    active   IDLE > REQ_SENT > [MRA_REQ_RCVD] > REP_RCVD > [MRA_REP_SENT] > ESTABLISHED > [DREQ_SENT] > TIMEWAIT
    passive  IDLE > REQ_RCVD > [MRA_REQ_SENT] > REP_SENT > [MRA_REP_RCVD] > ESTABLISHED > [DREQ_SENT] > TIMEWAIT

and then CLOSED. What fails before ESTABLISHED goes to CLOSED, or by TIMEWAIT when the peer may be sending already.

An owner's command may cross the end of the connection: then it is ignored, and an event tells him.

An entry that names its own state is not without effect: the duplicate is answered again.

DEVIATION: there is no DREQ_RCVD. A DREQ is answered at once, for the connection is over whatever its owner thinks of
it; Linux waits for the owner's rdma_disconnect, and lets the peer retransmit until then.
"""

from __future__ import annotations

import enum

from stacks.runtime import IGNORE, StateTable, Verdict


class ConnectionState(enum.IntEnum):
    """Where a connection is; which of these it can be in depends on its side."""

    IDLE = 0
    REQ_SENT = 1
    MRA_REQ_RCVD = 2
    REP_RCVD = 3
    MRA_REP_SENT = 4
    REQ_RCVD = 5
    MRA_REQ_SENT = 6
    REP_SENT = 7
    MRA_REP_RCVD = 8
    ESTABLISHED = 9
    DREQ_SENT = 10
    TIMEWAIT = 11
    """Over, while packets of it may still be under way; its QP number must not be used for another."""
    CLOSED = 12
    """Over, and forgotten by the manager."""


class ConnectionEvent(enum.IntEnum):
    """What happens to a connection."""

    CONNECT = 0
    ACCEPT = 1
    REJECT = 2
    ESTABLISH = 3
    """The active side's owner has its QP ready: send RTU."""
    DELAY = 4
    """The owner needs time: send MRA."""
    DISCONNECT = 5
    REQ = 6
    REP = 7
    RTU = 8
    MRA = 9
    REJ = 10
    REJ_STALE = 11
    """REJ with reason 10: the peer holds our QP number for connected."""
    REJ_MTU = 12
    """REJ with reason 26, where a smaller path MTU is left to try."""
    DREQ = 13
    DREP = 14
    COMM_EST = 15
    """A message came in on the QP, which says as much as the RTU that may be lost (IBTA 12.9.7.2.2)."""
    SUPERSEDED = 16
    """The peer asks for another connection with the same QP, so it has forgotten this one."""
    RETRIES_EXHAUSTED = 17
    TIMEWAIT_OVER = 18


_S = ConnectionState
_E = ConnectionEvent
_Entries = dict[tuple[ConnectionState, ConnectionEvent], ConnectionState | Verdict]

_COMMANDS = (_E.CONNECT, _E.ACCEPT, _E.REJECT, _E.ESTABLISH, _E.DELAY, _E.DISCONNECT)

# Both sides, from ESTABLISHED on.
_ENDING: _Entries = {
    (_S.ESTABLISHED, _E.DISCONNECT): _S.DREQ_SENT,
    (_S.ESTABLISHED, _E.SUPERSEDED): _S.DREQ_SENT,
    (_S.ESTABLISHED, _E.DREQ): _S.TIMEWAIT,
    (_S.ESTABLISHED, _E.REJ): _S.TIMEWAIT,
    (_S.ESTABLISHED, _E.REJ_STALE): _S.TIMEWAIT,
    (_S.DREQ_SENT, _E.DISCONNECT): IGNORE,
    (_S.DREQ_SENT, _E.SUPERSEDED): IGNORE,
    (_S.DREQ_SENT, _E.DREP): _S.TIMEWAIT,
    (_S.DREQ_SENT, _E.DREQ): _S.TIMEWAIT,
    (_S.DREQ_SENT, _E.REJ): _S.TIMEWAIT,
    (_S.DREQ_SENT, _E.REJ_STALE): _S.TIMEWAIT,
    (_S.DREQ_SENT, _E.RETRIES_EXHAUSTED): _S.TIMEWAIT,
    (_S.TIMEWAIT, _E.SUPERSEDED): IGNORE,
    (_S.TIMEWAIT, _E.DREQ): _S.TIMEWAIT,
    (_S.TIMEWAIT, _E.DREP): IGNORE,
    (_S.TIMEWAIT, _E.REJ): IGNORE,
    (_S.TIMEWAIT, _E.REJ_STALE): IGNORE,
    (_S.TIMEWAIT, _E.TIMEWAIT_OVER): _S.CLOSED,
    **{
        (state, command): IGNORE
        for state in (_S.TIMEWAIT, _S.CLOSED)
        for command in (_E.ACCEPT, _E.REJECT, _E.ESTABLISH, _E.DELAY, _E.DISCONNECT)
    },
}

_WAITING_FOR_REP: _Entries = {
    entry: outcome
    for state in (_S.REQ_SENT, _S.MRA_REQ_RCVD)
    for entry, outcome in {
        (state, _E.REP): _S.REP_RCVD,
        (state, _E.MRA): _S.MRA_REQ_RCVD,
        (state, _E.REJ): _S.CLOSED,
        (state, _E.REJ_STALE): _S.TIMEWAIT,
        (state, _E.REJ_MTU): _S.REQ_SENT,
        (state, _E.DISCONNECT): _S.CLOSED,
        (state, _E.RETRIES_EXHAUSTED): _S.CLOSED,
    }.items()
}

_OWNER_READIES_QP: _Entries = {
    entry: outcome
    for state in (_S.REP_RCVD, _S.MRA_REP_SENT)
    for entry, outcome in {
        (state, _E.ESTABLISH): _S.ESTABLISHED,
        (state, _E.DELAY): _S.MRA_REP_SENT,
        (state, _E.REJECT): _S.TIMEWAIT,
        (state, _E.DISCONNECT): _S.TIMEWAIT,
        (state, _E.REP): _S.MRA_REP_SENT,
        (state, _E.REJ): _S.TIMEWAIT,
        (state, _E.REJ_STALE): _S.TIMEWAIT,
    }.items()
}

_OWNER_DECIDES: _Entries = {
    entry: outcome
    for state in (_S.REQ_RCVD, _S.MRA_REQ_SENT)
    for entry, outcome in {
        (state, _E.ACCEPT): _S.REP_SENT,
        (state, _E.DELAY): _S.MRA_REQ_SENT,
        (state, _E.REJECT): _S.CLOSED,
        (state, _E.DISCONNECT): _S.CLOSED,
        (state, _E.REQ): _S.MRA_REQ_SENT,
        (state, _E.REJ): _S.CLOSED,
        (state, _E.REJ_STALE): _S.CLOSED,
        (state, _E.SUPERSEDED): _S.CLOSED,
    }.items()
}

_WAITING_FOR_RTU: _Entries = {
    entry: outcome
    for state in (_S.REP_SENT, _S.MRA_REP_RCVD)
    for entry, outcome in {
        (state, _E.RTU): _S.ESTABLISHED,
        (state, _E.COMM_EST): _S.ESTABLISHED,
        (state, _E.MRA): _S.MRA_REP_RCVD,
        (state, _E.REQ): state,
        (state, _E.REJ): _S.TIMEWAIT,
        (state, _E.REJ_STALE): _S.TIMEWAIT,
        (state, _E.DREQ): _S.TIMEWAIT,
        (state, _E.DISCONNECT): _S.TIMEWAIT,
        (state, _E.SUPERSEDED): _S.TIMEWAIT,
        (state, _E.RETRIES_EXHAUSTED): _S.TIMEWAIT,
    }.items()
}

ACTIVE = StateTable(
    "active connection",
    (
        _S.IDLE,
        _S.REQ_SENT,
        _S.MRA_REQ_RCVD,
        _S.REP_RCVD,
        _S.MRA_REP_SENT,
        _S.ESTABLISHED,
        _S.DREQ_SENT,
        _S.TIMEWAIT,
        _S.CLOSED,
    ),
    events=ConnectionEvent,
    entries={
        (_S.IDLE, _E.CONNECT): _S.REQ_SENT,
        **_WAITING_FOR_REP,
        **_OWNER_READIES_QP,
        (_S.ESTABLISHED, _E.REP): _S.ESTABLISHED,
        (_S.DREQ_SENT, _E.REP): IGNORE,
        (_S.TIMEWAIT, _E.REP): IGNORE,
        **_ENDING,
    },
    commands=_COMMANDS,
)
"""The side that sent REQ."""

PASSIVE = StateTable(
    "passive connection",
    (
        _S.IDLE,
        _S.REQ_RCVD,
        _S.MRA_REQ_SENT,
        _S.REP_SENT,
        _S.MRA_REP_RCVD,
        _S.ESTABLISHED,
        _S.DREQ_SENT,
        _S.TIMEWAIT,
        _S.CLOSED,
    ),
    events=ConnectionEvent,
    entries={
        (_S.IDLE, _E.REQ): _S.REQ_RCVD,
        **_OWNER_DECIDES,
        **_WAITING_FOR_RTU,
        (_S.ESTABLISHED, _E.REQ): IGNORE,
        (_S.ESTABLISHED, _E.RTU): IGNORE,
        (_S.ESTABLISHED, _E.COMM_EST): IGNORE,
        (_S.DREQ_SENT, _E.REQ): IGNORE,
        (_S.DREQ_SENT, _E.RTU): IGNORE,
        (_S.DREQ_SENT, _E.COMM_EST): IGNORE,
        (_S.TIMEWAIT, _E.REQ): _S.TIMEWAIT,
        (_S.TIMEWAIT, _E.RTU): IGNORE,
        (_S.TIMEWAIT, _E.COMM_EST): IGNORE,
        **_ENDING,
    },
    commands=_COMMANDS,
)
"""The side that listens."""

WAITING_FOR_REP = frozenset({_S.REQ_SENT, _S.MRA_REQ_RCVD})
UNANSWERED = frozenset({_S.REQ_RCVD, _S.MRA_REQ_SENT})
"""A request that the owner has not decided on."""
CONNECTED = frozenset({_S.ESTABLISHED, _S.DREQ_SENT})
AWAITING_ANSWER = WAITING_FOR_REP | {_S.REP_SENT, _S.MRA_REP_RCVD, _S.DREQ_SENT}
"""Our last message is sent again until the peer answers."""
