"""Which attributes each transition of a queue pair needs and allows (IBTA 11.2.5.2, tables 92 and 93).

The table is the one that Linux enforces (core/verbs.c, qp_state_table), so neither CAP nor RATE_LIMIT occurs in it:
queue pairs are not resized, and only raw packet queue pairs have a rate. Transitions to RESET and ERR need nothing and
allow nothing.
"""

from __future__ import annotations

import enum

from stacks.rdma.enums import QpState, QpType
from stacks.runtime import LocalError


class QpAttribute(enum.IntFlag):
    """Bits of an attribute mask, by their verbs numbers."""

    STATE = 1 << 0
    CUR_STATE = 1 << 1
    EN_SQD_ASYNC_NOTIFY = 1 << 2
    ACCESS = 1 << 3
    PKEY_INDEX = 1 << 4
    PORT = 1 << 5
    QKEY = 1 << 6
    AV = 1 << 7
    PATH_MTU = 1 << 8
    TIMEOUT = 1 << 9
    RETRY_CNT = 1 << 10
    RNR_RETRY = 1 << 11
    RQ_PSN = 1 << 12
    MAX_QP_RD_ATOMIC = 1 << 13
    ALT_PATH = 1 << 14
    MIN_RNR_TIMER = 1 << 15
    SQ_PSN = 1 << 16
    MAX_DEST_RD_ATOMIC = 1 << 17
    PATH_MIG_STATE = 1 << 18
    CAP = 1 << 19
    DEST_QPN = 1 << 20
    RATE_LIMIT = 1 << 25


def rule_of(qp_type: QpType, current: QpState, target: QpState) -> tuple[QpAttribute, QpAttribute]:
    """What a transition needs and what else it takes; LocalError when there is no such transition."""
    if target in (QpState.RESET, QpState.ERR):
        return _NONE, _NONE
    rule = _TRANSITIONS.get((current, target), {}).get(qp_type)
    if rule is None:
        raise LocalError(f"a {qp_type.name} queue pair cannot go from {current.name} to {target.name}")
    return rule


_A = QpAttribute
_NONE = _A(0)
_INIT = _A.PKEY_INDEX | _A.PORT | _A.ACCESS
_INIT_UD = _A.PKEY_INDEX | _A.PORT | _A.QKEY
_PATH = _A.AV | _A.PATH_MTU | _A.DEST_QPN | _A.RQ_PSN
_RESPONDER = _PATH | _A.MAX_DEST_RD_ATOMIC | _A.MIN_RNR_TIMER
_REQUESTER = _A.TIMEOUT | _A.RETRY_CNT | _A.RNR_RETRY | _A.SQ_PSN | _A.MAX_QP_RD_ATOMIC
_RTR_OPTIONAL = _A.ALT_PATH | _A.ACCESS | _A.PKEY_INDEX
_UD_OPTIONAL = _A.PKEY_INDEX | _A.QKEY
_RTS_UD = _A.CUR_STATE | _A.QKEY
_RTS_SENDER = _A.CUR_STATE | _A.ALT_PATH | _A.ACCESS | _A.PATH_MIG_STATE
_RTS_RESPONDER = _RTS_SENDER | _A.MIN_RNR_TIMER
_SQD_UC = _A.AV | _A.ALT_PATH | _A.ACCESS | _A.PKEY_INDEX | _A.PATH_MIG_STATE
_SQD_RC = (
    _SQD_UC | _A.PORT | _A.TIMEOUT | _A.RETRY_CNT | _A.RNR_RETRY | _A.MAX_QP_RD_ATOMIC | _A.MAX_DEST_RD_ATOMIC
    | _A.MIN_RNR_TIMER
)  # fmt: skip

_RTS_RULES = {
    QpType.RC: (_NONE, _RTS_RESPONDER),
    QpType.UC: (_NONE, _RTS_SENDER),
    QpType.UD: (_NONE, _RTS_UD),
    QpType.XRC_SEND: (_NONE, _RTS_SENDER),
    QpType.XRC_RECV: (_NONE, _RTS_RESPONDER),
}

_TRANSITIONS: dict[tuple[QpState, QpState], dict[QpType, tuple[QpAttribute, QpAttribute]]] = {
    (QpState.RESET, QpState.INIT): {
        qp_type: (_INIT_UD if qp_type is QpType.UD else _INIT, _NONE) for qp_type in QpType
    },
    (QpState.INIT, QpState.INIT): {qp_type: (_NONE, _INIT_UD if qp_type is QpType.UD else _INIT) for qp_type in QpType},
    (QpState.INIT, QpState.RTR): {
        QpType.RC: (_RESPONDER, _RTR_OPTIONAL),
        QpType.UC: (_PATH, _RTR_OPTIONAL),
        QpType.UD: (_NONE, _UD_OPTIONAL),
        QpType.XRC_SEND: (_PATH, _RTR_OPTIONAL),
        QpType.XRC_RECV: (_RESPONDER, _RTR_OPTIONAL),
    },
    (QpState.RTR, QpState.RTS): {
        QpType.RC: (_REQUESTER, _RTS_RESPONDER),
        QpType.UC: (_A.SQ_PSN, _RTS_SENDER),
        QpType.UD: (_A.SQ_PSN, _RTS_UD),
        QpType.XRC_SEND: (_REQUESTER, _RTS_SENDER),
        QpType.XRC_RECV: (_A.TIMEOUT | _A.SQ_PSN, _RTS_RESPONDER),
    },
    (QpState.RTS, QpState.RTS): _RTS_RULES,
    (QpState.RTS, QpState.SQD): dict.fromkeys(QpType, (_NONE, _A.EN_SQD_ASYNC_NOTIFY)),
    (QpState.SQD, QpState.RTS): _RTS_RULES,
    (QpState.SQD, QpState.SQD): {
        QpType.RC: (_NONE, _SQD_RC),
        QpType.UC: (_NONE, _SQD_UC),
        QpType.UD: (_NONE, _UD_OPTIONAL),
        QpType.XRC_SEND: (_NONE, _SQD_RC & ~(_A.MAX_DEST_RD_ATOMIC | _A.MIN_RNR_TIMER)),
        QpType.XRC_RECV: (_NONE, _SQD_RC & ~(_A.RETRY_CNT | _A.RNR_RETRY | _A.MAX_QP_RD_ATOMIC)),
    },
    (QpState.SQE, QpState.RTS): {
        QpType.UC: (_NONE, _A.CUR_STATE | _A.ACCESS),
        QpType.UD: (_NONE, _RTS_UD),
    },
}
