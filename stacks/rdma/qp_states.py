"""The states of a queue pair, and what moves it between them (IBTA 10.3.1).

       modify           modify           modify           modify
RESET -------->  INIT  -------->  RTR  -------->  RTS  <-------->  SQD
          receives may be      receives         sends             sends
              posted                                              wait

RTS or SQD --a send of UC or UD fails--> SQE --modify--> RTS: sends are flushed meanwhile, receives go on
any state --modify--> RESET: everything is forgotten
any state --modify or a fatal error--> ERR: everything posted is flushed
"""

from __future__ import annotations

import enum

from stacks.rdma.enums import QpState
from stacks.runtime import StateTable


class QpEvent(enum.Enum):
    """What moves a queue pair."""

    MODIFY_RESET = "modify to RESET"
    MODIFY_INIT = "modify to INIT"
    MODIFY_RTR = "modify to RTR"
    MODIFY_RTS = "modify to RTS"
    MODIFY_SQD = "modify to SQD"
    MODIFY_ERR = "modify to ERR"
    FATAL_ERROR = "fatal error"
    SEND_ERROR = "send error of an unreliable transport"


MODIFY_EVENTS = {
    QpState.RESET: QpEvent.MODIFY_RESET,
    QpState.INIT: QpEvent.MODIFY_INIT,
    QpState.RTR: QpEvent.MODIFY_RTR,
    QpState.RTS: QpEvent.MODIFY_RTS,
    QpState.SQD: QpEvent.MODIFY_SQD,
    QpState.ERR: QpEvent.MODIFY_ERR,
}
"""What a modify to each state is; none leads to SQE."""

RECEIVING = frozenset({QpState.RTR, QpState.RTS, QpState.SQD, QpState.SQE})
"""States in which requests of the peer are executed."""

QP_TABLE: StateTable[QpState, QpEvent] = StateTable(
    "queue pair",
    QpState,
    events=QpEvent,
    entries={
        **{(state, QpEvent.MODIFY_RESET): QpState.RESET for state in QpState},
        **{(state, QpEvent.MODIFY_ERR): QpState.ERR for state in QpState},
        **{(state, QpEvent.FATAL_ERROR): QpState.ERR for state in QpState if state is not QpState.RESET},
        (QpState.RESET, QpEvent.MODIFY_INIT): QpState.INIT,
        (QpState.INIT, QpEvent.MODIFY_INIT): QpState.INIT,
        (QpState.INIT, QpEvent.MODIFY_RTR): QpState.RTR,
        (QpState.RTR, QpEvent.MODIFY_RTS): QpState.RTS,
        (QpState.RTS, QpEvent.MODIFY_RTS): QpState.RTS,
        (QpState.RTS, QpEvent.MODIFY_SQD): QpState.SQD,
        (QpState.SQD, QpEvent.MODIFY_SQD): QpState.SQD,
        (QpState.SQD, QpEvent.MODIFY_RTS): QpState.RTS,
        (QpState.RTS, QpEvent.SEND_ERROR): QpState.SQE,
        (QpState.SQD, QpEvent.SEND_ERROR): QpState.SQE,
        (QpState.SQE, QpEvent.MODIFY_RTS): QpState.RTS,
    },
    commands=(
        QpEvent.MODIFY_RESET,
        QpEvent.MODIFY_INIT,
        QpEvent.MODIFY_RTR,
        QpEvent.MODIFY_RTS,
        QpEvent.MODIFY_SQD,
        QpEvent.MODIFY_ERR,
    ),
)
