"""What `Qp.modify` takes, for every transition of every queue pair type (IBTA 11.2.5.2, tables 92 and 93)."""

from __future__ import annotations

import errno
from dataclasses import fields, replace
from pathlib import Path

import pytest

from stacks.rdma import (
    QP_TABLE,
    AddressVector,
    AlternatePath,
    PathMigrationState,
    QpAttribute,
    QpAttributes,
    QpCapacity,
    QpState,
    QpType,
    WrOpcode,
)
from stacks.rdma.attributes import PATH_MTUS, check_attributes
from stacks.runtime import LocalError
from tests.stacks.rdma.hand import HandRig
from tests.stacks.rdma.rig import FULL_ACCESS, Rig, modify

SNAPSHOT = Path(__file__).with_name("qp_table.txt")

VALUES = QpAttributes(
    cur_state=QpState.RTS, access=0, pkey_index=0, port=1, qkey=1, av=AddressVector(destination="192.0.2.9"),
    path_mtu=1024, timeout=14, retry_cnt=7, rnr_retry=7, rq_psn=1, max_qp_rd_atomic=1, min_rnr_timer=1, sq_psn=1,
    max_dest_rd_atomic=1, dest_qpn=5, en_sqd_async_notify=True, cap=QpCapacity(), rate_limit=1,
    alt_path=AlternatePath(av=AddressVector(destination="::1")), path_mig_state=PathMigrationState.MIGRATED,
)  # fmt: skip
NAMES = tuple(field.name for field in fields(QpAttributes) if field.name not in ("state", "sq_draining"))

# Transition and types; what is needed; what may be given too. From Linux core/verbs.c, qp_state_table.
RULES = """
RESET INIT   RC UC XRC_SEND XRC_RECV : pkey_index port access :
RESET INIT   UD                      : pkey_index port qkey :
INIT  INIT   RC UC XRC_SEND XRC_RECV : : pkey_index port access
INIT  INIT   UD                      : : pkey_index port qkey
INIT  RTR    RC XRC_RECV : av path_mtu dest_qpn rq_psn max_dest_rd_atomic min_rnr_timer : alt_path access pkey_index
INIT  RTR    UC XRC_SEND : av path_mtu dest_qpn rq_psn : alt_path access pkey_index
INIT  RTR    UD          : : pkey_index qkey
RTR   RTS    RC          : timeout retry_cnt rnr_retry sq_psn max_qp_rd_atomic : %CONNECTED min_rnr_timer
RTR   RTS    XRC_SEND    : timeout retry_cnt rnr_retry sq_psn max_qp_rd_atomic : %CONNECTED
RTR   RTS    XRC_RECV    : timeout sq_psn : %CONNECTED min_rnr_timer
RTR   RTS    UC          : sq_psn : %CONNECTED
RTR   RTS    UD          : sq_psn : cur_state qkey
RTS   RTS    RC XRC_RECV : : %CONNECTED min_rnr_timer
RTS   RTS    UC XRC_SEND : : %CONNECTED
RTS   RTS    UD          : : cur_state qkey
SQD   RTS    RC XRC_RECV : : %CONNECTED min_rnr_timer
SQD   RTS    UC XRC_SEND : : %CONNECTED
SQD   RTS    UD          : : cur_state qkey
RTS   SQD    RC UC UD XRC_SEND XRC_RECV : : en_sqd_async_notify
SQD   SQD    RC : : %DRAINED port timeout retry_cnt rnr_retry max_qp_rd_atomic max_dest_rd_atomic min_rnr_timer
SQD   SQD    XRC_SEND : : %DRAINED port timeout retry_cnt rnr_retry max_qp_rd_atomic
SQD   SQD    XRC_RECV : : %DRAINED port timeout max_dest_rd_atomic min_rnr_timer
SQD   SQD    UC : : %DRAINED
SQD   SQD    UD : : pkey_index qkey
SQE   RTS    UC : : cur_state access
SQE   RTS    UD : : cur_state qkey
""".replace("%CONNECTED", "cur_state alt_path access path_mig_state").replace(
    "%DRAINED", "av alt_path access pkey_index path_mig_state"
)


def rules() -> dict[tuple[QpType, QpState, QpState], tuple[set[str], set[str]]]:
    """What each transition needs and what else it takes."""
    table = {}
    for line in RULES.strip().splitlines():
        transition, required, optional = (part.split() for part in line.split(":"))
        before, after, *types = transition
        for qp_type in types:
            key = (QpType[qp_type], QpState[before], QpState[after])
            table[key] = (set(required), set(optional))
    return table


def given(names: set[str], target: QpState, before: QpState = QpState.RTS) -> QpAttributes:
    """Good values of these attributes; `cur_state` says `before`."""
    values = replace(VALUES, cur_state=before)
    return replace(QpAttributes(state=target), **{name: getattr(values, name) for name in names})


