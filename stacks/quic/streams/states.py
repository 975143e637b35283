"""The two state machines of a stream, one a direction (RFC 9000 3.1, 3.2; draft-ietf-quic-reliable-stream-reset 5.3).

    READY --> SEND --> DATA_SENT --> DATA_RECVD           RECV --> SIZE_KNOWN --> DATA_RECVD --> DATA_READ
      |        |          |                                 |          |
      +--------+----------+--> RESET_SENT --> RESET_RECVD   +----------+--> RESET_RECVD --> RESET_READ

A reset that still delivers a part (RESET_STREAM_AT) is an end like FIN in both: the states are those of the upper row.
"""

from __future__ import annotations

import enum

from stacks.runtime import IGNORE, StateTable


class SendState(enum.IntEnum):
    """READY: nothing was sent. SEND: something was. DATA_SENT: and the end. DATA_RECVD: and all is acknowledged.
    RESET_SENT: given up. RESET_RECVD: and the peer knows.
    """

    READY = 0
    SEND = 1
    DATA_SENT = 2
    DATA_RECVD = 3
    RESET_SENT = 4
    RESET_RECVD = 5


class SendEvent(enum.IntEnum):
    """SENT: a STREAM frame. SENT_END: one with FIN, or RESET_STREAM_AT.
    ALL_ACKED: everything up to the end, and the end. RESET: by the application, or for STOP_SENDING.
    RESET_ACKED: RESET_STREAM arrived. REJECTED: the server did not read the 0-RTT packets: nothing was sent after all.
    """

    SENT = 0
    SENT_END = 1
    ALL_ACKED = 2
    RESET = 3
    RESET_ACKED = 4
    REJECTED = 5


class ReceiveState(enum.IntEnum):
    """RECV: the end is not known. SIZE_KNOWN: it is, but not all is here. DATA_RECVD: all is. DATA_READ: and was read.
    RESET_RECVD: the peer gave up. RESET_READ: and the application was told.
    """

    RECV = 0
    SIZE_KNOWN = 1
    DATA_RECVD = 2
    DATA_READ = 3
    RESET_RECVD = 4
    RESET_READ = 5


class ReceiveEvent(enum.IntEnum):
    """DATA: a STREAM frame came. END: one with FIN, or RESET_STREAM_AT. ALL_DATA: everything up to the end is here.
    RESET: RESET_STREAM came. READ_ALL: the application has everything. READ_RESET: it was told.
    """

    DATA = 0
    END = 1
    ALL_DATA = 2
    RESET = 3
    READ_ALL = 4
    READ_RESET = 5


_S, _E = SendState, SendEvent

SEND_TABLE: StateTable[SendState, SendEvent] = StateTable(
    "sending part of a QUIC stream",
    SendState,
    events=SendEvent,
    entries={
        (_S.READY, _E.SENT): _S.SEND,
        (_S.READY, _E.SENT_END): _S.DATA_SENT,
        (_S.READY, _E.RESET): _S.RESET_SENT,
        (_S.READY, _E.REJECTED): IGNORE,
        (_S.SEND, _E.SENT): IGNORE,
        (_S.SEND, _E.SENT_END): _S.DATA_SENT,
        (_S.SEND, _E.RESET): _S.RESET_SENT,
        (_S.SEND, _E.REJECTED): _S.READY,
        (_S.DATA_SENT, _E.SENT): IGNORE,  # again
        (_S.DATA_SENT, _E.SENT_END): IGNORE,
        (_S.DATA_SENT, _E.ALL_ACKED): _S.DATA_RECVD,
        (_S.DATA_SENT, _E.RESET): _S.RESET_SENT,
        (_S.DATA_SENT, _E.REJECTED): _S.READY,
        (_S.DATA_RECVD, _E.RESET): IGNORE,  # too late, and of no use
        (_S.RESET_SENT, _E.RESET): IGNORE,
        (_S.RESET_SENT, _E.RESET_ACKED): _S.RESET_RECVD,
        (_S.RESET_SENT, _E.REJECTED): IGNORE,  # the reset is sent again
        (_S.RESET_RECVD, _E.RESET): IGNORE,
    },
)

_R, _V = ReceiveState, ReceiveEvent
_LATE = (_V.DATA, _V.END)

RECEIVE_TABLE: StateTable[ReceiveState, ReceiveEvent] = StateTable(
    "receiving part of a QUIC stream",
    ReceiveState,
    events=ReceiveEvent,
    entries={
        (_R.RECV, _V.DATA): IGNORE,
        (_R.RECV, _V.END): _R.SIZE_KNOWN,
        (_R.RECV, _V.RESET): _R.RESET_RECVD,
        (_R.SIZE_KNOWN, _V.DATA): IGNORE,
        (_R.SIZE_KNOWN, _V.END): IGNORE,  # the same again: another one is FINAL_SIZE_ERROR
        (_R.SIZE_KNOWN, _V.ALL_DATA): _R.DATA_RECVD,
        (_R.SIZE_KNOWN, _V.RESET): _R.RESET_RECVD,
        (_R.DATA_RECVD, _V.RESET): IGNORE,  # the data is delivered: 3.2 leaves it open
        (_R.DATA_RECVD, _V.READ_ALL): _R.DATA_READ,
        (_R.RESET_RECVD, _V.RESET): IGNORE,
        (_R.RESET_RECVD, _V.READ_RESET): _R.RESET_READ,
        **{(state, event): IGNORE for state in (_R.DATA_RECVD, _R.DATA_READ, _R.RESET_RECVD, _R.RESET_READ)
           for event in _LATE},
        **{(state, _V.RESET): IGNORE for state in (_R.DATA_READ, _R.RESET_READ)},
    },
)  # fmt: skip
