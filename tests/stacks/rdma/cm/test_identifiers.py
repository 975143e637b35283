"""Identifiers for connections: the calls and events of librdmacm, in its order."""

from __future__ import annotations

import random
from errno import (
    EADDRINUSE,
    EADDRNOTAVAIL,
    EBUSY,
    EHOSTUNREACH,
    EINVAL,
    ENETUNREACH,
    ENODEV,
    ENOSYS,
    EOPNOTSUPP,
    ETIMEDOUT,
)
from pathlib import Path

import pytest

from stacks.rdma import QpAttributes, QpState, QpType
from stacks.rdma.cm import (
    RDMA_ID_TABLE,
    CmConfig,
    CmEventType,
    ConnParam,
    EventChannel,
    IdOption,
    OptionLevel,
    RdmaCm,
    RdmaId,
    RdmaIdState,
)
from stacks.runtime import LocalError
from tests.stacks.rdma.cm.id_rig import PORT, IdRig
from tests.stacks.rdma.cm.rig import ACTIVE, PASSIVE
from tests.stacks.rdma.cm.test_rdma_cm import FakeQp
from wire.ibcm import RdmaPortSpace, RejectReason


def test_the_table_is_as_reviewed() -> None:
    drawn = RDMA_ID_TABLE.render() + "\n" + RDMA_ID_TABLE.to_mermaid()
    assert drawn == Path(__file__).with_name("states_identifier.txt").read_text()


def test_the_public_events_have_their_numbers() -> None:
    """rdma_cma.h, enum rdma_cm_event_type."""
    names = (
        "ADDR_RESOLVED ADDR_ERROR ROUTE_RESOLVED ROUTE_ERROR CONNECT_REQUEST CONNECT_RESPONSE CONNECT_ERROR UNREACHABLE"
        " REJECTED ESTABLISHED DISCONNECTED DEVICE_REMOVAL MULTICAST_JOIN MULTICAST_ERROR ADDR_CHANGE TIMEWAIT_EXIT"
        " ADDRINFO_RESOLVED ADDRINFO_ERROR"
    )
    assert [CmEventType(number).name for number in range(18)] == names.split()


@pytest.mark.parametrize("space", [RdmaPortSpace.TCP, RdmaPortSpace.IB])
@pytest.mark.parametrize("qp_type", [QpType.RC, QpType.UC])
def test_the_whole_life_of_a_connection(space: RdmaPortSpace, qp_type: QpType) -> None:
    rig = IdRig()
    listener = rig.listening(space, qp_type)
    active = rig.resolved(space, qp_type)
    active.attach_qp(rig.new_qp(qp_type))
    active.connect(ConnParam(private_data=b"hello"))
    rig.run()
    request = rig.take(rig.server)
    assert (request.kind, request.listen_id) == (CmEventType.CONNECT_REQUEST, listener)
    assert request.private_data == b"hello".ljust(56, b"\0")
    passive = request.id
    assert (passive.destination, passive.destination_port) == (ACTIVE, active.source_port)
    passive.attach_qp(rig.new_qp(qp_type))
    passive.accept(ConnParam(private_data=b"welcome"))
    rig.run()
    established = rig.take(rig.client)
    assert (established.kind, established.status) == (CmEventType.ESTABLISHED, 0)
    assert established.private_data == b"welcome".ljust(196, b"\0")
    assert rig.kinds(rig.server) == ["ESTABLISHED"]
    assert active.qp is not None
    assert passive.qp is not None
    assert active.qp.state is passive.qp.state is QpState.RTS
    active.disconnect()
    rig.run()
    assert active.qp.state is passive.qp.state is QpState.ERR
    passive.disconnect()
    rig.pass_time()
    assert rig.kinds(rig.client) == rig.kinds(rig.server) == ["DISCONNECTED", "TIMEWAIT_EXIT"]
    for each in (active, passive, listener):
        each.destroy()
        each.destroy()
        assert each.state is RdmaIdState.DESTROYED
    assert len(rig.left) == len(rig.right) == 0


