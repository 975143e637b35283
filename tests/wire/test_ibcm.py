"""CM messages: the captured ones, and a round trip of each kind through its MAD."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.captures.frames import CAPTURES, roce_packets
from wire.errors import WireError
from wire.ibcm import (
    CM_MESSAGES,
    CmDreq,
    CmMessage,
    CmRep,
    CmReq,
    IpCmHeader,
    MadHeader,
    address_bytes,
    address_text,
    build_mad,
    gid_bytes,
    gid_text,
    parse_mad,
    service_id,
)
from wire.mad import GSI_QKEY, GSI_QPN
from wire.roce import Deth, Opcode, parse_packet

CLIENT, SERVER = "10.77.0.3", "10.77.0.2"


def cm_messages(capture: str) -> dict[int, tuple[MadHeader, CmMessage]]:
    """Every captured CM message by frame number."""
    found = {}
    for number, packet in roce_packets(capture):
        roce = parse_packet(packet[28:])
        if roce.bth.dest_qp == GSI_QPN:
            deth = roce.find(Deth)
            assert deth is not None
            assert (roce.info.opcode, deth.qkey, deth.source_qp) == (Opcode.UD_SEND_ONLY, GSI_QKEY, GSI_QPN)
            found[number] = parse_mad(roce.payload)
    return found


@pytest.mark.parametrize("capture", CAPTURES)
def test_every_captured_message_is_encoded_to_the_same_bytes(capture: str) -> None:
    messages = cm_messages(capture)
    assert len(messages) == 20
    raw = {number: parse_packet(packet[28:]).payload for number, packet in roce_packets(capture) if number in messages}
    for number, (header, message) in messages.items():
        assert build_mad(message, header.transaction_id) == raw[number]


@pytest.mark.parametrize("capture", CAPTURES)
def test_captured_conversations_are_request_reply_ready_release(capture: str) -> None:
    conversations: dict[int, list[str]] = {}
    for header, message in cm_messages(capture).values():
        conversations.setdefault(header.transaction_id, []).append(type(message).__name__)
    assert list(conversations.values()) == [["CmReq", "CmRep", "CmRtu", "CmDreq", "CmDrep"]] * 4


@pytest.mark.parametrize("capture", CAPTURES)
def test_captured_requests_hold_what_linux_is_known_to_send(capture: str) -> None:
    ports = []
    for _, request in cm_messages(capture).values():
        if not isinstance(request, CmReq):
            continue
        inner = IpCmHeader.decode(request.private_data)
        assert (inner.cma_major, inner.cma_minor, inner.ip_version) == (0, 0, 4)
        assert address_text(inner.source_address, 4) == gid_text(request.primary_local_gid) == CLIENT
        assert address_text(inner.destination_address, 4) == gid_text(request.primary_remote_gid) == SERVER
        port = request.service_id & 0xFFFF
        ports.append(port)
        assert request.service_id == service_id(port)
        assert request.primary_flow_label == (inner.source_port * 31 + port) & 0xFFFFF
        assert (request.remote_cm_response_timeout, request.local_cm_response_timeout) == (20, 20)
        assert (request.max_cm_retries, request.retry_count, request.rnr_retry_count) == (15, 7, 7)
        assert (request.primary_local_ack_timeout, request.primary_hop_limit) == (19, 64)
        assert (request.primary_local_lid, request.primary_remote_lid) == (0xFFFF, 0xFFFF)
        assert request.path_mtu == {"linux-mtu1500": 3, "linux-mtu9000": 5}[capture]
        assert request.alternate_local_gid == bytes(16)
    assert ports == [7174, 4420, 4420, 4420]


def test_a_captured_conversation_decodes_to_known_values() -> None:
    messages = cm_messages("linux-mtu1500")
    _, request = messages[35]
    _, reply = messages[36]
    _, release = messages[74]
    assert isinstance(request, CmReq)
    assert isinstance(reply, CmRep)
    assert isinstance(release, CmDreq)
    assert (request.local_comm_id, request.local_qpn, request.starting_psn) == (0x96226BB4, 17, 10213696)
    assert (reply.remote_comm_id, reply.local_comm_id, reply.local_qpn) == (0x96226BB4, 2219025583, 18)
    assert (reply.target_ack_delay, reply.responder_resources, reply.initiator_depth) == (15, 1, 1)
    assert release.remote_qpn == 18


@pytest.mark.parametrize("kind", CM_MESSAGES.values(), ids=lambda kind: kind.__name__)
def test_each_message_survives_its_mad_and_no_truncation_of_it(kind: type[CmMessage]) -> None:
    message = kind(private_data=bytes(range(1, 256))[: len(kind().private_data)])
    mad = build_mad(message, 0x1122334455667788)
    header, again = parse_mad(mad)
    assert (header.transaction_id, again) == (0x1122334455667788, message)
    assert CM_MESSAGES[header.attribute] is kind
    for size in range(256):
        with pytest.raises(WireError):
            parse_mad(memoryview(mad)[:size])


@pytest.mark.parametrize(("offset", "value"), [(1, 3), (2, 1), (3, 0x81), (17, 0x0F), (16, 1)])
def test_a_mad_that_is_no_cm_message_is_a_wire_error(offset: int, value: int) -> None:
    mad = bytearray(build_mad(CmReq(), 1))
    mad[offset] = value
    with pytest.raises(WireError):
        parse_mad(mad)


@given(content=st.binary(min_size=256, max_size=256), kind=st.sampled_from(list(CM_MESSAGES)))
def test_any_content_decodes_and_only_reserved_bits_are_lost(content: bytes, kind: int) -> None:
    mad = bytearray(content)
    mad[1:4] = bytes([7, 2, 3])
    mad[16:18] = kind.to_bytes(2, "big")
    header, message = parse_mad(mad)
    _, again = parse_mad(build_mad(message, header.transaction_id))
    assert again == message


def test_service_ids_and_addresses_are_those_of_rdma_cm() -> None:
    assert service_id(4420).to_bytes(8, "big") == bytes.fromhex("0000000001061144")
    assert gid_bytes("10.0.0.1") == bytes.fromhex("00000000000000000000ffff0a000001")
    assert address_bytes("10.0.0.1") == bytes.fromhex("0000000000000000000000000a000001")
    for address in ("127.0.0.2", "fe80::1", "::1"):
        assert gid_text(gid_bytes(address)) == address
        assert address_text(address_bytes(address), 6 if ":" in address else 4) == address
