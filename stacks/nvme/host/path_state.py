r"""Where a path is, and what moves it.

NEW --START--> CONNECTING --CONNECTED--> LIVE
                 ^      \                 |
                RETRY    LOST            LOST
                 |         \              v
                 \----------- WAITING <---/
any of them --GIVE_UP--> REMOVED, or --STOP--> STOPPING --STOPPED--> REMOVED
"""

from __future__ import annotations

import enum

from stacks.runtime import IGNORE, StateTable


class PathState(enum.Enum):
    """Where a path is."""

    NEW = "new"
    CONNECTING = "connecting"
    LIVE = "live"
    WAITING = "waiting"
    """There is no connection, and the next attempt is due after the reconnect delay."""
    STOPPING = "stopping"
    REMOVED = "removed"
    """It is over: stopped, refused, or given up."""


class PathEvent(enum.Enum):
    """What moves it."""

    START = "start"
    CONNECTED = "connected"
    LOST = "lost"
    RETRY = "retry"
    GIVE_UP = "give up"
    STOP = "stop"
    STOPPED = "stopped"


_S, _E = PathState, PathEvent

PATH_TABLE = StateTable[PathState, PathEvent](
    "path",
    PathState,
    events=PathEvent,
    entries={
        (_S.NEW, _E.START): _S.CONNECTING,
        (_S.NEW, _E.STOP): _S.REMOVED,
        (_S.CONNECTING, _E.CONNECTED): _S.LIVE,
        (_S.CONNECTING, _E.LOST): _S.WAITING,
        (_S.CONNECTING, _E.GIVE_UP): _S.REMOVED,
        (_S.CONNECTING, _E.STOP): _S.STOPPING,
        (_S.LIVE, _E.LOST): _S.WAITING,
        (_S.LIVE, _E.GIVE_UP): _S.REMOVED,
        (_S.LIVE, _E.STOP): _S.STOPPING,
        (_S.WAITING, _E.RETRY): _S.CONNECTING,
        (_S.WAITING, _E.GIVE_UP): _S.REMOVED,
        (_S.WAITING, _E.STOP): _S.REMOVED,
        (_S.STOPPING, _E.STOP): IGNORE,
        (_S.STOPPING, _E.LOST): _S.REMOVED,
        (_S.STOPPING, _E.GIVE_UP): _S.REMOVED,
        (_S.STOPPING, _E.STOPPED): _S.REMOVED,
        (_S.REMOVED, _E.STOP): IGNORE,
        (_S.REMOVED, _E.LOST): IGNORE,
        (_S.REMOVED, _E.GIVE_UP): IGNORE,
        (_S.REMOVED, _E.STOPPED): IGNORE,
    },
    commands=(_E.START, _E.STOP),
)
