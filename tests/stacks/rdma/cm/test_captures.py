"""The connection messages that two Linux machines exchanged, played to our manager in the part of either."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from stacks.rdma.cm import CmConfig, CmEventType, ConnectionManager, ConnectionParameters, ConnectionState
from tests.captures.frames import CAPTURES, roce_packets
from wire.ibcm import CmDrep, CmDreq, CmMessage, CmRep, CmReq, CmRtu, build_mad, parse_mad, service_id
from wire.ip import Ipv4Header
from wire.roce import Deth, Opcode, parse_packet
from wire.udp import UdpHeader

HOST, TARGET = "10.77.0.3", "10.77.0.2"
RPING, NVME = service_id(7174), service_id(4420)
TRANSPORT = Ipv4Header.SIZE + UdpHeader.SIZE
each_capture = pytest.mark.parametrize("capture", CAPTURES)


def mads(capture: str) -> Iterator[tuple[str, bytes]]:
    """Who sent it, and the MAD."""
    for _, packet in roce_packets(capture):
        roce = parse_packet(packet[TRANSPORT:])
        if roce.bth.opcode == Opcode.UD_SEND_ONLY and roce.bth.dest_qp == 1:
            assert roce.find(Deth) is not None
            yield ".".join(map(str, packet[12:16])), roce.payload


def first_psn(capture: str, sender: str, dest_qpn: int) -> int:
    """The PSN of the first RC request that `sender` addresses to a queue pair."""
    for _, packet in roce_packets(capture):
        bth = parse_packet(packet[TRANSPORT:]).bth
        is_request = bth.opcode < Opcode.RC_READ_RESPONSE_FIRST
        if ".".join(map(str, packet[12:16])) == sender and bth.dest_qp == dest_qpn and is_request:
            return bth.psn
    raise AssertionError(f"nothing is sent to QP {dest_qpn}")


def answered_as_recorded(message: CmMessage, ours: int) -> bytes:
    """A recorded message of the host, with our communication ID in place of the target's."""
    assert isinstance(message, CmRtu | CmDreq | CmDrep)
    message.remote_comm_id = ours
    return build_mad(message, 1)


@each_capture
def test_our_target_connects_the_recorded_host_and_lets_it_go(capture: str) -> None:
    manager = ConnectionManager(TARGET, rng=random.Random(1))
    for service in (RPING, NVME):
        manager.listen(service)
    ids: dict[int, int] = {}
    told: list[str] = []
    for sender, mad in mads(capture):
        if sender != HOST:
            continue
        _, message = parse_mad(mad)
        if not isinstance(message, CmReq):
            mad = answered_as_recorded(message, ids[message.local_comm_id])  # type: ignore[union-attr]
            if isinstance(message, CmDreq):
                parsed = parse_mad(mad)[1]
                assert isinstance(parsed, CmDreq)
                parsed.remote_qpn = own_qpn(parsed.remote_comm_id)
                mad = build_mad(parsed, 1)
        manager.handle_mad(HOST, memoryview(mad), 0)
        while (event := manager.poll_event()) is not None:
            told.append(event.kind.name)
            if event.kind is CmEventType.CONNECT_REQUEST:
                ours = event.connection.local_comm_id
                ids[event.connection.remote_comm_id] = ours
                manager.accept(event.connection, parameters=ConnectionParameters(qpn=own_qpn(ours)))
    count = told.count("CONNECT_REQUEST")
    assert count == 4
    assert told.count("ESTABLISHED") == told.count("DISCONNECTED") == count
    assert manager.counters.cm_malformed == manager.counters.cm_unexpected == manager.counters.cm_unmatched == 0


def own_qpn(comm_id: int) -> int:
    """A queue pair number of ours for each connection."""
    return comm_id & 0xFFFFFF


@each_capture
def test_the_recorded_requests_say_what_the_machines_then_did(capture: str) -> None:
    requests = [message for _, mad in mads(capture) if isinstance(message := parse_mad(mad)[1], CmReq)]
    replies = [message for _, mad in mads(capture) if isinstance(message := parse_mad(mad)[1], CmRep)]
    for request, reply in zip(requests, replies, strict=True):
        manager = ConnectionManager(TARGET, rng=random.Random(1))
        manager.listen(request.service_id)
        manager.handle_mad(HOST, memoryview(build_mad(request, 1)), 0)
        event = manager.poll_event()
        assert event is not None
        manager.accept(
            event.connection,
            parameters=ConnectionParameters(qpn=reply.local_qpn, starting_psn=reply.starting_psn),
        )
        settings = event.connection.settings
        assert settings.destination == HOST
        assert settings.path_mtu == {"linux-mtu1500": 1024, "linux-mtu9000": 4096}[capture]
        assert (settings.retry_cnt, settings.rnr_retry, settings.timeout) == (7, 7, 19)
        assert settings.dest_qpn == request.local_qpn
        assert settings.sq_psn == first_psn(capture, TARGET, request.local_qpn)
        assert settings.rq_psn == first_psn(capture, HOST, reply.local_qpn)
        assert len(event.private_data) == 56