EVERY = [(kind, before, after) for kind in QpType for before in QpState for after in QpState]


@pytest.mark.parametrize("kind", list(QpType), ids=lambda kind: kind.name)
def test_every_transition_names_what_is_missing_and_what_it_does_not_take(kind: QpType) -> None:
    table = rules()
    for key in (key for key in EVERY if key[0] is kind):
        _, before, after = key
        if after in (QpState.RESET, QpState.ERR):
            required, optional = set[str](), set[str]()
        elif key not in table:
            with pytest.raises(
                LocalError, match=f"{kind.name} queue pair cannot go from {before.name} to {after.name}"
            ):
                check_attributes(kind, before, QpAttributes(state=after))
            continue
        else:
            required, optional = table[key]
        assert check_attributes(kind, before, given(required, after, before)) is after
        assert check_attributes(kind, before, given(required | optional, after, before)) is after
        for name in required:
            with pytest.raises(LocalError, match=rf"needs {name.upper()}$"):
                check_attributes(kind, before, given(required - {name}, after, before))
        for name in set(NAMES) - required - optional:
            with pytest.raises(LocalError, match=rf"does not take {name.upper()}$"):
                check_attributes(kind, before, given(required | {name}, after, before))


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("timeout", 0, 31), ("retry_cnt", 0, 7), ("rnr_retry", 0, 7), ("sq_psn", 0, 0xFFFFFF),
        ("max_qp_rd_atomic", 0, 128), ("min_rnr_timer", 0, 31),
        ("rq_psn", 0, 0xFFFFFF), ("dest_qpn", 0, 0xFFFFFF), ("max_dest_rd_atomic", 0, 128),
        ("pkey_index", 0, 0), ("port", 1, 1),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_named_with_its_bounds(name: str, low: int, high: int) -> None:
    before, after = next(
        (before, after)
        for (kind, before, after), (required, _) in rules().items()
        if kind is QpType.RC and name in required | ({"min_rnr_timer"} if after is QpState.RTR else set())
    )
    attributes = given(rules()[QpType.RC, before, after][0], after)
    for value in (low, high):
        check_attributes(QpType.RC, before, replace(attributes, **{name: value}))
    for value in (low - 1, high + 1):
        with pytest.raises(LocalError, match=f"{name} must be between {low} and {high}, not {value}"):
            check_attributes(QpType.RC, before, replace(attributes, **{name: value}))


@pytest.mark.parametrize("state", list(QpState), ids=lambda state: state.name)
def test_cur_state_names_the_state_that_the_queue_pair_is_in(state: QpState) -> None:
    """IBTA 11.2.5.2: a caller who did not notice an error is told, and nothing is changed."""
    qp = Rig().left.qp
    attributes = QpAttributes(state=QpState.RTS, cur_state=state)
    if state is QpState.RTS:
        qp.modify(attributes)
        return
    is_assumable = state in (QpState.RTR, QpState.SQD, QpState.SQE)
    expected = f"cur_state says {state.name}, but" if is_assumable else f"RTR, RTS, SQD, SQE, not {state.name}"
    with pytest.raises(LocalError, match=expected):
        qp.modify(attributes)
    assert qp.state is QpState.RTS


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ({"av": AddressVector(destination="peer")}, "alt_path needs the peer's IP address in numeric form, not 'peer'"),
        (
            {"av": AddressVector(destination="::1", traffic_class=256)},
            "alt_path.traffic_class must be between",
        ),
        ({"av": AddressVector(destination="::1", hop_limit=-1)}, "alt_path.hop_limit must be between 0 and 255"),
        ({"port": 2}, "alt_path.port must be between 1 and 1"),
        ({"pkey_index": 1}, "alt_path.pkey_index must be between 0 and 0"),
        ({"timeout": 32}, "alt_path.timeout must be between 0 and 31"),
    ],
)
def test_an_alternate_path_is_checked_piece_by_piece(path: dict[str, object], message: str) -> None:
    alternate = AlternatePath(**({"av": AddressVector(destination="192.0.2.9")} | path))  # type: ignore[arg-type]
    qp = Rig().left.qp
    with pytest.raises(LocalError, match=message):
        qp.modify(QpAttributes(alt_path=alternate))


@pytest.mark.parametrize("state", [PathMigrationState.REARM, PathMigrationState.ARMED])
def test_path_migration_is_not_offered(state: PathMigrationState) -> None:
    with pytest.raises(LocalError, match="does not migrate paths") as caught:
        Rig().left.qp.modify(QpAttributes(path_mig_state=state))
    assert caught.value.errno == errno.EOPNOTSUPP


