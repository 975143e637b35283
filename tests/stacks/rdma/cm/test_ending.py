"""How connections end: release from either side or both, peers that forgot, and TIMEWAIT."""

import random

import pytest

from stacks.rdma.cm import CmConfig, ConnectionManager, ConnectionParameters, ConnectionState
from stacks.runtime import LocalError
from tests.stacks.rdma.cm.rig import ACTIVE, MS, PASSIVE, SERVICE, Rig, first
from wire.ibcm import CmDrep, CmDreq, CmRej, CmRep, CmReq, CmRtu, RejectReason, build_mad


@pytest.mark.parametrize("side", [ACTIVE, PASSIVE])
def test_either_side_ends_a_connection(side: str) -> None:
    rig = Rig()
    ends = dict(zip((ACTIVE, PASSIVE), rig.connected(), strict=True))
    dict(rig.managers)[side].disconnect(ends[side])
    rig.run(5 * MS)
    assert rig.log == ["DREQ", "DREP"]
    assert rig.kinds(ACTIVE) == rig.kinds(PASSIVE) == ["DISCONNECTED"]
    assert all(end.state is ConnectionState.TIMEWAIT for end in ends.values())
    rig.finish()
    assert rig.kinds(ACTIVE) == rig.kinds(PASSIVE) == ["DISCONNECTED", "TIMEWAIT_EXIT"]
    assert len(rig.active) == len(rig.passive) == 0


def test_releases_that_cross_end_each_side_once() -> None:
    rig = Rig()
    active, passive = rig.connected()
    rig.active.disconnect(active)
    rig.passive.disconnect(passive)
    rig.finish()
    assert rig.log == ["DREQ", "DREQ", "DREP", "DREP"]
    assert rig.kinds(ACTIVE) == rig.kinds(PASSIVE) == ["DISCONNECTED", "TIMEWAIT_EXIT"]


@pytest.mark.parametrize("lost", [CmDreq, CmDrep])
def test_a_lost_message_of_a_release_is_made_up_for(lost: type[CmDreq | CmDrep]) -> None:
    rig = Rig()
    active, _ = rig.connected()
    rig.lose = first(lost)
    rig.active.disconnect(active)
    rig.finish()
    assert rig.kinds(ACTIVE) == rig.kinds(PASSIVE) == ["DISCONNECTED", "TIMEWAIT_EXIT"]
    assert rig.events[ACTIVE][0].status == 0


def test_disconnecting_is_idempotent() -> None:
    rig = Rig()
    active, _ = rig.connected()
    for _ in range(3):
        rig.active.disconnect(active)
    rig.finish()
    rig.active.disconnect(active)
    rig.finish()
    assert rig.log == ["DREQ", "DREP"]


def test_a_peer_that_never_answers_the_release_is_given_up() -> None:
    rig = Rig(config=CmConfig(max_retries=2))
    active, _ = rig.connected()
    rig.lose = first(CmDreq, 100)
    rig.active.disconnect(active)
    rig.finish()
    assert rig.log == ["DREQ"] * 3
    assert rig.kinds(ACTIVE) == ["DISCONNECTED", "TIMEWAIT_EXIT"]
    assert rig.events[ACTIVE][0].status == RejectReason.TIMEOUT


def test_a_peer_that_forgot_the_connection_still_answers_its_release() -> None:
    rig = Rig()
    active, _ = rig.connected()
    rig.passive = ConnectionManager(PASSIVE, rng=random.Random(99))
    rig.active.disconnect(active)
    rig.run(5 * MS)
    assert rig.log == ["DREQ", "DREP"]
    assert rig.kinds(ACTIVE) == ["DISCONNECTED"]


def test_a_release_overtakes_a_lost_rtu() -> None:
    rig = Rig()
    rig.lose = first(CmRtu, 100)
    connection = rig.connect()
    rig.run(5 * MS)
    rig.active.disconnect(connection)
    rig.finish()
    assert rig.kinds(PASSIVE) == ["CONNECT_REQUEST", "DISCONNECTED", "TIMEWAIT_EXIT"]


def test_disconnecting_before_any_answer_withdraws_the_request() -> None:
    rig = Rig()
    rig.owners[PASSIVE] = lambda event: None
    connection = rig.connect()
    rig.run(5 * MS)
    rig.active.disconnect(connection)
    rig.finish()
    assert rig.log == ["REQ", "REJ"]
    assert rig.kinds(ACTIVE) == []
    assert rig.kinds(PASSIVE) == ["CONNECT_REQUEST", "REJECTED"]
    assert len(rig.active) == len(rig.passive) == 0


def test_disconnecting_an_unanswered_request_rejects_it() -> None:
    rig = Rig()
    rig.owners[PASSIVE] = lambda event: rig.passive.disconnect(event.connection)
    rig.connect()
    rig.finish()
    assert rig.kinds(ACTIVE) == ["REJECTED"]
    assert rig.events[ACTIVE][0].status == RejectReason.CONSUMER


