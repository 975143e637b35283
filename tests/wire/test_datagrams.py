"""Frames to UDP datagrams: both IP versions, VLAN, and everything that carries none."""

from __future__ import annotations

from random import Random

import pytest

from wire.datagrams import datagram_of
from wire.ethernet import EthernetHeader, Ethertype, VlanTag
from wire.ip import IpProtocol, Ipv4Header, Ipv6Header
from wire.udp import UdpHeader

PAYLOAD = b"payload"
UDP = UdpHeader(source_port=49152, destination_port=4791, length=8 + len(PAYLOAD)).encode() + PAYLOAD
SIX = Ipv6Header(
    payload_length=len(UDP), next_header=IpProtocol.UDP, source=bytes(15) + b"\1", destination=bytes(15) + b"\2"
)


def ipv4(**fields: int) -> bytes:
    defaults = {"total_length": 20 + len(UDP), "protocol": IpProtocol.UDP, **fields}
    return Ipv4Header(source=b"\x7f\0\0\2", destination=b"\x7f\0\0\3", **defaults).encode() + UDP


def frame(ethertype: int, packet: bytes, *, padding: int = 0) -> bytes:
    return EthernetHeader(ethertype=ethertype).encode() + packet + bytes(padding)


def test_ipv4_datagram_is_found_without_ethernet_padding() -> None:
    found = datagram_of(frame(Ethertype.IPV4, ipv4(), padding=11))
    assert found is not None
    assert (found.source, found.source_port) == ("127.0.0.2", 49152)
    assert (found.destination, found.destination_port) == ("127.0.0.3", 4791)
    assert (bytes(found.payload), bytes(found.packet)) == (PAYLOAD, ipv4())


def test_ipv6_datagram_is_found() -> None:
    found = datagram_of(frame(Ethertype.IPV6, SIX.encode() + UDP))
    assert found is not None
    assert (found.source, found.destination, bytes(found.payload)) == ("::1", "::2", PAYLOAD)


def test_vlan_tag_is_stepped_over() -> None:
    tagged = VlanTag(vid=7, ethertype=Ethertype.IPV4).encode() + ipv4()
    found = datagram_of(frame(Ethertype.VLAN, tagged))
    assert found is not None
    assert bytes(found.payload) == PAYLOAD


@pytest.mark.parametrize(
    "packet",
    [
        frame(Ethertype.ARP, bytes(28)),
        frame(Ethertype.IPV4, ipv4(protocol=IpProtocol.TCP)),
        frame(Ethertype.IPV4, ipv4(more_fragments=1)),
        frame(Ethertype.IPV4, ipv4(fragment_offset=185)),
        frame(Ethertype.IPV4, ipv4(total_length=24)),
        frame(Ethertype.IPV6, Ipv6Header(next_header=IpProtocol.ICMPV6, payload_length=8).encode() + bytes(8)),
    ],
)
def test_frames_without_a_whole_datagram_give_none(packet: bytes) -> None:
    assert datagram_of(packet) is None


@pytest.mark.parametrize("whole", [frame(Ethertype.IPV4, ipv4()), frame(Ethertype.IPV6, SIX.encode() + UDP)])
def test_every_truncation_gives_none(whole: bytes) -> None:
    assert [size for size in range(len(whole)) if datagram_of(whole[:size])] == []


def test_random_frames_never_raise() -> None:
    rng = Random(6)
    whole = frame(Ethertype.IPV4, ipv4())
    for _ in range(3000):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[int(rng.random() * len(damaged))] = int(rng.random() * 256)
        datagram_of(damaged)
