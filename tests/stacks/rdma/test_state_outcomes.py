"""Every state of every queue pair type against everything that can happen to it, as a reviewed table (IBTA 10.3.1).

A transition's outcome is the state after it, or "refused" with everything as it was; a work request's is "queued",
"flushed" or "refused".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest

from stacks.rdma import AddressVector, QpAttribute, QpAttributes, QpState, QpType, RecvWr, SendWr, WrOpcode
from stacks.rdma.qp import Qp
from stacks.rdma.qp_types import QP_TYPES
from stacks.rdma.transitions import rule_of
from stacks.runtime import LocalError
from tests.stacks.rdma.rig import Rig

SNAPSHOT = Path(__file__).with_name("state_outcomes.txt")
VALUES = QpAttributes(
    access=0, pkey_index=0, port=1, qkey=1, av=AddressVector(destination="192.0.2.2"), path_mtu=1024, timeout=14,
    retry_cnt=7, rnr_retry=7, rq_psn=1, max_qp_rd_atomic=1, min_rnr_timer=1, sq_psn=1, max_dest_rd_atomic=1, dest_qpn=5,
)  # fmt: skip
KINDS = tuple(QpType)
RELIABLE = (QpType.RC, QpType.XRC_SEND, QpType.XRC_RECV)
WAY = {
    QpState.RESET: (),
    QpState.INIT: (QpState.INIT,),
    QpState.RTR: (QpState.INIT, QpState.RTR),
    QpState.RTS: (QpState.INIT, QpState.RTR, QpState.RTS),
    QpState.SQD: (QpState.INIT, QpState.RTR, QpState.RTS, QpState.SQD),
    QpState.SQE: (QpState.INIT, QpState.RTR, QpState.RTS),
    QpState.ERR: (QpState.ERR,),
}


def move(qp: Qp, target: QpState) -> None:
    """Modify with exactly what the transition needs."""
    try:
        required, _ = rule_of(qp.qp_type, qp.state, target)
    except LocalError:
        required = QpAttribute(0)
    names = [field.name for field in fields(QpAttributes) if field.name != "sq_draining"]
    given = {name: getattr(VALUES, name) for name in names if QpAttribute[name.upper()] & required}
    qp.modify(replace(QpAttributes(state=target), **given))


def queue_pair_in(kind: QpType, state: QpState) -> tuple[Rig, Qp]:
    """A fresh queue pair on its way to `state`."""
    rig = Rig(connect=False)
    end = rig.left
    xrcd = end.device.open_xrcd() if kind is QpType.XRC_RECV else None
    qp = end.pd.create_qp(kind, send_cq=end.cq, recv_cq=end.cq, xrcd=xrcd)
    for step in WAY[state]:
        move(qp, step)
    if state is QpState.SQE:
        qp.enter_send_error()
    end.cq.poll(100)
    return rig, qp


def attempt(qp: Qp, event: Callable[[Qp], object]) -> str:
    before = qp.state
    try:
        event(qp)
    except LocalError:
        assert qp.state is before
        return "refused"
    return qp.state.name


def posting(rig: Rig, qp: Qp, post: Callable[[], None]) -> str:
    try:
        post()
    except LocalError:
        return "refused"
    statuses = [wc.status.name for wc in qp.send_cq.poll(10)]
    assert statuses in ([], ["WR_FLUSH_ERR"])
    return "flushed" if statuses else "queued"


def outcome(kind: QpType, state: QpState, event: str) -> str:
    rig, qp = queue_pair_in(kind, state)
    if event == "post send":
        fields_of_ud = {}
        if kind is QpType.UD:
            ah = rig.left.pd.create_ah(AddressVector(destination="192.0.2.2"))
            fields_of_ud = {"ah": ah, "remote_qpn": 5, "remote_qkey": 1}
        wr = SendWr(1, WrOpcode.SEND, [], **fields_of_ud)  # type: ignore[arg-type]
        return posting(rig, qp, lambda: qp.post_send(wr))
    if event == "post receive":
        return posting(rig, qp, lambda: qp.post_recv(RecvWr(1)))
    if event == "fatal error":
        return attempt(qp, lambda qp: qp.enter_error())
    return attempt(qp, lambda qp: move(qp, QpState[event.rsplit(maxsplit=1)[-1]]))


EVENTS = (
    *(f"modify to {state.name}" for state in QpState), "fatal error", "post send", "post receive",
)  # fmt: skip


def table(kind: QpType) -> str:
    """One type's table."""
    states = [state for state in QpState if state is not QpState.SQE or kind not in RELIABLE]
    rows = [[kind.name, *(state.name for state in states)]]
    rows += [[event, *(outcome(kind, state, event) for state in states)] for event in EVENTS]
    return "".join(
        "  ".join(cell.ljust(16 if not at else 7) for at, cell in enumerate(row)).rstrip() + "\n" for row in rows
    )


def test_every_type_has_its_table() -> None:
    assert set(KINDS) == set(QP_TYPES)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_becomes_of_everything_in_every_state_is_the_reviewed_table(kind: QpType) -> None:
    tables = {text.split(maxsplit=1)[0]: text for text in SNAPSHOT.read_text().split("\n\n")}
    assert table(kind).strip() == tables[kind.name].strip()