def test_a_hundred_connections_come_and_go_as_ucmatose_makes_them() -> None:
    rig = IdRig()
    rig.listening()
    ids = [rig.resolved() for _ in range(100)]
    for each in ids:
        each.attach_qp(rig.new_qp())
        each.connect()
    rig.run()
    passive = [rig.take(rig.server).id for _ in range(100)]
    for each in passive:
        each.attach_qp(rig.new_qp())
        each.accept()
    rig.run()
    assert rig.kinds(rig.client) == rig.kinds(rig.server) == ["ESTABLISHED"] * 100
    for each in ids + passive:
        each.disconnect()
    rig.pass_time()
    for channel in (rig.client, rig.server):
        assert sorted(rig.kinds(channel)) == ["DISCONNECTED"] * 100 + ["TIMEWAIT_EXIT"] * 100
    for each in ids + passive:
        each.destroy()
    assert len({each.destination_port for each in passive}) == 100


def test_what_the_peer_offers_is_turned_round_for_accept() -> None:
    """READs that one side asks for are those that the other serves (IBTA 12.7.29, 12.7.30)."""
    rig = IdRig()
    rig.listening()
    active = rig.resolved()
    active.connect(ConnParam(qp_num=5, responder_resources=3, initiator_depth=9, retry_count=2, rnr_retry_count=1))
    rig.run()
    conn = rig.take(rig.server).conn
    assert conn is not None
    assert (conn.responder_resources, conn.initiator_depth) == (9, 3)
    assert (conn.retry_count, conn.rnr_retry_count, conn.qp_num) == (2, 1, 5)


def test_an_owner_may_move_his_queue_pairs_himself() -> None:
    rig = IdRig()
    rig.listening()
    active, passive = rig.requested(ConnParam(qp_num=5), with_qp=False)
    left, right = FakeQp(5), FakeQp(6)
    with pytest.raises(LocalError, match="not negotiated"):
        active.init_qp_attr(QpState.RTR)
    before = [passive.init_qp_attr(state) for state in (QpState.INIT, QpState.RTR, QpState.RTS)]
    passive.accept(ConnParam(qp_num=6))
    assert before == [passive.init_qp_attr(state) for state in (QpState.INIT, QpState.RTR, QpState.RTS)]
    rig.run()
    assert rig.take(rig.client).kind is CmEventType.CONNECT_RESPONSE
    for rdma_id, qp in ((active, left), (passive, right)):
        for state in (QpState.INIT, QpState.RTR, QpState.RTS):
            qp.modify(rdma_id.init_qp_attr(state))
    with pytest.raises(LocalError, match="not SQD"):
        active.init_qp_attr(QpState.SQD)
    active.establish()
    rig.run()
    assert left.state is right.state is QpState.RTS
    assert (left.history[1].dest_qpn, right.history[1].dest_qpn) == (6, 5)
    assert (rig.kinds(rig.client), rig.kinds(rig.server)) == ([], ["ESTABLISHED"])


def test_a_message_that_the_owner_saw_stands_for_the_rtu() -> None:
    rig = IdRig()
    rig.listening()
    active, passive = rig.requested(ConnParam(qp_num=5), with_qp=False)
    passive.notify_established()
    passive.accept(ConnParam(qp_num=6))
    rig.run()
    passive.notify_established()
    assert rig.kinds(rig.server) == ["ESTABLISHED"]
    active.disconnect()


def test_a_request_is_rejected_with_its_private_data() -> None:
    rig = IdRig()
    rig.listening()
    active, passive = rig.requested()
    passive.reject(b"busy")
    rig.run()
    event = rig.take(rig.client)
    assert (event.kind, event.status) == (CmEventType.REJECTED, RejectReason.CONSUMER)
    assert event.private_data == b"busy".ljust(148, b"\0")
    assert active.qp is not None
    assert active.qp.state is QpState.ERR
    assert active.state is passive.state is RdmaIdState.DISCONNECT


def test_nobody_listening_is_a_rejection_with_reason_8() -> None:
    rig = IdRig()
    active = rig.resolved()
    active.connect(ConnParam(qp_num=5))
    rig.run()
    assert rig.take(rig.client).status == RejectReason.INVALID_SERVICE_ID


def test_a_listener_for_rc_rejects_what_is_not() -> None:
    rig = IdRig()
    rig.listening()
    active = rig.resolved(qp_type=QpType.UC)
    active.connect(ConnParam(qp_num=5))
    rig.run()
    assert rig.take(rig.client).status == RejectReason.INVALID_TRANSPORT_TYPE
    assert rig.kinds(rig.server) == []


