"""Ethernet, IPv4, IPv6 and UDP on published and captured bytes."""

from __future__ import annotations

import pytest

from tests.captures.frames import frames
from wire.ethernet import EthernetHeader, Ethertype, VlanTag
from wire.ip import IpProtocol, Ipv4Header, Ipv6Header, ipv4_checksum
from wire.udp import UdpHeader, is_udp_checksum_right, udp_checksum


def test_a_captured_frame_decodes_to_known_values() -> None:
    frame = frames("linux-mtu1500")[34]
    ethernet = EthernetHeader.decode(frame)
    ip = Ipv4Header.decode(frame, EthernetHeader.SIZE)
    udp = UdpHeader.decode(frame, EthernetHeader.SIZE + Ipv4Header.SIZE)
    assert ethernet.ethertype == Ethertype.IPV4
    assert (ip.version, ip.ihl, ip.ttl, ip.protocol, ip.dont_fragment) == (4, 5, 64, IpProtocol.UDP, 1)
    assert (ip.source, ip.destination) == (bytes([10, 77, 0, 3]), bytes([10, 77, 0, 2]))
    assert (udp.destination_port, udp.length) == (4791, ip.total_length - Ipv4Header.SIZE)


def test_ipv4_checksum_of_a_header_with_its_checksum_is_zero() -> None:
    header = Ipv4Header(
        total_length=84, dont_fragment=1, protocol=1, source=b"\x0a\x4d\0\3", destination=b"\x0a\x4d\0\2"
    )
    header.checksum = ipv4_checksum(header.encode())
    assert ipv4_checksum(header.encode()) == 0
    assert Ipv4Header.decode(header.encode()) == header


def test_ipv6_header_of_a_published_packet() -> None:
    raw = bytes.fromhex("6e21face002c11ff20220000000000000000000000001023" + "20230000000000000000000000001024")
    header = Ipv6Header.decode(raw)
    assert (header.version, header.dscp, header.ecn, header.flow_label) == (6, 0x38, 2, 0x1FACE)
    assert (header.payload_length, header.next_header, header.hop_limit) == (44, IpProtocol.UDP, 255)
    assert header.encode() == raw


# The UDP checksums of the two UC SENDs in scapy's test/contrib/roce.uts, whose last four bytes are the ICRC.
PAYLOAD = bytes.fromhex("2460ffff000000d300cf17104630818be28935d90e9a95505401be885e500000")


@pytest.mark.parametrize(
    ("source", "destination", "checksum", "icrc"),
    [
        ("c0a80007", "c0a80007", 0xACA2, "78f353f3"),
        ("20220000000000000000000000001023", "20230000000000000000000000001024", 0xE7C5, "3e5b743b"),
    ],
)
def test_udp_checksum_covers_the_pseudo_header(source: str, destination: str, checksum: int, icrc: str) -> None:
    header = UdpHeader(source_port=0xC000, destination_port=4791, length=44)
    addresses = bytes.fromhex(source), bytes.fromhex(destination)
    datagram = header.encode() + PAYLOAD + bytes.fromhex(icrc)
    header.checksum = udp_checksum(*addresses, datagram)
    datagram = header.encode() + datagram[UdpHeader.SIZE :]
    assert is_udp_checksum_right(*addresses, datagram)
    assert not is_udp_checksum_right(*addresses, datagram[:-1] + b"\0")
    assert header.checksum == checksum


def test_a_udp_datagram_without_checksum_passes_and_a_zero_sum_is_sent_as_ones() -> None:
    datagram = UdpHeader(length=8).encode()
    assert is_udp_checksum_right(bytes(4), bytes(4), datagram)
    complement = 0xFFFF - (17 + 10 + 10)
    datagram = UdpHeader(length=10).encode() + complement.to_bytes(2, "big")
    assert udp_checksum(bytes(4), bytes(4), datagram) == 0xFFFF


def test_vlan_tag_fields() -> None:
    tag = VlanTag.decode(bytes.fromhex("a0058915"))
    assert (tag.pcp, tag.dei, tag.vid, tag.ethertype) == (5, 0, 5, Ethertype.ROCE_V1)
