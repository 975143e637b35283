"""How connections begin: the three messages, what is lost of them, and who says no."""

import random

import pytest

from stacks.rdma.cm import CmConfig, CmEvent, CmEventType, ConnectionManager, ConnectionParameters, ConnectionState
from stacks.runtime import LocalError
from tests.stacks.rdma.cm.rig import ACTIVE, MS, PASSIVE, SERVICE, Rig, first
from wire.ibcm import (
    CmMra,
    CmRej,
    CmRep,
    CmReq,
    CmRtu,
    CmSidrRep,
    CmSidrReq,
    RejectReason,
    build_mad,
    parse_mad,
    service_id,
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


def test_a_service_that_nobody_listens_on_is_rejected_with_reason_8() -> None:
    rig = Rig()
    rig.active.connect(PASSIVE, service_id(4421), parameters=rig.parameters())
    rig.run(5 * MS)
    assert rig.log == ["REQ", "REJ"]
    assert rig.kinds(ACTIVE) == ["REJECTED"]
    assert rig.events[ACTIVE][0].status == RejectReason.INVALID_SERVICE_ID
    assert rig.kinds(PASSIVE) == []


def test_a_service_that_is_no_longer_listened_on_is_rejected() -> None:
    rig = Rig()
    rig.passive.stop_listening(SERVICE)
    rig.connect()
    rig.run(5 * MS)
    assert rig.events[ACTIVE][0].status == RejectReason.INVALID_SERVICE_ID
    with pytest.raises(LocalError, match="not listened on"):
        rig.passive.stop_listening(SERVICE)


def test_an_owner_rejects_with_private_data_as_nvme_does() -> None:
    rig = Rig()
    nvme_reject = bytes([0, 0, 7, 0])
    rig.owners[PASSIVE] = lambda event: rig.passive.reject(event.connection, private_data=nvme_reject)
    connection = rig.connect()
    rig.run(5 * MS)
    (event,) = rig.events[ACTIVE]
    assert event == CmEvent(CmEventType.REJECTED, connection, RejectReason.CONSUMER, nvme_reject.ljust(148, b"\0"))
    assert len(rig.active) == len(rig.passive) == 0


def test_a_lost_rejection_is_repeated_when_the_request_is() -> None:
    rig = Rig()
    rig.lose = first(CmRej)
    rig.owners[PASSIVE] = lambda event: rig.passive.reject(event.connection)
    rig.connect()
    rig.run(500 * MS)
    assert rig.kinds(ACTIVE) == ["REJECTED"]


def test_an_active_owner_may_reject_the_reply() -> None:
    rig = Rig()
    rig.owners[ACTIVE] = lambda event: (
        rig.active.reject(event.connection) if event.kind is CmEventType.CONNECT_RESPONSE else None
    )
    rig.connect()
    rig.finish()
    assert rig.kinds(ACTIVE) == ["CONNECT_RESPONSE", "TIMEWAIT_EXIT"]
    assert rig.kinds(PASSIVE) == ["CONNECT_REQUEST", "REJECTED", "TIMEWAIT_EXIT"]


def test_a_full_backlog_is_rejected_with_reason_3_and_empties_with_each_answer() -> None:
    rig = Rig()
    rig.passive.listen(0xABCD, backlog=1)
    rig.owners[PASSIVE] = lambda event: None
    for _ in range(2):
        rig.active.connect(PASSIVE, 0xABCD, parameters=rig.parameters())
    rig.run(5 * MS)
    assert [event.status for event in rig.events[ACTIVE]] == [RejectReason.NO_RESOURCES]
    rig.passive.accept(rig.requested(), parameters=rig.parameters())
    rig.run(5 * MS)
    rig.active.connect(PASSIVE, 0xABCD, parameters=rig.parameters())
    rig.run(5 * MS)
    assert rig.kinds(PASSIVE) == ["CONNECT_REQUEST", "ESTABLISHED", "CONNECT_REQUEST"]


def request(**fields: int) -> CmReq:
    defaults = {"local_comm_id": 9, "service_id": 0xABCD, "local_qpn": 3, "path_mtu": 3}
    return CmReq(**{**defaults, **fields})  # type: ignore[arg-type]


def answer_to(message: CmReq | CmRep | CmSidrReq) -> CmRej | CmSidrRep:
    passive = ConnectionManager(PASSIVE, rng=random.Random(1), config=CmConfig(max_path_mtu=2048))
    passive.listen(0xABCD)
    passive.listen(SERVICE)
    passive.handle_mad(ACTIVE, memoryview(build_mad(message, 1)), 0)
    item = passive.poll_mad(0)
    assert item is not None
    _, answer = parse_mad(item[1])
    assert isinstance(answer, CmRej | CmSidrRep)
    return answer


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"transport_type": 1}, RejectReason.INVALID_TRANSPORT_TYPE),
        ({"path_mtu": 0}, RejectReason.INVALID_MTU),
        ({"path_mtu": 5}, RejectReason.INVALID_MTU),
        ({"path_mtu": 6}, RejectReason.INVALID_MTU),
        ({"service_id": SERVICE}, RejectReason.UNSUPPORTED),
        ({"service_id": 1}, RejectReason.INVALID_SERVICE_ID),
    ],
)
def test_a_request_that_cannot_be_had_is_rejected_with_its_reason(fields: dict[str, int], reason: RejectReason) -> None:
    answer = answer_to(request(**fields))
    assert isinstance(answer, CmRej)
    assert (answer.reason, answer.remote_comm_id, answer.message_rejected) == (reason, 9, 0)