def test_a_path_mtu_is_one_of_five() -> None:
    attributes = given(rules()[QpType.RC, QpState.INIT, QpState.RTR][0], QpState.RTR)
    for mtu in PATH_MTUS:
        check_attributes(QpType.RC, QpState.INIT, replace(attributes, path_mtu=mtu))
    with pytest.raises(LocalError, match="path_mtu must be one of 256, 512, 1024, 2048, 4096, not 1500"):
        check_attributes(QpType.RC, QpState.INIT, replace(attributes, path_mtu=1500))


def test_the_mask_has_the_bits_of_the_verbs_interface() -> None:
    mask = replace(VALUES, state=QpState.RTS).mask
    assert mask == sum(QpAttribute)
    assert (QpAttribute.STATE, QpAttribute.AV, QpAttribute.SQ_PSN, QpAttribute.DEST_QPN) == (
        1,
        1 << 7,
        1 << 16,
        1 << 20,
    )


def test_states_and_events_are_the_reviewed_table() -> None:
    assert QP_TABLE.render() == SNAPSHOT.read_text()


def test_a_failed_modify_changes_nothing() -> None:
    rig = Rig(connect=False)
    qp = rig.left.qp
    with pytest.raises(LocalError, match="needs PORT"):
        qp.modify(QpAttributes(state=QpState.INIT, pkey_index=0, access=0))
    assert qp.state is QpState.RESET
    assert qp.attributes == {}
    rig.to_init(rig.left)
    with pytest.raises(LocalError, match="cannot go from INIT to RTS"):
        qp.modify(QpAttributes(state=QpState.RTS))
    assert qp.state is QpState.INIT
    assert qp.attributes["access"] == FULL_ACCESS


@pytest.mark.parametrize("kind", [QpType.RC, QpType.UC, QpType.XRC_SEND])
def test_a_peer_of_the_other_address_family_is_refused_and_changes_nothing(kind: QpType) -> None:
    rig = Rig(connect=False, qp_type=kind)
    rig.to_init(rig.left)
    there = AddressVector(destination="2001:db8::2")
    path = {"path_mtu": 1024, "dest_qpn": 5, "rq_psn": 0, "max_dest_rd_atomic": 1, "min_rnr_timer": 1}
    with pytest.raises(LocalError, match="cannot reach 2001:db8::2"):
        modify(rig.left.qp, QpState.RTR, av=there, **path)
    assert rig.left.qp.query().state is QpState.INIT
    assert rig.left.qp.query().av is None


def test_state_may_be_left_out_where_it_stays() -> None:
    rig = Rig()
    rig.left.qp.modify(QpAttributes(min_rnr_timer=9))
    assert rig.left.qp.state is QpState.RTS
    assert rig.left.qp.attributes["min_rnr_timer"] == 9


def test_any_state_may_go_to_reset_and_to_err() -> None:
    rig = Rig(connect=False)
    left, right = rig.ends
    steps = [
        lambda: None,
        lambda: rig.to_init(left),
        lambda: rig.to_rtr(left, right),
        lambda: rig.to_rts(left),
        lambda: left.qp.modify(QpAttributes(state=QpState.SQD)),
    ]
    for count in range(1, len(steps) + 1):
        for target in (QpState.ERR, QpState.RESET):
            for step in steps[:count]:
                step()
            left.qp.modify(QpAttributes(state=target))
            assert left.qp.state is target
            left.qp.modify(QpAttributes(state=target))
            left.qp.modify(QpAttributes(state=QpState.RESET))


def test_retry_attributes_may_change_while_the_send_queue_is_drained() -> None:
    rig = HandRig(timeout=0, retry_cnt=7)
    rig.end.qp.modify(QpAttributes(state=QpState.SQD))
    rig.end.qp.modify(QpAttributes(timeout=1, retry_cnt=0, rnr_retry=0, max_qp_rd_atomic=1))
    rig.end.qp.modify(QpAttributes(state=QpState.RTS))
    for number in (1, 2):
        rig.end.send(number, WrOpcode.RDMA_READ, 0, 4)
    assert len(rig.received()) == 1
    rig.wait(20_000)
    assert rig.completed() == [(1, "RETRY_EXC_ERR"), (2, "WR_FLUSH_ERR")]


def test_an_address_vector_may_change_while_the_send_queue_is_drained() -> None:
    rig = HandRig()
    elsewhere = rig.network.open(("192.0.2.77", 4791))
    rig.end.qp.modify(QpAttributes(state=QpState.SQD))
    rig.end.qp.modify(QpAttributes(av=AddressVector(destination="192.0.2.77")))
    rig.end.qp.modify(QpAttributes(state=QpState.RTS))
    rig.end.send(1, WrOpcode.SEND, 0, 4)
    assert rig.received() == []
    assert elsewhere.receive() is not None