def test_an_xrc_target_accepts_an_xrc_initiator() -> None:
    rig = IdRig()
    rig.listening(qp_type=QpType.XRC_RECV)
    active = rig.resolved(qp_type=QpType.XRC_SEND)
    active.attach_qp(rig.new_qp(QpType.XRC_SEND))
    active.connect()
    rig.run()
    passive = rig.take(rig.server).id
    passive.attach_qp(rig.new_qp(QpType.XRC_RECV))
    passive.accept()
    rig.run()
    assert rig.kinds(rig.client) == rig.kinds(rig.server) == ["ESTABLISHED"]


def test_a_silent_peer_is_unreachable() -> None:
    rig = IdRig(config=CmConfig(max_retries=1))
    rig.loses = True
    active = rig.resolved()
    active.connect(ConnParam(qp_num=5))
    rig.run()
    rig.pass_time()
    event = rig.take(rig.client)
    assert (event.kind, event.status) == (CmEventType.UNREACHABLE, -ETIMEDOUT)


def test_a_release_that_nobody_answers_ends_with_timeout() -> None:
    rig = IdRig(config=CmConfig(max_retries=1))
    rig.listening()
    active, _ = rig.connected()
    rig.loses = True
    active.disconnect()
    rig.run()
    rig.pass_time()
    event = rig.take(rig.client)
    assert (event.kind, event.status) == (CmEventType.DISCONNECTED, -ETIMEDOUT)


def test_a_queue_pair_that_does_not_take_the_answer_is_a_connect_error() -> None:
    rig = IdRig()
    rig.listening()
    active, passive = rig.requested()
    assert active.qp is not None
    active.qp.modify(QpAttributes(state=QpState.ERR))
    passive.accept(ConnParam(qp_num=6))
    rig.run()
    event = rig.take(rig.client)
    assert (event.kind, event.status) == (CmEventType.CONNECT_ERROR, -EINVAL)


# Addresses and routes


class Map:
    """A network of which a test knows everything."""

    def __init__(self, *, is_reachable: bool = True, path_mtu: int | None = 4096) -> None:
        self._is_reachable, self._path_mtu = is_reachable, path_mtu

    def is_reachable(self, destination: str) -> bool:
        return self._is_reachable

    def path_mtu(self, destination: str) -> int | None:
        return self._path_mtu


def test_an_unreachable_address_is_an_address_error() -> None:
    rig = IdRig(routes=Map(is_reachable=False))
    rdma_id = rig.new_id()
    rdma_id.resolve_addr(PASSIVE, PORT)
    event = rig.take(rig.client)
    assert (event.kind, event.status) == (CmEventType.ADDR_ERROR, -EHOSTUNREACH)
    assert rdma_id.state is RdmaIdState.ADDR_BOUND


def test_an_address_of_the_other_family_is_an_address_error() -> None:
    rig = IdRig()
    rdma_id = rig.new_id()
    rdma_id.resolve_addr("2001:db8::2", PORT)
    assert rig.take(rig.client).status == -ENETUNREACH
    rdma_id.resolve_addr(PASSIVE, PORT)
    assert rig.kinds(rig.client) == ["ADDR_RESOLVED"]


def test_a_missing_route_is_a_route_error() -> None:
    rig = IdRig(routes=Map(path_mtu=None))
    rdma_id = rig.new_id()
    rdma_id.resolve_addr(PASSIVE, PORT)
    rdma_id.resolve_route()
    assert rig.kinds(rig.client) == ["ADDR_RESOLVED", "ROUTE_ERROR"]
    assert rdma_id.state is RdmaIdState.ADDR_RESOLVED


def test_the_path_mtu_of_the_route_is_asked_for() -> None:
    rig = IdRig(routes=Map(path_mtu=512))
    rig.listening()
    _, passive = rig.requested()
    passive.accept(ConnParam(qp_num=6))
    assert passive.init_qp_attr(QpState.RTR).path_mtu == 512


@pytest.mark.parametrize("address", ["", "0.0.0.0", "::", ACTIVE])
def test_a_device_is_bound_by_its_address_or_a_wildcard(address: str) -> None:
    rdma_id = IdRig().new_id()
    rdma_id.bind_addr(address, PORT)
    assert (rdma_id.source, rdma_id.source_port) == (ACTIVE, PORT)


