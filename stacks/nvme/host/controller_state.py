r"""Where an association is, on the initiator's side, and what moves it.

NEW --START--> STARTING --STARTED--> LIVE --STOP--> STOPPING --STOPPED--> CLOSED
                   \------- FAIL -----\----- FAIL ------\---- FAIL -------^
"""

from __future__ import annotations

import enum

from stacks.runtime import IGNORE, StateTable


class HostState(enum.Enum):
    """Where the association is."""

    NEW = "new"
    STARTING = "starting"
    LIVE = "live"
    """Namespaces are known and I/O goes."""
    STOPPING = "stopping"
    CLOSED = "closed"


class HostEvent(enum.Enum):
    """What moves it."""

    START = "start"
    STARTED = "started"
    STOP = "stop"
    STOPPED = "stopped"
    FAIL = "fail"


_S, _E = HostState, HostEvent

HOST_TABLE = StateTable[HostState, HostEvent](
    "host controller",
    HostState,
    events=HostEvent,
    entries={
        (_S.NEW, _E.START): _S.STARTING,
        (_S.NEW, _E.STOP): _S.CLOSED,
        (_S.NEW, _E.FAIL): _S.CLOSED,
        (_S.STARTING, _E.STARTED): _S.LIVE,
        (_S.STARTING, _E.STOP): _S.STOPPING,
        (_S.STARTING, _E.FAIL): _S.CLOSED,
        (_S.LIVE, _E.STOP): _S.STOPPING,
        (_S.LIVE, _E.FAIL): _S.CLOSED,
        (_S.STOPPING, _E.STARTED): IGNORE,
        (_S.STOPPING, _E.STOP): IGNORE,
        (_S.STOPPING, _E.STOPPED): _S.CLOSED,
        (_S.STOPPING, _E.FAIL): _S.CLOSED,
        (_S.CLOSED, _E.STOP): IGNORE,
        (_S.CLOSED, _E.STARTED): IGNORE,
        (_S.CLOSED, _E.STOPPED): IGNORE,
        (_S.CLOSED, _E.FAIL): IGNORE,
    },
    commands=(_E.START, _E.STOP),
)
