r"""Where a queue is, and what moves it.

    FRESH --BEGIN--> CONNECTING --CONNECT--> LIVE --CLOSE--> CLOSING --LOST--> CLOSED
      ^----REFUSE---------/                   |                ^
                                              \--DISCONNECT--> DISCONNECTING

Any state but CLOSED goes to CLOSING when the queue is to be closed, and to CLOSED when its connection is lost.
"""

from __future__ import annotations

import enum

from stacks.runtime import IGNORE, StateTable


class QueueState(enum.Enum):
    """Where a queue is."""

    FRESH = "fresh"
    """A connection without a Connect command."""
    CONNECTING = "connecting"
    """The data of a Connect command is on its way."""
    LIVE = "live"
    """Connected; commands are taken."""
    DISCONNECTING = "disconnecting"
    """A Disconnect command waits until all others are answered; nothing else is taken."""
    CLOSING = "closing"
    """What is under way is answered, nothing else is taken, then the binding ends the connection."""
    CLOSED = "closed"
    """The connection is gone; commands still in a store end silently."""


class QueueEvent(enum.Enum):
    """What moves a queue."""

    BEGIN = "begin"
    CONNECT = "connect"
    REFUSE = "refuse"
    DISCONNECT = "disconnect"
    CLOSE = "close"
    LOST = "lost"


_S, _E = QueueState, QueueEvent

QUEUE_TABLE = StateTable[QueueState, QueueEvent](
    "queue",
    QueueState,
    events=QueueEvent,
    entries={
        (_S.FRESH, _E.BEGIN): _S.CONNECTING,
        (_S.FRESH, _E.CLOSE): _S.CLOSING,
        (_S.FRESH, _E.LOST): _S.CLOSED,
        (_S.CONNECTING, _E.CONNECT): _S.LIVE,
        (_S.CONNECTING, _E.REFUSE): _S.FRESH,
        (_S.CONNECTING, _E.CLOSE): _S.CLOSING,
        (_S.CONNECTING, _E.LOST): _S.CLOSED,
        (_S.LIVE, _E.DISCONNECT): _S.DISCONNECTING,
        (_S.LIVE, _E.CLOSE): _S.CLOSING,
        (_S.LIVE, _E.LOST): _S.CLOSED,
        (_S.DISCONNECTING, _E.CLOSE): _S.CLOSING,
        (_S.DISCONNECTING, _E.LOST): _S.CLOSED,
        (_S.CLOSING, _E.CLOSE): IGNORE,
        (_S.CLOSING, _E.LOST): _S.CLOSED,
        (_S.CLOSED, _E.CLOSE): IGNORE,
        (_S.CLOSED, _E.LOST): IGNORE,
    },
)
