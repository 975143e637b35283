"""Every RoCE packet that two Linux machines sent parses, verifies and is encoded to the same bytes."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.captures.frames import CAPTURES, frames, roce_packets
from wire.errors import WireError
from wire.ethernet import EthernetHeader
from wire.ip import Ipv4Header, ipv4_checksum
from wire.roce import ICRC_SIZE, Aeth, Opcode, Reth, icrc, parse_packet, stored_icrc
from wire.udp import UdpHeader

TRANSPORT = Ipv4Header.SIZE + UdpHeader.SIZE
each_capture = pytest.mark.parametrize("capture", CAPTURES)


def test_the_captures_hold_1340_roce_packets() -> None:
    assert sum(len(list(roce_packets(capture))) for capture in CAPTURES) == 1340


@each_capture
def test_every_icrc_verifies(capture: str) -> None:
    wrong = [number for number, packet in roce_packets(capture) if icrc(packet) != stored_icrc(packet)]
    assert wrong == []


@each_capture
def test_a_changed_bit_breaks_the_icrc_unless_routers_may_change_it(capture: str) -> None:
    _, packet = next(roce_packets(capture))
    variant = {1, 8, 10, 11, 26, 27, 32}
    for offset in range(len(packet) - ICRC_SIZE):
        if offset in (0, 9):
            continue
        changed = bytearray(packet)
        changed[offset] ^= 0x20
        assert (icrc(changed) == stored_icrc(changed)) == (offset in variant), offset


@each_capture
def test_every_packet_is_encoded_to_the_same_bytes(capture: str) -> None:
    for number, packet in roce_packets(capture):
        again = [
            Ipv4Header.decode(packet).encode(),
            UdpHeader.decode(packet, Ipv4Header.SIZE).encode(),
            parse_packet(packet[TRANSPORT:]).encode(),
        ]
        assert b"".join(again) == packet, number


@each_capture
def test_every_frame_and_ip_header_is_encoded_to_the_same_bytes(capture: str) -> None:
    for frame in frames(capture):
        assert EthernetHeader.decode(frame).encode() == frame[: EthernetHeader.SIZE]
    for _, packet in roce_packets(capture):
        assert ipv4_checksum(packet[: Ipv4Header.SIZE]) == 0


@each_capture
def test_every_truncation_of_every_kind_of_packet_is_a_wire_error_or_a_shorter_payload(capture: str) -> None:
    kinds = {parse_packet(packet[TRANSPORT:]).bth.opcode: packet[TRANSPORT:] for _, packet in roce_packets(capture)}
    for packet in kinds.values():
        info = parse_packet(packet).info
        for size in range(min(len(packet), 200)):
            if size < info.headers_bytes + ICRC_SIZE:
                with pytest.raises(WireError):
                    parse_packet(memoryview(packet)[:size])
            else:
                parse_packet(memoryview(packet)[: size + packet[1] // 16 % 4])


def test_the_captures_show_these_opcodes() -> None:
    seen = Counter(parse_packet(packet[TRANSPORT:]).info.opcode for c in CAPTURES for _, packet in roce_packets(c))
    assert {
        Opcode.RC_SEND_ONLY, Opcode.RC_SEND_FIRST, Opcode.RC_SEND_MIDDLE, Opcode.RC_SEND_LAST, Opcode.RC_WRITE_ONLY,
        Opcode.RC_WRITE_FIRST, Opcode.RC_READ_REQUEST, Opcode.RC_READ_RESPONSE_FIRST, Opcode.RC_READ_RESPONSE_LAST,
        Opcode.RC_READ_RESPONSE_ONLY, Opcode.RC_ACKNOWLEDGE, Opcode.RC_ATOMIC_ACKNOWLEDGE, Opcode.RC_COMPARE_SWAP,
        Opcode.RC_FETCH_ADD, Opcode.RC_SEND_ONLY_INV, Opcode.UD_SEND_ONLY,
    } <= set(seen)  # fmt: skip


@each_capture
def test_headers_hold_what_linux_is_known_to_send(capture: str) -> None:
    for number, packet in roce_packets(capture):
        roce = parse_packet(packet[TRANSPORT:])
        assert (roce.bth.tver, roce.bth.pkey, roce.bth.mig_req) == (0, 0xFFFF, 0), number
        assert not any(roce.padding), number
        aeth, reth = roce.find(Aeth), roce.find(Reth)
        assert aeth is None or aeth.syndrome in (0x1F, 0x60) or aeth.syndrome >> 5 == 1, number
        assert reth is None or reth.length <= 1 << 16, number


def test_fields_of_a_captured_read_request_by_name() -> None:
    fields = next(
        found.fields()
        for _, packet in roce_packets("linux-mtu1500")
        if (found := parse_packet(packet[TRANSPORT:])).info.opcode is Opcode.RC_READ_REQUEST
    )
    assert list(fields)[-3:] == ["Reth.va", "Reth.rkey", "Reth.length"]
    assert fields["Bth.pkey"] == 0xFFFF