def test_a_reply_to_no_request_is_rejected_with_reason_6() -> None:
    answer = answer_to(CmRep(local_comm_id=5, remote_comm_id=6))
    assert isinstance(answer, CmRej)
    assert (answer.reason, answer.local_comm_id, answer.remote_comm_id) == (RejectReason.INVALID_COMM_ID, 6, 5)


def test_a_datagram_service_is_answered_as_unsupported() -> None:
    answer = answer_to(CmSidrReq(request_id=5, service_id=SERVICE))
    assert isinstance(answer, CmSidrRep)
    assert (answer.request_id, answer.status) == (5, 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"qpn": 1 << 24}, "qpn must be between"),
        ({"starting_psn": -1}, "starting_psn must be between"),
        ({"path_mtu": 1500}, "path_mtu must be one of 256, 512, 1024, 2048, 4096, not 1500"),
        ({"responder_resources": 256}, "responder_resources"),
        ({"rnr_retry": 8}, "rnr_retry"),
    ],
)
def test_parameters_out_of_range_are_a_local_error(changes: dict[str, int], reason: str) -> None:
    rig = Rig()
    parameters = ConnectionParameters(**{"qpn": 17, **changes})  # type: ignore[arg-type]
    with pytest.raises(LocalError, match=reason):
        rig.active.connect(PASSIVE, SERVICE, parameters=parameters)
    assert len(rig.active) == 0


def test_a_path_mtu_above_what_the_configuration_allows_is_a_local_error() -> None:
    rig = Rig(config=CmConfig(max_path_mtu=1024))
    with pytest.raises(LocalError, match="path_mtu is 2048, but max_path_mtu 1024"):
        rig.active.connect(PASSIVE, SERVICE, parameters=ConnectionParameters(qpn=17, path_mtu=2048))
    assert len(rig.active) == 0


def test_misuse_is_a_local_error_that_changes_nothing() -> None:
    rig = Rig()
    with pytest.raises(LocalError, match="not a numeric IP address"):
        rig.active.connect("localhost", SERVICE, parameters=rig.parameters())
    with pytest.raises(LocalError, match="one is IPv4, the other IPv6"):
        rig.active.connect("2001:db8::1", SERVICE, parameters=rig.parameters())
    with pytest.raises(LocalError, match="service_id must have 64 bits"):
        rig.active.connect(PASSIVE, 1 << 64, parameters=rig.parameters())
    with pytest.raises(LocalError, match="port 65536"):
        rig.active.connect(PASSIVE, SERVICE, parameters=rig.parameters(), source_port=65536)
    with pytest.raises(LocalError, match="57 bytes, but this message holds 56"):
        rig.connect(bytes(57))
    with pytest.raises(LocalError, match="listened on already"):
        rig.passive.listen(SERVICE)
    connection = rig.connect()
    with pytest.raises(LocalError, match="ESTABLISH is not possible in state REQ_SENT"):
        rig.active.establish(connection)
    with pytest.raises(LocalError, match="only a connection that was requested"):
        rig.active.accept(connection, parameters=rig.parameters())
    with pytest.raises(LocalError, match="not negotiated yet"):
        _ = connection.settings
    rig.run(5 * MS)
    assert connection.state is ConnectionState.ESTABLISHED
    assert connection.own is not None
    with pytest.raises(LocalError, match="is connected"):
        rig.active.connect(PASSIVE, SERVICE, parameters=connection.own)


def test_identifiers_follow_from_the_seed_alone() -> None:
    def identifiers(seed: int) -> tuple[int, int | None]:
        connection = Rig(seed).connect()
        assert connection.own is not None
        return connection.local_comm_id, connection.own.starting_psn

    assert identifiers(1) == identifiers(1)
    assert identifiers(1) != identifiers(3)


def test_a_rejection_with_an_impossible_reason_changes_nothing() -> None:
    rig = Rig()
    rig.owners[PASSIVE] = lambda event: None
    rig.connect()
    rig.run(MS)
    with pytest.raises(LocalError, match="reason must have 16 bits"):
        rig.passive.reject(rig.requested(), reason=1 << 16)
    assert rig.requested().state is ConnectionState.REQ_RCVD


def test_a_connection_says_what_it_is() -> None:
    rig = Rig()
    active, passive = rig.connected()
    assert repr(active) == f"<Connection {active.local_comm_id:#010x} to {PASSIVE} ESTABLISHED>"
    assert f"from {ACTIVE}" in repr(passive)