def test_an_acceptance_that_is_taken_back_reaches_the_peer() -> None:
    rig = Rig()
    rig.lose = first(CmRtu, 100)
    rig.connect()
    rig.run(5 * MS)
    rig.passive.disconnect(rig.requested())
    rig.finish()
    assert rig.kinds(ACTIVE) == ["CONNECT_RESPONSE", "ESTABLISHED", "DISCONNECTED", "TIMEWAIT_EXIT"]


def test_timewait_lasts_as_configured_and_holds_the_queue_pair_number() -> None:
    rig = Rig(config=CmConfig(time_wait_ns=70 * MS))
    active, _ = rig.connected()
    rig.active.disconnect(active)
    rig.run(5 * MS)
    assert active.own is not None
    with pytest.raises(LocalError, match="TIMEWAIT"):
        rig.active.connect(PASSIVE, SERVICE, parameters=active.own)
    rig.run(66 * MS)
    assert rig.kinds(ACTIVE) == ["DISCONNECTED"]
    rig.run(1 * MS)
    assert rig.kinds(ACTIVE) == ["DISCONNECTED", "TIMEWAIT_EXIT"]
    rig.active.connect(PASSIVE, SERVICE, parameters=active.own)


def test_repeated_releases_are_answered_but_do_not_prolong_timewait() -> None:
    rig = Rig(config=CmConfig(time_wait_ns=100 * MS))
    active, passive = rig.connected()
    rig.active.disconnect(active)
    rig.run(2 * MS)
    dreq = CmDreq(
        local_comm_id=active.local_comm_id, remote_comm_id=passive.local_comm_id, remote_qpn=active.settings.dest_qpn
    )
    for _ in range(12):
        rig.passive.handle_mad(ACTIVE, memoryview(build_mad(dreq, 1)), rig.now)
        rig.run(10 * MS)
    assert passive.state is ConnectionState.CLOSED
    assert rig.passive.counters.cm_duplicates == 10
    assert rig.log == ["DREQ"] + ["DREP"] * 13


def restarted(rig: Rig, qpn: int) -> ConnectionManager:
    """The active side after a crash, asking with the queue pair number that it had before."""
    rig.active = ConnectionManager(ACTIVE, rng=random.Random(77))
    rig.active.connect(PASSIVE, SERVICE, parameters=ConnectionParameters(qpn=qpn))
    return rig.active


def test_a_stale_connection_is_rejected_with_reason_10_and_torn_down() -> None:
    rig = Rig()
    active, passive = rig.connected()
    assert active.own is not None
    restarted(rig, active.own.qpn)
    rig.run(10 * MS)
    assert rig.kinds(ACTIVE) == ["REJECTED"]
    assert rig.events[ACTIVE][0].status == RejectReason.STALE_CONNECTION
    assert rig.kinds(PASSIVE) == ["DISCONNECTED"]
    assert passive.state is ConnectionState.TIMEWAIT
    rig.finish()
    rig.active.connect(PASSIVE, SERVICE, parameters=active.own)
    rig.run(5 * MS)
    assert rig.kinds(ACTIVE)[-1] == "ESTABLISHED"


def test_a_queue_pair_number_of_another_channel_adapter_at_the_same_address_is_not_stale() -> None:
    rig = Rig()
    active, passive = rig.connected()
    assert active.own is not None
    rig.passive.listen(0xABCD)
    other = CmReq(local_comm_id=5, local_ca_guid=77, service_id=0xABCD, local_qpn=active.own.qpn, path_mtu=3)
    rig.passive.handle_mad(ACTIVE, memoryview(build_mad(other, 1)), rig.now)
    rig.run(1 * MS)
    assert rig.kinds(PASSIVE)[0] == "CONNECT_REQUEST"
    assert passive.state is ConnectionState.ESTABLISHED


def test_a_stale_request_that_nobody_answered_makes_way() -> None:
    rig = Rig()
    rig.owners[PASSIVE] = lambda event: None
    connection = rig.connect()
    rig.run(5 * MS)
    assert connection.own is not None
    restarted(rig, connection.own.qpn)
    rig.run(5 * MS)
    assert rig.kinds(PASSIVE) == ["CONNECT_REQUEST", "REJECTED"]
    assert rig.kinds(ACTIVE) == ["REJECTED"]


def test_a_stale_acceptance_makes_way() -> None:
    rig = Rig()
    rig.lose = first(CmRtu, 100)
    connection = rig.connect()
    rig.run(5 * MS)
    assert connection.own is not None
    restarted(rig, connection.own.qpn)
    rig.run(5 * MS)
    assert rig.kinds(PASSIVE) == ["CONNECT_REQUEST", "DISCONNECTED"]
    assert rig.events[PASSIVE][1].status == RejectReason.STALE_CONNECTION


def test_a_request_with_the_comm_id_of_another_connection_is_stale() -> None:
    rig = Rig()
    active, passive = rig.connected()
    other = CmReq(local_comm_id=active.local_comm_id, service_id=0xABCD, local_qpn=999, path_mtu=3)
    rig.passive.handle_mad(ACTIVE, memoryview(build_mad(other, 1)), rig.now)
    rig.run(5 * MS)
    assert passive.state is ConnectionState.TIMEWAIT
    assert "REJ" in rig.log


