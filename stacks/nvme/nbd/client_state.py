r"""Where a client of an NBD server is, and what moves it.

HANDSHAKE --CHOSEN--> TRANSMISSION --STOP--> STOPPING
     \--- ABORTED, ENDED, STOP -\ DISCONNECTED, ENDED \------ DISCONNECTED, ENDED
                                 \----------------------> DRAINING --DRAINED--> OVER
"""

from __future__ import annotations

import enum

from stacks.runtime import IGNORE, StateTable


class ClientState(enum.Enum):
    """Where a client is."""

    HANDSHAKE = "handshake"
    TRANSMISSION = "transmission"
    STOPPING = "stopping"
    """The server is being shut down: what is under way ends, and new requests are refused."""
    DRAINING = "draining"
    """The client says nothing more; what is under way ends and is answered."""
    OVER = "over"


class ClientEvent(enum.Enum):
    """What moves it."""

    CHOSEN = "chosen"
    """It uses the export."""
    ABORTED = "aborted"
    DISCONNECTED = "disconnected"
    ENDED = "ended"
    """It sends nothing more, without having said so."""
    STOP = "stop"
    DRAINED = "drained"
    LOST = "lost"
    """The connection is gone, or what came over it cannot be answered."""
    TIMED_OUT = "timed out"


_S, _E = ClientState, ClientEvent

CLIENT_TABLE = StateTable[ClientState, ClientEvent](
    "nbd client",
    ClientState,
    events=ClientEvent,
    entries={
        (_S.HANDSHAKE, _E.CHOSEN): _S.TRANSMISSION,
        (_S.HANDSHAKE, _E.ABORTED): _S.DRAINING,
        (_S.HANDSHAKE, _E.ENDED): _S.DRAINING,
        (_S.HANDSHAKE, _E.STOP): _S.DRAINING,
        (_S.HANDSHAKE, _E.LOST): _S.OVER,
        (_S.HANDSHAKE, _E.TIMED_OUT): _S.OVER,
        (_S.TRANSMISSION, _E.DISCONNECTED): _S.DRAINING,
        (_S.TRANSMISSION, _E.ENDED): _S.DRAINING,
        (_S.TRANSMISSION, _E.STOP): _S.STOPPING,
        (_S.TRANSMISSION, _E.DRAINED): IGNORE,
        (_S.TRANSMISSION, _E.LOST): _S.OVER,
        (_S.STOPPING, _E.DISCONNECTED): _S.DRAINING,
        (_S.STOPPING, _E.ENDED): _S.DRAINING,
        (_S.STOPPING, _E.STOP): IGNORE,
        (_S.STOPPING, _E.DRAINED): _S.OVER,
        (_S.STOPPING, _E.LOST): _S.OVER,
        (_S.DRAINING, _E.ENDED): IGNORE,
        (_S.DRAINING, _E.STOP): IGNORE,
        (_S.DRAINING, _E.DRAINED): _S.OVER,
        (_S.DRAINING, _E.LOST): _S.OVER,
        (_S.OVER, _E.ENDED): IGNORE,
        (_S.OVER, _E.STOP): IGNORE,
        (_S.OVER, _E.DRAINED): IGNORE,
        (_S.OVER, _E.LOST): IGNORE,
        (_S.OVER, _E.TIMED_OUT): IGNORE,
    },
    commands=(_E.STOP,),
)
