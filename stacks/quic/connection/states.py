"""The states of a connection as a whole (RFC 9000 10, RFC 9001 4.1).

    HANDSHAKING -> COMPLETE -> CONFIRMED
          any of them -> CLOSING (we said so) or DRAINING (the peer said so) -> CLOSED
"""

from __future__ import annotations

import enum

from stacks.runtime import IGNORE, StateTable


class ConnectionState(enum.IntEnum):
    """HANDSHAKING: TLS is not done. COMPLETE: it is, at this end. CONFIRMED: and the peer's end is known to be done.
    CLOSING: CONNECTION_CLOSE was sent, and is again for what still comes. DRAINING: nothing is sent any more.
    CLOSED: forgotten.
    """

    HANDSHAKING = 0
    COMPLETE = 1
    CONFIRMED = 2
    CLOSING = 3
    DRAINING = 4
    CLOSED = 5


class ConnectionEvent(enum.IntEnum):
    """TLS_DONE: at this end. CONFIRM: HANDSHAKE_DONE came, or is sent. CLOSE: the application, or a mistake of the
    peer's. PEER_CLOSE: CONNECTION_CLOSE came. RESET: a stateless reset came. SILENCE: idle for too long, or nothing
    that can be spoken. DRAINED: three probe timeouts after the end.
    """

    TLS_DONE = 0
    CONFIRM = 1
    CLOSE = 2
    PEER_CLOSE = 3
    RESET = 4
    SILENCE = 5
    DRAINED = 6


_S, _E = ConnectionState, ConnectionEvent
_ALIVE = (_S.HANDSHAKING, _S.COMPLETE, _S.CONFIRMED)
_ENDING = (_S.CLOSING, _S.DRAINING)

CONNECTION_STATES: StateTable[ConnectionState, ConnectionEvent] = StateTable(
    "QUIC connection",
    ConnectionState,
    events=ConnectionEvent,
    entries={
        (_S.HANDSHAKING, _E.TLS_DONE): _S.COMPLETE,
        (_S.COMPLETE, _E.CONFIRM): _S.CONFIRMED,
        (_S.CONFIRMED, _E.CONFIRM): IGNORE,  # HANDSHAKE_DONE, again
        **{(state, _E.CLOSE): _S.CLOSING for state in _ALIVE},
        **{(state, _E.CLOSE): IGNORE for state in (*_ENDING, _S.CLOSED)},
        **{(state, _E.PEER_CLOSE): _S.DRAINING for state in (*_ALIVE, _S.CLOSING)},
        (_S.DRAINING, _E.PEER_CLOSE): IGNORE,
        **{(state, _E.RESET): _S.DRAINING for state in (*_ALIVE, _S.CLOSING)},
        **{(state, _E.SILENCE): _S.CLOSED for state in (*_ALIVE, *_ENDING)},
        **{(state, _E.DRAINED): _S.CLOSED for state in _ENDING},
    },
)
