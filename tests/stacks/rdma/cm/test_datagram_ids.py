"""Identifiers for datagrams: udaddy's calls, and multicast groups."""

from __future__ import annotations

from errno import EADDRINUSE, EADDRNOTAVAIL, EINVAL, EOPNOTSUPP

import pytest

from stacks.rdma import AddressVector, QpState, QpType
from stacks.rdma.cm import (
    MULTICAST_QPN,
    RDMA_UDP_QKEY,
    TIMED_OUT,
    CmConfig,
    CmEventType,
    ConnParam,
    RdmaId,
    RdmaIdState,
)
from stacks.runtime import LocalError
from tests.stacks.rdma.cm.id_rig import PORT, GroupQp, IdRig
from tests.stacks.rdma.cm.rig import ACTIVE, PASSIVE
from tests.stacks.rdma.cm.test_rdma_cm import FakeQp
from wire.ibcm import RdmaPortSpace, SidrStatus

UDP = RdmaPortSpace.UDP
GROUP = "239.1.2.3"


def asked(rig: IdRig, param: ConnParam | None = None) -> tuple[RdmaId, RdmaId]:
    rig.listening(UDP)
    active = rig.resolved(UDP)
    active.attach_qp(rig.new_qp(QpType.UD))
    active.connect(param)
    rig.run()
    return active, rig.take(rig.server).id


@pytest.mark.parametrize("space", [UDP, RdmaPortSpace.IPOIB])
def test_a_datagram_service_is_found_with_queue_pair_and_key(space: RdmaPortSpace) -> None:
    rig = IdRig()
    rig.listening(space)
    active = rig.resolved(space)
    active.attach_qp(rig.new_qp(QpType.UD))
    assert active.qp is not None
    assert active.qp.state is QpState.RTS
    active.connect(ConnParam(private_data=b"hello"))
    rig.run()
    request = rig.take(rig.server)
    assert (request.kind, request.private_data) == (CmEventType.CONNECT_REQUEST, b"hello".ljust(180, b"\0"))
    assert request.ud is not None
    assert request.ud.av == AddressVector(destination=ACTIVE)
    passive = request.id
    passive.attach_qp(qp := rig.new_qp(QpType.UD))
    passive.accept(ConnParam(private_data=b"welcome"))
    rig.run()
    event = rig.take(rig.client)
    assert (event.kind, event.status) == (CmEventType.ESTABLISHED, 0)
    assert event.ud is not None
    assert (event.ud.qp_num, event.ud.qkey) == (qp.number, RDMA_UDP_QKEY)
    assert event.ud.av.destination == PASSIVE
    assert event.private_data == b"welcome".ljust(136, b"\0")
    assert rig.kinds(rig.server) == []
    active.disconnect()
    passive.disconnect()
    for each in (active, passive):
        each.destroy()
    rig.pass_time()
    assert len(rig.left.sidr) == len(rig.right.sidr) == 0


def test_the_attributes_of_a_queue_pair_that_the_owner_moves() -> None:
    rig = IdRig()
    rdma_id = rig.new_id(UDP)
    qp = FakeQp(3, qp_type=QpType.UD)
    for state in (QpState.INIT, QpState.RTR, QpState.RTS):
        qp.modify(rdma_id.init_qp_attr(state))
    assert qp.history[0].qkey == RDMA_UDP_QKEY
    with pytest.raises(LocalError, match="not SQD"):
        rdma_id.init_qp_attr(QpState.SQD)
    with pytest.raises(LocalError, match="taken over in RESET"):
        rdma_id.attach_qp(qp)


def test_an_owner_answers_with_a_queue_pair_and_key_of_his_own() -> None:
    rig = IdRig()
    _, passive = asked(rig)
    passive.accept(ConnParam(qp_num=99, qkey=0x1234))
    rig.run()
    ud = rig.take(rig.client).ud
    assert ud is not None
    assert (ud.qp_num, ud.qkey) == (99, 0x1234)


def test_a_refused_service_is_unreachable_with_the_sidr_status() -> None:
    """Linux cma_sidr_rep_handler."""
    rig = IdRig()
    active, passive = asked(rig)
    passive.reject(b"full")
    rig.run()
    event = rig.take(rig.client)
    assert (event.kind, event.status) == (CmEventType.UNREACHABLE, SidrStatus.REJECT)
    assert event.private_data.startswith(b"full")
    assert active.state is RdmaIdState.DISCONNECT


def test_a_request_that_is_disconnected_or_destroyed_is_refused() -> None:
    rig = IdRig()
    _, passive = asked(rig)
    passive.destroy()
    rig.run()
    assert rig.take(rig.client).status == SidrStatus.REJECT


