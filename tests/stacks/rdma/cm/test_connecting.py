"""How connections begin: the three messages, what is lost of them, and who takes their time."""

import random

import pytest

from stacks.rdma.cm import CmConfig, CmEventType, ConnectionManager, ConnectionParameters, ConnectionState
from tests.stacks.rdma.cm.rig import ACTIVE, MS, PASSIVE, SERVICE, Rig, first
from wire.ibcm import (
    CmMra,
    CmRej,
    CmRep,
    CmReq,
    CmRtu,
    RejectReason,
    build_mad,
)


def test_three_messages_establish_both_sides() -> None:
    rig = Rig()
    connection = rig.connect()
    rig.run(5 * MS)
    assert rig.log == ["REQ", "REP", "RTU"]
    assert rig.kinds(ACTIVE) == ["CONNECT_RESPONSE", "ESTABLISHED"]
    assert rig.kinds(PASSIVE) == ["CONNECT_REQUEST", "ESTABLISHED"]
    assert connection.state is rig.requested().state is ConnectionState.ESTABLISHED
    assert rig.active.poll_deadline() is rig.passive.poll_deadline() is None


def test_each_side_learns_the_others_queue_pair() -> None:
    rig = Rig()
    connection = rig.active.connect(
        PASSIVE,
        SERVICE,
        parameters=ConnectionParameters(
            qpn=17, starting_psn=1000, path_mtu=4096, responder_resources=4, initiator_depth=32,
            retry_count=3, rnr_retry=5, ack_timeout=18,
        ),
    )  # fmt: skip
    rig.owners[PASSIVE] = lambda event: (
        rig.passive.accept(
            event.connection,
            parameters=ConnectionParameters(
                qpn=33, starting_psn=2000, responder_resources=16, initiator_depth=16, rnr_retry=2
            ),
        )
        if event.kind is CmEventType.CONNECT_REQUEST
        else None
    )
    rig.run(5 * MS)
    active, passive = connection.settings, rig.requested().settings
    assert (active.destination, active.dest_qpn, active.rq_psn, active.sq_psn) == (PASSIVE, 33, 1000, 2000)
    assert (passive.destination, passive.dest_qpn, passive.rq_psn, passive.sq_psn) == (ACTIVE, 17, 2000, 1000)
    assert active.path_mtu == passive.path_mtu == 4096
    assert (active.max_rd_atomic, active.max_dest_rd_atomic) == (16, 4)
    assert (passive.max_rd_atomic, passive.max_dest_rd_atomic) == (4, 16)
    assert (active.retry_cnt, active.rnr_retry, active.timeout) == (3, 2, 18)
    assert (passive.retry_cnt, passive.rnr_retry, passive.timeout) == (3, 5, 18)


def test_private_data_arrives_with_each_message() -> None:
    rig = Rig()
    rig.owners[PASSIVE] = lambda event: (
        rig.passive.accept(event.connection, parameters=rig.parameters(), private_data=b"reply")
        if event.kind is CmEventType.CONNECT_REQUEST
        else None
    )
    rig.owners[ACTIVE] = lambda event: (
        rig.active.establish(event.connection, private_data=b"ready")
        if event.kind is CmEventType.CONNECT_RESPONSE
        else None
    )
    rig.connect(b"request")
    rig.run(5 * MS)
    assert rig.events[PASSIVE][0].private_data == b"request".ljust(56, b"\0")
    assert rig.events[ACTIVE][0].private_data == b"reply".ljust(196, b"\0")
    assert rig.events[PASSIVE][1].private_data == b"ready".ljust(224, b"\0")


def test_a_service_outside_the_port_spaces_has_all_92_bytes_for_the_user() -> None:
    rig = Rig()
    rig.passive.listen(0xABCD)
    rig.active.connect(PASSIVE, 0xABCD, parameters=rig.parameters(), private_data=bytes(range(92)))
    rig.run(MS)
    assert rig.events[PASSIVE][0].private_data == bytes(range(92))


def test_ipv6_addresses_connect() -> None:
    active = ConnectionManager("2001:db8::1", rng=random.Random(1))
    passive = ConnectionManager("2001:db8::2", rng=random.Random(2))
    passive.listen(SERVICE)
    active.connect("2001:DB8:0::2", SERVICE, parameters=ConnectionParameters(qpn=5), private_data=b"six")
    item = active.poll_mad(0)
    assert item is not None
    destination, mad = item
    passive.handle_mad("2001:db8::1", memoryview(mad), 0)
    event = passive.poll_event()
    assert destination == "2001:db8::2"
    assert event is not None
    assert event.private_data.startswith(b"six")


@pytest.mark.parametrize("lost", [CmReq, CmRep, CmRtu])
def test_a_lost_message_is_made_up_for(lost: type[CmReq | CmRep | CmRtu]) -> None:
    rig = Rig()
    rig.lose = first(lost)
    connection = rig.connect()
    rig.run(500 * MS)
    assert connection.state is rig.requested().state is ConnectionState.ESTABLISHED
    assert rig.kinds(PASSIVE) == ["CONNECT_REQUEST", "ESTABLISHED"]