def test_a_wildcard_of_the_other_family_alone_is_not_ours() -> None:
    rdma_id = IdRig().new_id()
    rdma_id.set_option(OptionLevel.ID, IdOption.AFONLY, 1)
    for address in ("::", PASSIVE):
        with pytest.raises(LocalError, match="not the address of the device") as caught:
            rdma_id.bind_addr(address, PORT)
        assert caught.value.errno == EADDRNOTAVAIL
    assert rdma_id.state is RdmaIdState.IDLE


def test_a_port_is_taken_once_unless_it_is_shared_and_nobody_listens() -> None:
    rig = IdRig()
    first, second, third = (rig.new_id() for _ in range(3))
    first.bind_addr(port=PORT)
    with pytest.raises(LocalError, match="port 7174 of port space TCP is taken") as caught:
        second.bind_addr(port=PORT)
    assert caught.value.errno == EADDRINUSE
    rig.new_id(RdmaPortSpace.UDP).bind_addr(port=PORT)
    first.destroy()
    for each in (second, third):
        each.set_option(OptionLevel.ID, IdOption.REUSEADDR, 1)
        each.bind_addr(port=PORT)
    with pytest.raises(LocalError, match="is shared"):
        second.listen()
    third.destroy()
    second.listen()
    late = rig.new_id()
    late.set_option(OptionLevel.ID, IdOption.REUSEADDR, 1)
    with pytest.raises(LocalError, match="is taken"):
        late.bind_addr(port=PORT)


def test_ports_run_out_with_an_error() -> None:
    rig = IdRig()
    for port in range(32768, 61000):
        rig.left.ports.bind(RdmaPortSpace.TCP, port)
    with pytest.raises(LocalError, match="no port of port space TCP is free"):
        rig.new_id().bind_addr()


# Options


def test_options_reach_the_queue_pairs() -> None:
    rig = IdRig()
    rig.listening()
    active = rig.resolved()
    active.set_option(OptionLevel.ID, IdOption.TOS, 0x68)
    active.set_option(OptionLevel.ID, IdOption.ACK_TIMEOUT, 9)
    active.connect(ConnParam(qp_num=5))
    rig.run()
    passive = rig.take(rig.server).id
    passive.set_option(OptionLevel.ID, IdOption.ACK_TIMEOUT, 11)
    passive.accept(ConnParam(qp_num=6))
    rig.run()
    for rdma_id, timeout in ((active, 9), (passive, 11)):
        av = rdma_id.init_qp_attr(QpState.RTR).av
        assert av is not None
        assert av.traffic_class == 0x68
        assert rdma_id.init_qp_attr(QpState.RTS).timeout == timeout


@pytest.mark.parametrize(
    ("level", "option", "value", "errno"),
    [
        (OptionLevel.ID, IdOption.TOS, 256, EINVAL),
        (OptionLevel.ID, IdOption.ACK_TIMEOUT, 32, EINVAL),
        (OptionLevel.ID, 99, 0, ENOSYS),
        (OptionLevel.IB, 1, 0, EOPNOTSUPP),
    ],
)
def test_an_option_that_cannot_be_set_is_a_local_error(level: int, option: int, value: int, errno: int) -> None:
    with pytest.raises(LocalError) as caught:
        IdRig().new_id().set_option(level, option, value)
    assert caught.value.errno == errno


# Ends


def test_an_identifier_with_events_in_use_cannot_be_destroyed() -> None:
    rig = IdRig()
    rdma_id = rig.new_id()
    rdma_id.resolve_addr(PASSIVE, PORT)
    event = rig.client.poll_event()
    assert event is not None
    for end in (rdma_id.destroy, lambda: rdma_id.migrate(EventChannel())):
        with pytest.raises(LocalError, match="1 events of the identifier are not acknowledged") as caught:
            end()
        assert caught.value.errno == EBUSY
    rig.client.ack(event)
    rdma_id.destroy()


def test_a_listener_that_goes_refuses_the_requests_that_nobody_saw() -> None:
    rig = IdRig()
    listener = rig.listening()
    active = rig.resolved()
    active.connect(ConnParam(qp_num=5))
    rig.run()
    listener.destroy()
    rig.run()
    assert len(rig.server) == 0
    assert rig.take(rig.client).kind is CmEventType.REJECTED
    rig.listening()