def test_a_silent_peer_is_unreachable_and_a_destroyed_identifier_hears_nothing() -> None:
    rig = IdRig(config=CmConfig(max_retries=1))
    rig.loses = True
    first, second = rig.resolved(UDP), rig.resolved(UDP)
    for each in (first, second):
        each.connect()
    second.destroy()
    rig.run()
    rig.pass_time()
    event = rig.take(rig.client)
    assert (event.kind, event.status, event.id) == (CmEventType.UNREACHABLE, TIMED_OUT, first)
    assert len(rig.client) == 0


def test_datagrams_are_not_established() -> None:
    rig = IdRig()
    active, _ = asked(rig)
    for call in (active.establish, active.notify_established):
        with pytest.raises(LocalError, match="not established") as caught:
            call()
        assert caught.value.errno == EOPNOTSUPP
    rdma_id = rig.new_id(UDP)
    with pytest.raises(LocalError, match="not possible in state IDLE"):
        rdma_id.accept()
    listener = rig.new_id(UDP, on_right=True)
    with pytest.raises(LocalError, match="is taken"):
        listener.bind_addr(port=PORT)
    listener.listen()
    listener.destroy()


# Multicast


def test_a_group_is_joined_and_left_by_the_queue_pair() -> None:
    """IBTA 10.5; Linux cma_iboe_join_multicast: nobody is asked, and the Q_Key is RDMA-CM's."""
    rig = IdRig()
    rdma_id = rig.new_id(UDP)
    qp = GroupQp(3)
    rdma_id.attach_qp(qp)
    rdma_id.bind_addr()
    rdma_id.join_multicast(GROUP, context="mine")
    event = rig.take(rig.client)
    assert (event.kind, event.status, event.context) == (CmEventType.MULTICAST_JOIN, 0, "mine")
    assert event.ud is not None
    assert (event.ud.av.destination, event.ud.qp_num, event.ud.qkey) == (GROUP, MULTICAST_QPN, RDMA_UDP_QKEY)
    assert qp.groups == {GROUP}
    rdma_id.leave_multicast(GROUP)
    assert qp.groups == set()
    with pytest.raises(LocalError, match="not in group") as caught:
        rdma_id.leave_multicast(GROUP)
    assert caught.value.errno == EADDRNOTAVAIL


def test_a_destroyed_identifier_leaves_its_groups() -> None:
    rig = IdRig()
    rdma_id = rig.new_id(UDP)
    qp = GroupQp(3)
    rdma_id.attach_qp(qp)
    rdma_id.resolve_addr(GROUP, PORT)
    for group in (GROUP, "239.1.2.4"):
        rdma_id.join_multicast(group)
    assert rig.kinds(rig.client) == ["ADDR_RESOLVED", "MULTICAST_JOIN", "MULTICAST_JOIN"]
    rdma_id.destroy()
    assert qp.groups == set()


def test_a_group_that_the_queue_pair_does_not_take_is_a_multicast_error() -> None:
    rig = IdRig()
    full, plain = rig.new_id(UDP), rig.new_id(UDP)
    full.attach_qp(GroupQp(3, may_join=False))
    plain.attach_qp(FakeQp(4, qp_type=QpType.UD))
    for rdma_id, errno in ((full, EINVAL), (plain, EOPNOTSUPP)):
        rdma_id.bind_addr()
        rdma_id.join_multicast(GROUP)
        event = rig.take(rig.client)
        assert (event.kind, event.status) == (CmEventType.MULTICAST_ERROR, -errno)


def test_misuse_of_groups_is_a_local_error() -> None:
    rig = IdRig()
    rdma_id = rig.new_id(UDP)
    with pytest.raises(LocalError, match="not possible in state IDLE"):
        rdma_id.join_multicast(GROUP)
    rdma_id.bind_addr()
    with pytest.raises(LocalError, match="is not a multicast address"):
        rdma_id.join_multicast("192.0.2.9")
    with pytest.raises(LocalError, match="one is IPv4"):
        rdma_id.join_multicast("ff0e::1")
    rdma_id.join_multicast(GROUP)
    with pytest.raises(LocalError, match="already") as caught:
        rdma_id.join_multicast(GROUP)
    assert caught.value.errno == EADDRINUSE
    rdma_id.leave_multicast(GROUP)
    connected = rig.new_id()
    connected.bind_addr()
    with pytest.raises(LocalError, match="only UD"):
        connected.join_multicast(GROUP)