def test_a_duplicate_request_is_answered_with_the_same_reply() -> None:
    rig = Rig()
    rig.lose = first(CmRep)
    rig.connect()
    rig.run(105 * MS)
    # Both sides' timers expire: the request of the one, the reply of the other.
    assert rig.kinds(PASSIVE).count("CONNECT_REQUEST") == 1
    assert rig.passive.counters.cm_duplicates == 1


def test_a_request_that_the_owner_sleeps_over_is_answered_with_mra_and_waits_longer() -> None:
    rig = Rig()
    rig.owners[PASSIVE] = lambda event: None
    connection = rig.connect()
    rig.run(1000 * MS)
    assert rig.log == ["REQ", "REQ", "MRA"]
    assert connection.state is ConnectionState.MRA_REQ_RCVD
    rig.passive.accept(rig.requested(), parameters=rig.parameters())
    rig.run(10 * MS)
    assert rig.kinds(ACTIVE) == ["CONNECT_RESPONSE", "ESTABLISHED"]


def test_a_reply_that_the_owner_sleeps_over_is_answered_with_mra() -> None:
    rig = Rig()
    rig.owners[ACTIVE] = lambda event: None
    connection = rig.connect()
    rig.run(1000 * MS)
    assert rig.log == ["REQ", "REP", "REP", "MRA"]
    assert rig.requested().state is ConnectionState.MRA_REP_RCVD
    rig.active.establish(connection)
    rig.run(10 * MS)
    assert rig.requested().state is ConnectionState.ESTABLISHED


def test_an_owner_may_ask_for_time_before_the_peer_is_impatient() -> None:
    rig = Rig()
    rig.owners[PASSIVE] = lambda event: rig.passive.delay(event.connection)
    connection = rig.connect()
    rig.run(1000 * MS)
    assert rig.log == ["REQ", "MRA"]
    assert connection.state is ConnectionState.MRA_REQ_RCVD


def test_an_mra_about_another_message_is_counted_and_dropped() -> None:
    rig = Rig()
    rig.lose = first(CmReq)
    connection = rig.connect()
    rig.run(0)
    mra = CmMra(local_comm_id=7, remote_comm_id=connection.local_comm_id, message_mraed=1)
    rig.active.handle_mad(PASSIVE, memoryview(build_mad(mra, 1)), rig.now)
    assert connection.state is ConnectionState.REQ_SENT
    assert rig.active.counters.cm_unexpected == 1


def test_the_first_packet_on_the_queue_pair_counts_as_rtu() -> None:
    rig = Rig()
    rig.lose = first(CmRtu, 100)
    rig.connect()
    rig.run(5 * MS)
    passive = rig.requested()
    assert passive.own is not None
    rig.passive.handle_communication_established(passive.own.qpn)
    rig.passive.handle_communication_established(passive.own.qpn)
    rig.passive.handle_communication_established(0xABCDE)
    rig.run(1000 * MS)
    assert rig.kinds(PASSIVE) == ["CONNECT_REQUEST", "ESTABLISHED"]
    assert rig.log == ["REQ", "REP", "RTU"]


def test_a_silent_peer_is_unreachable_after_all_retries_with_growing_pauses() -> None:
    rig = Rig(config=CmConfig(first_retry_ns=100 * MS, longest_retry_ns=400 * MS, max_retries=4))
    rig.lose = first(CmReq, 100)
    connection = rig.connect()
    times: list[int] = []
    while connection.state is ConnectionState.REQ_SENT:
        rig.run(MS)
        if rig.log.count("REQ") > len(times):
            times.append(rig.now // MS)
    assert times == [1, 100, 300, 700, 1100]
    assert rig.now == 1500 * MS
    assert rig.kinds(ACTIVE) == ["UNREACHABLE"]
    assert rig.events[ACTIVE][0].status == RejectReason.TIMEOUT
    assert connection.state is ConnectionState.CLOSED
    assert len(rig.active) == 0


def test_a_peer_that_gives_up_withdraws_its_request() -> None:
    rig = Rig(config=CmConfig(max_retries=0))
    rig.owners[PASSIVE] = lambda event: None
    rig.lose = first(CmMra, 100)
    rig.connect()
    rig.run(1000 * MS)
    assert rig.kinds(PASSIVE) == ["CONNECT_REQUEST", "REJECTED"]
    assert rig.events[PASSIVE][1].status == RejectReason.TIMEOUT
    rig.passive.accept(rig.requested(), parameters=rig.parameters())
    rig.finish()
    assert rig.log == ["REQ", "REJ"]


def test_an_accepted_peer_that_never_answers_is_unreachable() -> None:
    rig = Rig(config=CmConfig(max_retries=2))
    rig.lose = lambda source, message: isinstance(message, CmRep | CmRej)
    rig.connect()
    rig.finish()
    assert rig.kinds(PASSIVE) == ["CONNECT_REQUEST", "UNREACHABLE", "TIMEWAIT_EXIT"]
    assert rig.kinds(ACTIVE) == ["UNREACHABLE"]
    assert len(rig.active) == len(rig.passive) == 0
