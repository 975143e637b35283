"""Connections of other kinds than RC at the largest path MTU: UC, XRC, smaller path MTUs, traffic classes."""

from __future__ import annotations

import random

import pytest

from stacks.rdma import QpState, QpType
from stacks.rdma.cm import CmConfig, CmEventType, ConnectionManager, ConnectionParameters, ConnectionState, RdmaCm
from stacks.runtime import LocalError
from tests.stacks.rdma.cm.rig import ACTIVE, MS, PASSIVE, SERVICE, Rig
from tests.stacks.rdma.cm.test_rdma_cm import FakeQp, Pair, event_of, kinds
from wire.ibcm import CmRep, CmReq, RejectReason, parse_mad


@pytest.mark.parametrize(
    ("asks", "accepts"), [(QpType.UC, QpType.UC), (QpType.XRC_SEND, QpType.XRC_RECV), (QpType.RC, QpType.RC)]
)
def test_each_connected_type_gets_the_attributes_that_it_needs(asks: QpType, accepts: QpType) -> None:
    """IBTA 12.6.5 transport service type; the masks are those of table 92 (11.2.5.2)."""
    pair = Pair()
    left, right = FakeQp(3, qp_type=asks), FakeQp(4, qp_type=accepts)
    _, passive = pair.requested(left)
    assert passive.peer is not None
    assert passive.peer.qp_type is asks
    pair.passive.accept(passive, qp=right)
    pair.run()
    assert kinds(pair.active) == kinds(pair.passive) == ["ESTABLISHED"]
    assert left.state is right.state is QpState.RTS
    assert (left.history[1].dest_qpn, right.history[1].dest_qpn) == (4, 3)


def test_an_xrc_target_is_named_where_an_ee_context_would_be() -> None:
    pair = Pair()
    _, passive = pair.requested(FakeQp(3, qp_type=QpType.XRC_SEND))
    pair.passive.accept(passive, qp=FakeQp(4, qp_type=QpType.XRC_RECV))
    item = pair.passive.poll_mad(0)
    assert item is not None
    _, reply = parse_mad(item[1])
    assert isinstance(reply, CmRep)
    assert (reply.local_qpn, reply.local_eecn, reply.srq) == (0, 4, 1)


def test_a_queue_pair_of_another_type_cannot_accept() -> None:
    pair = Pair()
    _, passive = pair.requested(FakeQp(3, qp_type=QpType.UC))
    with pytest.raises(LocalError, match="a RC queue pair cannot accept what a UC one asks"):
        pair.passive.accept(passive, qp=FakeQp(4))
    pair.passive.accept(passive, qp=FakeQp(5, qp_type=QpType.UC))


def test_types_that_do_not_connect_are_a_local_error() -> None:
    cm = RdmaCm(ACTIVE, rng=random.Random(1))
    with pytest.raises(LocalError, match="XRC_RECV queue pair only accepts"):
        cm.connect(PASSIVE, SERVICE, qp=FakeQp(3, qp_type=QpType.XRC_RECV))
    with pytest.raises(LocalError, match="UD queue pair has no connections"):
        cm.connect(PASSIVE, SERVICE, qp=FakeQp(3, qp_type=QpType.UD))
    with pytest.raises(LocalError, match="without a queue pair"):
        cm.connect(PASSIVE, SERVICE)


def test_a_queue_pair_that_cannot_be_readied_takes_the_acceptance_back() -> None:
    class Stubborn(FakeQp):
        def modify(self, attributes: object) -> None:
            if getattr(attributes, "state", None) is QpState.RTR:
                raise LocalError("no")
            super().modify(attributes)  # type: ignore[arg-type]

    pair = Pair()
    _, passive = pair.requested(FakeQp(3))
    with pytest.raises(LocalError, match="no"):
        pair.passive.accept(passive, qp=Stubborn(4))
    pair.run()
    assert kinds(pair.active) == ["ESTABLISHED", "DISCONNECTED"]


def test_without_a_queue_pair_the_owner_readies_his_own() -> None:
    pair = Pair()
    active = pair.active.connect(PASSIVE, SERVICE, parameters=ConnectionParameters(qpn=3))
    pair.run()
    pair.passive.accept(event_of(pair.passive).connection, parameters=ConnectionParameters(qpn=4))
    pair.run()
    assert event_of(pair.active).kind is CmEventType.CONNECT_RESPONSE
    assert active.settings.dest_qpn == 4
    pair.active.establish(active)
    pair.run()
    assert kinds(pair.active) == kinds(pair.passive) == ["ESTABLISHED"]


def rig_with_passive(max_path_mtu: int) -> Rig:
    rig = Rig()
    rig.passive = ConnectionManager(PASSIVE, rng=random.Random(2), config=CmConfig(max_path_mtu=max_path_mtu))
    rig.passive.listen(SERVICE)
    return rig


@pytest.mark.parametrize("limit", [4096, 2048, 1024, 512, 256])
def test_the_larger_host_asks_for_less_until_the_smaller_agrees(limit: int) -> None:
    """REJ with reason 26, IBTA 12.6.7.2."""
    rig = rig_with_passive(limit)
    connection = rig.active.connect(PASSIVE, SERVICE, parameters=ConnectionParameters(qpn=3, path_mtu=4096))
    rig.run(20 * MS)
    steps = {4096: 0, 2048: 1, 1024: 2, 512: 3, 256: 4}[limit]
    assert rig.log == ["REQ", "REJ"] * steps + ["REQ", "REP", "RTU"]
    assert connection.state is ConnectionState.ESTABLISHED
    assert connection.settings.path_mtu == rig.requested().settings.path_mtu == limit
    assert rig.kinds(ACTIVE) == ["CONNECT_RESPONSE", "ESTABLISHED"]
    assert rig.active.counters.cm_mtu_lowered == steps
    rig.active.disconnect(connection)
    rig.finish()
    assert len(rig.active) == len(rig.passive) == 0


def test_a_late_copy_of_the_refusal_does_not_concern_the_second_request() -> None:
    rig = rig_with_passive(1024)
    connection = rig.active.connect(PASSIVE, SERVICE, parameters=ConnectionParameters(qpn=3, path_mtu=2048))
    first = rig.active.poll_mad(0)
    assert first is not None
    for _ in range(3):
        rig.passive.handle_mad(ACTIVE, memoryview(first[1]), 0)
    rig.run(20 * MS)
    assert connection.state is ConnectionState.ESTABLISHED
    assert connection.settings.path_mtu == 1024


def test_a_peer_that_takes_no_path_mtu_at_all_has_rejected() -> None:
    rig = rig_with_passive(0)
    connection = rig.active.connect(PASSIVE, SERVICE, parameters=ConnectionParameters(qpn=3, path_mtu=4096))
    rig.run(20 * MS)
    assert [event.status for event in rig.events[ACTIVE]] == [RejectReason.INVALID_MTU]
    assert connection.state is ConnectionState.CLOSED


def test_the_traffic_class_of_the_request_is_that_of_both_sides() -> None:
    rig = Rig()
    connection = rig.active.connect(PASSIVE, SERVICE, parameters=ConnectionParameters(qpn=3, traffic_class=0x68))
    seen: list[int] = []
    rig.lose = lambda _, message: isinstance(message, CmReq) and bool(seen.append(message.primary_traffic_class))  # type: ignore[func-returns-value]
    rig.run(5 * MS)
    assert seen == [0x68]
    assert connection.settings.traffic_class == rig.requested().settings.traffic_class == 0x68