def test_a_request_repeated_in_timewait_is_rejected_as_stale() -> None:
    rig = Rig()
    active, passive = rig.connected()
    assert passive.peer is not None
    rig.passive.disconnect(passive)
    rig.run(5 * MS)
    rig.log.clear()
    peer = passive.peer
    request = CmReq(
        local_comm_id=active.local_comm_id, service_id=SERVICE, local_qpn=peer.qpn,
        starting_psn=peer.starting_psn or 0, path_mtu=3, retry_count=peer.retry_count,
        rnr_retry_count=peer.rnr_retry, responder_resources=peer.responder_resources,
        initiator_depth=peer.initiator_depth, primary_local_ack_timeout=peer.ack_timeout,
        private_data=(b"\x00\x40" + bytes(34)).ljust(92, b"\0"),
    )  # fmt: skip
    rig.passive.handle_mad(ACTIVE, memoryview(build_mad(request, 1)), rig.now)
    rig.run(0)
    assert rig.log == ["REJ"]
    assert rig.kinds(PASSIVE) == ["DISCONNECTED"]


def test_a_reply_with_a_queue_pair_of_another_connection_supersedes_that() -> None:
    rig = Rig()
    old, _ = rig.connected()
    rig.lose = lambda source, message: source == PASSIVE
    new = rig.connect()
    rig.run(0)
    guid, qpn = old.peer_guid, old.settings.dest_qpn
    reply = CmRep(local_comm_id=4, remote_comm_id=new.local_comm_id, local_ca_guid=guid, local_qpn=qpn)
    rig.active.handle_mad(PASSIVE, memoryview(build_mad(reply, 1)), rig.now)
    rig.run(0)
    assert new.state is ConnectionState.ESTABLISHED
    assert old.state is ConnectionState.DREQ_SENT


def test_a_stale_rejection_leads_to_timewait() -> None:
    rig = Rig()
    rig.lose = first(CmReq)
    connection = rig.connect()
    rig.run(0)
    rejection = CmRej(remote_comm_id=connection.local_comm_id, reason=RejectReason.STALE_CONNECTION)
    rig.active.handle_mad(PASSIVE, memoryview(build_mad(rejection, 1)), rig.now)
    rig.finish()
    assert rig.kinds(ACTIVE) == ["REJECTED", "TIMEWAIT_EXIT"]


def test_messages_from_another_address_or_under_another_id_do_not_touch_a_connection() -> None:
    rig = Rig()
    active, passive = rig.connected()
    qpn = active.settings.dest_qpn
    ours, theirs = active.local_comm_id, passive.local_comm_id
    dreq = CmDreq(local_comm_id=ours, remote_comm_id=theirs, remote_qpn=qpn)
    rej = CmRej(local_comm_id=ours, remote_comm_id=theirs, reason=RejectReason.CONSUMER)
    other_id = CmDreq(local_comm_id=ours ^ 1, remote_comm_id=theirs, remote_qpn=qpn)
    other_qpn = CmDreq(local_comm_id=ours, remote_comm_id=theirs, remote_qpn=qpn ^ 1)
    for source, message in (("192.0.2.66", dreq), ("192.0.2.66", rej), (ACTIVE, other_id), (ACTIVE, other_qpn)):
        rig.passive.handle_mad(source, memoryview(build_mad(message, 1)), 0)
    assert passive.state is ConnectionState.ESTABLISHED
    assert rig.passive.counters.cm_unexpected == 1


def test_strangers_cannot_fill_the_outbox() -> None:
    rig = Rig()
    stranger = memoryview(build_mad(CmDreq(local_comm_id=1, remote_comm_id=2), 1))
    for _ in range(1500):
        rig.passive.handle_mad(ACTIVE, stranger, 0)
    queued = 0
    while rig.passive.poll_mad(0) is not None:
        queued += 1
    assert queued == 1024
    assert rig.passive.counters.cm_overflow == 476


def test_a_second_queue_pair_under_the_same_id_is_rejected_and_the_connection_stands() -> None:
    """Reason 30, IBTA 12.6.7.2."""
    rig = Rig()
    active, passive = rig.connected()
    other = CmReq(
        local_comm_id=active.local_comm_id,
        service_id=SERVICE,
        local_ca_guid=passive.peer_guid,
        local_qpn=0xABC,
        path_mtu=3,
        private_data=b"\0\x40" + bytes(90),
    )
    rig.passive.handle_mad(ACTIVE, memoryview(build_mad(other, 9)), rig.now)
    item = rig.passive.poll_mad(rig.now)
    assert item is not None
    rejection = CmRej.decode(item[1], 24)
    assert rejection.reason == RejectReason.DUPLICATE_LOCAL_COMM_ID
    assert passive.state is ConnectionState.ESTABLISHED
    assert rig.kinds(PASSIVE) == []