def test_destroying_a_connected_identifier_ends_the_connection_in_silence() -> None:
    rig = IdRig()
    rig.listening()
    active, _ = rig.connected()
    active.destroy()
    rig.pass_time()
    assert rig.kinds(rig.client) == []
    assert rig.kinds(rig.server) == ["DISCONNECTED", "TIMEWAIT_EXIT"]


def test_events_move_with_their_identifier_to_another_channel() -> None:
    rig = IdRig()
    woken: list[int] = []
    other = EventChannel(lambda: woken.append(1))
    stays, moves = rig.new_id(), rig.new_id()
    for each in (stays, moves):
        each.resolve_addr(PASSIVE, PORT)
    moves.migrate(other)
    moves.resolve_route()
    assert rig.kinds(rig.client) == ["ADDR_RESOLVED"]
    assert rig.kinds(other) == ["ADDR_RESOLVED", "ROUTE_RESOLVED"]
    assert len(woken) == 2


def test_a_device_that_goes_tells_each_identifier() -> None:
    rig = IdRig()
    rig.listening()
    active, passive = rig.connected()
    active.handle_address_changed()
    active.handle_device_removed()
    active.handle_device_removed()
    rig.run()
    assert rig.take(rig.client).kind is CmEventType.ADDR_CHANGE
    event = rig.take(rig.client)
    assert (event.kind, event.status) == (CmEventType.DEVICE_REMOVAL, -ENODEV)
    assert rig.kinds(rig.server) == ["DISCONNECTED"]
    active.disconnect()
    active.destroy()
    active.handle_device_removed()
    passive.destroy()


# Misuse


def test_calls_out_of_order_are_local_errors_that_change_nothing() -> None:
    rig = IdRig()
    rdma_id = rig.new_id()
    for call in (rdma_id.resolve_route, rdma_id.connect, rdma_id.accept, rdma_id.reject, rdma_id.establish):
        with pytest.raises(LocalError, match="not possible in state IDLE"):
            call()
    with pytest.raises(LocalError, match="has no connection"):
        rdma_id.init_qp_attr(QpState.RTR)
    with pytest.raises(LocalError, match="65536"):
        rdma_id.resolve_addr(PASSIVE, 65536)
    with pytest.raises(LocalError, match="65536"):
        rdma_id.bind_addr(port=65536)
    with pytest.raises(LocalError, match="not a numeric"):
        rdma_id.resolve_addr("host", PORT)
    assert rdma_id.state is RdmaIdState.IDLE
    active = rig.resolved()
    with pytest.raises(LocalError, match="57 bytes"):
        active.connect(ConnParam(qp_num=5, private_data=bytes(57)))
    assert active.state is RdmaIdState.ROUTE_RESOLVED
    active.connect(ConnParam(qp_num=5))
    assert repr(active) == f"<RdmaId TCP CONNECT {PASSIVE} port {PORT}>"


def test_only_a_fresh_queue_pair_of_the_right_type_is_attached() -> None:
    rig = IdRig()
    rdma_id = rig.new_id()
    with pytest.raises(LocalError, match="for RC queue pairs, not UC"):
        rdma_id.attach_qp(rig.new_qp(QpType.UC))
    rdma_id.attach_qp(rig.new_qp())
    with pytest.raises(LocalError, match="a queue pair already"):
        rdma_id.attach_qp(rig.new_qp())


def test_identifiers_and_other_owners_share_a_device() -> None:
    rig = IdRig()
    rig.listening()
    other = RdmaCm("192.0.2.3", rng=random.Random(3))
    rig.right.listen(0xABCD)
    connection = rig.left.connect(PASSIVE, 0xABCD, qp=FakeQp(77))
    _, passive = rig.requested()
    event = rig.right.poll_event()
    assert event is not None
    rig.right.accept(event.connection, qp=FakeQp(78))
    passive.accept(ConnParam(qp_num=6))
    rig.run()
    told = rig.left.poll_event()
    assert told is not None
    assert (told.kind, told.connection) == (CmEventType.ESTABLISHED, connection)
    assert rig.kinds(rig.client) == ["ESTABLISHED"]
    assert RdmaId(EventChannel(), other).context is None