@each_capture
def test_our_host_understands_the_recorded_reply(capture: str) -> None:
    replies = [message for _, mad in mads(capture) if isinstance(message := parse_mad(mad)[1], CmRep)]
    for reply in replies:
        manager = ConnectionManager(HOST, rng=random.Random(1))
        connection = manager.connect(TARGET, NVME, parameters=ConnectionParameters(qpn=17, starting_psn=5))
        reply.remote_comm_id = connection.local_comm_id
        manager.handle_mad(TARGET, memoryview(build_mad(reply, 1)), 0)
        event = manager.poll_event()
        assert event is not None
        assert event.kind is CmEventType.CONNECT_RESPONSE
        manager.establish(connection)
        assert connection.state is ConnectionState.ESTABLISHED
        settings = connection.settings
        assert (settings.dest_qpn, settings.sq_psn, settings.rq_psn) == (reply.local_qpn, reply.starting_psn, 5)
        assert settings.max_rd_atomic == min(16, reply.responder_resources)
        assert settings.max_dest_rd_atomic == min(16, reply.initiator_depth)


@each_capture
def test_our_request_is_the_recorded_one_but_for_its_ids(capture: str) -> None:
    recorded = next(mad for _, mad in mads(capture) if isinstance(parse_mad(mad)[1], CmReq))
    header, message = parse_mad(recorded)
    assert isinstance(message, CmReq)
    path_mtu = {"linux-mtu1500": 1024, "linux-mtu9000": 4096}[capture]
    manager = ConnectionManager(HOST, rng=random.Random(1), config=CmConfig.as_linux())
    manager.connect(
        TARGET,
        message.service_id,
        parameters=ConnectionParameters(
            qpn=message.local_qpn,
            starting_psn=message.starting_psn,
            path_mtu=path_mtu,
            responder_resources=message.responder_resources,
            initiator_depth=message.initiator_depth,
            ack_timeout=19,
        ),
        source_port=int.from_bytes(message.private_data[2:4], "big"),
    )
    item = manager.poll_mad(0)
    assert item is not None
    _, ours = parse_mad(item[1])
    assert isinstance(ours, CmReq)
    ours.local_comm_id, ours.local_ca_guid = message.local_comm_id, message.local_ca_guid
    assert build_mad(ours, header.transaction_id) == recorded


@each_capture
def test_our_answers_are_the_recorded_ones_but_for_their_ids(capture: str) -> None:
    """Target and host, played to each other with the recorded queue pairs, say what Linux said (IBTA 12.6)."""
    recorded = [mad for _, mad in mads(capture)]
    request = next(message for mad in recorded if isinstance(message := parse_mad(mad)[1], CmReq))
    manager = ConnectionManager(TARGET, rng=random.Random(1), config=CmConfig.as_linux())
    manager.listen(request.service_id)
    manager.handle_mad(HOST, memoryview(build_mad(request, 1)), 0)
    event = manager.poll_event()
    assert event is not None
    reply_mad = next(mad for mad in recorded if answers(mad, request.local_comm_id, CmRep))
    header, reply = parse_mad(reply_mad)
    assert isinstance(reply, CmRep)
    manager.accept(
        event.connection,
        parameters=ConnectionParameters(
            qpn=reply.local_qpn,
            starting_psn=reply.starting_psn,
            responder_resources=reply.responder_resources,
            initiator_depth=reply.initiator_depth,
            rnr_retry=reply.rnr_retry_count,
        ),
        private_data=reply.private_data,
    )
    item = manager.poll_mad(0)
    assert item is not None
    _, ours = parse_mad(item[1])
    assert isinstance(ours, CmRep)
    ours.local_comm_id, ours.local_ca_guid = reply.local_comm_id, reply.local_ca_guid
    assert build_mad(ours, header.transaction_id) == reply_mad


def answers(mad: bytes, comm_id: int, kind: type[CmMessage]) -> bool:
    message = parse_mad(mad)[1]
    return isinstance(message, kind) and getattr(message, "remote_comm_id", None) == comm_id
