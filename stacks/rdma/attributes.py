"""Queue pair attributes, and which of them each transition needs and allows (IBTA 11.2.5.2, tables 92 and 93).

The table is the one that Linux enforces (core/verbs.c); transitions to RESET and ERR need nothing and allow nothing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields

from stacks.rdma.enums import QpState, QpType
from stacks.runtime import LocalError


class QpAttribute(enum.IntFlag):
    """Bits of an attribute mask, by their verbs numbers."""

    STATE = 1 << 0
    CUR_STATE = 1 << 1
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
    MIN_RNR_TIMER = 1 << 15
    SQ_PSN = 1 << 16
    MAX_DEST_RD_ATOMIC = 1 << 17
    DEST_QPN = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressVector:
    """Where a connected queue pair's peer is.

    destination: the peer's IP address, in numeric text form. traffic_class: the IP header's byte. hop_limit: TTL.
    """

    destination: str
    traffic_class: int = 0
    hop_limit: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class QpAttributes:
    """What `Qp.modify` is given; None means not given.

    path_mtu in bytes (256 to 4096); timeout: 5-bit field, 4.096 us * 2^timeout, 0 for never; retry_cnt and rnr_retry
    0 to 7 (rnr_retry 7: without end); rq_psn and sq_psn 24 bits; min_rnr_timer: 5-bit field; access: bits of `Access`.
    """

    state: QpState | None = None
    cur_state: QpState | None = None
    access: int | None = None
    pkey_index: int | None = None
    port: int | None = None
    qkey: int | None = None
    av: AddressVector | None = None
    path_mtu: int | None = None
    timeout: int | None = None
    retry_cnt: int | None = None
    rnr_retry: int | None = None
    rq_psn: int | None = None
    max_qp_rd_atomic: int | None = None
    min_rnr_timer: int | None = None
    sq_psn: int | None = None
    max_dest_rd_atomic: int | None = None
    dest_qpn: int | None = None

    @property
    def mask(self) -> QpAttribute:
        """Which attributes are given."""
        mask = QpAttribute(0)
        for field in fields(self):
            if getattr(self, field.name) is not None:
                mask |= QpAttribute[field.name.upper()]
        return mask


def check_attributes(qp_type: QpType, current: QpState, attributes: QpAttributes) -> QpState:
    """The state that a modify leads to; raises LocalError naming what is missing, forbidden or out of range."""
    target = attributes.state if attributes.state is not None else current
    given = attributes.mask & ~QpAttribute.STATE
    required, optional = _rules(qp_type, current, target)
    if missing := required & ~given:
        raise LocalError(f"{current.name} to {target.name} of a {qp_type.name} queue pair needs {_names(missing)}")
    if forbidden := given & ~(required | optional):
        raise LocalError(
            f"{current.name} to {target.name} of a {qp_type.name} queue pair does not take {_names(forbidden)}"
        )
    for name, (low, high) in _RANGES.items():
        value = getattr(attributes, name)
        if value is not None and not low <= value <= high:
            raise LocalError(f"{name} must be between {low} and {high}, not {value}")
    if attributes.path_mtu is not None and attributes.path_mtu not in PATH_MTUS:
        raise LocalError(f"path_mtu must be one of {', '.join(map(str, PATH_MTUS))}, not {attributes.path_mtu}")
    return target


def _rules(qp_type: QpType, current: QpState, target: QpState) -> tuple[QpAttribute, QpAttribute]:
    if target in (QpState.RESET, QpState.ERR):
        return QpAttribute(0), QpAttribute(0)
    rule = _TRANSITIONS.get((current, target), {}).get(qp_type)
    if rule is None:
        raise LocalError(f"a {qp_type.name} queue pair cannot go from {current.name} to {target.name}")
    return rule


def _names(mask: QpAttribute) -> str:
    return ", ".join(attribute.name or "" for attribute in QpAttribute if attribute & mask)


PATH_MTUS = (256, 512, 1024, 2048, 4096)

_RANGES = {
    "timeout": (0, 31),
    "retry_cnt": (0, 7),
    "rnr_retry": (0, 7),
    "rq_psn": (0, 0xFFFFFF),
    "sq_psn": (0, 0xFFFFFF),
    "min_rnr_timer": (0, 31),
    "max_qp_rd_atomic": (0, 128),
    "max_dest_rd_atomic": (0, 128),
    "dest_qpn": (0, 0xFFFFFF),
    "qkey": (0, 0xFFFFFFFF),
    "pkey_index": (0, 0),
    "port": (1, 1),
}

_A = QpAttribute
_NONE = _A(0)
_INIT = _A.PKEY_INDEX | _A.PORT | _A.ACCESS
_INIT_UD = _A.PKEY_INDEX | _A.PORT | _A.QKEY
_PATH = _A.AV | _A.PATH_MTU | _A.DEST_QPN | _A.RQ_PSN
_RESPONDER = _PATH | _A.MAX_DEST_RD_ATOMIC | _A.MIN_RNR_TIMER
_REQUESTER = _A.TIMEOUT | _A.RETRY_CNT | _A.RNR_RETRY | _A.SQ_PSN | _A.MAX_QP_RD_ATOMIC
_RTR_OPTIONAL = _A.ACCESS | _A.PKEY_INDEX
_UD_OPTIONAL = _A.PKEY_INDEX | _A.QKEY
_RTS_OPTIONAL = _A.CUR_STATE | _A.ACCESS
_SQD_RC = (
    _A.PORT | _A.AV | _A.TIMEOUT | _A.RETRY_CNT | _A.RNR_RETRY | _A.MAX_QP_RD_ATOMIC | _A.MAX_DEST_RD_ATOMIC
    | _A.ACCESS | _A.PKEY_INDEX | _A.MIN_RNR_TIMER
)  # fmt: skip

_RTS_RULES = {
    QpType.RC: (_NONE, _RTS_OPTIONAL | _A.MIN_RNR_TIMER),
    QpType.UC: (_NONE, _RTS_OPTIONAL),
    QpType.UD: (_NONE, _A.CUR_STATE | _A.QKEY),
    QpType.XRC_SEND: (_NONE, _RTS_OPTIONAL),
    QpType.XRC_RECV: (_NONE, _RTS_OPTIONAL | _A.MIN_RNR_TIMER),
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
        QpType.RC: (_REQUESTER, _RTS_OPTIONAL | _A.MIN_RNR_TIMER),
        QpType.UC: (_A.SQ_PSN, _RTS_OPTIONAL),
        QpType.UD: (_A.SQ_PSN, _A.CUR_STATE | _A.QKEY),
        QpType.XRC_SEND: (_REQUESTER, _RTS_OPTIONAL),
        QpType.XRC_RECV: (_A.TIMEOUT | _A.SQ_PSN, _RTS_OPTIONAL | _A.MIN_RNR_TIMER),
    },
    (QpState.RTS, QpState.RTS): _RTS_RULES,
    (QpState.RTS, QpState.SQD): dict.fromkeys(QpType, (_NONE, _NONE)),
    (QpState.SQD, QpState.RTS): _RTS_RULES,
    (QpState.SQD, QpState.SQD): {
        QpType.RC: (_NONE, _SQD_RC),
        QpType.UC: (_NONE, _A.AV | _A.ACCESS | _A.PKEY_INDEX),
        QpType.UD: (_NONE, _UD_OPTIONAL),
        QpType.XRC_SEND: (_NONE, _SQD_RC & ~(_A.MAX_DEST_RD_ATOMIC | _A.MIN_RNR_TIMER)),
        QpType.XRC_RECV: (_NONE, _SQD_RC & ~(_A.RETRY_CNT | _A.RNR_RETRY | _A.MAX_QP_RD_ATOMIC)),
    },
    (QpState.SQE, QpState.RTS): {
        QpType.UC: (_NONE, _RTS_OPTIONAL),
        QpType.UD: (_NONE, _A.CUR_STATE | _A.QKEY),
    },
}
