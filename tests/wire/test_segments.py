"""Frames to TCP segments, and segments to the bytes of a connection: what Linux sent, and every disorder of it."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from tests.captures.frames import CAPTURES, frames
from wire.datagrams import ip_packet_of
from wire.ethernet import EthernetHeader, Ethertype
from wire.ip import IpProtocol, Ipv4Header, Ipv6Header
from wire.segments import Stream, segment_of
from wire.tcp import TcpFlag, TcpHeader, tcp_checksum

HEADER = TcpHeader(
    source_port=49152, destination_port=4420, sequence=7, acknowledgment=9, flags=TcpFlag.ACK | TcpFlag.PSH, window=512
)


def ethernet(ethertype: int, packet: bytes) -> bytes:
    return EthernetHeader(ethertype=ethertype).encode() + packet


def ipv4(payload: bytes, **fields: int) -> bytes:
    values = {"total_length": 20 + len(payload), "protocol": IpProtocol.TCP, **fields}
    packet = Ipv4Header(source=b"\x7f\0\0\2", destination=b"\x7f\0\0\3", **values).encode() + payload
    return ethernet(Ethertype.IPV4, packet)


@pytest.mark.parametrize("capture", CAPTURES)
def test_every_segment_of_linux_decodes_has_its_checksum_and_encodes_to_the_same_bytes(capture: str) -> None:
    seen = 0
    for frame in frames(capture):
        if (segment := segment_of(frame)) is None:
            continue
        ip = ip_packet_of(frame)
        assert ip is not None
        whole = bytes(ip.packet[ip.offset :])
        addresses = bytes(ip.packet[12:16]), bytes(ip.packet[16:20])
        assert tcp_checksum(*addresses, whole) == 0
        assert segment.header.encode() == whole[: TcpHeader.SIZE]
        assert whole.endswith(bytes(segment.payload))
        seen += 1
    assert seen > 100


def test_segment_is_found_behind_options_and_without_padding() -> None:
    header = TcpHeader(source_port=1, destination_port=2, data_offset=8)
    found = segment_of(ipv4(header.encode() + bytes(12) + b"data") + bytes(7))
    assert found is not None
    assert (found.sender, found.receiver, bytes(found.payload)) == (("127.0.0.2", 1), ("127.0.0.3", 2), b"data")


def test_segment_over_ipv6_is_found() -> None:
    packet = HEADER.encode() + b"six"
    header = Ipv6Header(
        payload_length=len(packet), next_header=IpProtocol.TCP, source=bytes(15) + b"\1", destination=bytes(15) + b"\2"
    )
    found = segment_of(ethernet(Ethertype.IPV6, header.encode() + packet))
    assert found is not None
    assert (found.sender, bytes(found.payload)) == (("::1", 49152), b"six")


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        ethernet(Ethertype.ARP, bytes(28)),
        ipv4(HEADER.encode(), protocol=IpProtocol.UDP),
        ipv4(HEADER.encode(), more_fragments=1),
        ipv4(HEADER.encode()[:-1]),
        ipv4(TcpHeader(data_offset=4).encode() + bytes(40)),
        ipv4(TcpHeader(data_offset=6).encode()),
    ],
    ids=["nothing", "ARP", "UDP", "fragment", "short", "header of 16 bytes", "header past the end"],
)
def test_what_is_no_whole_segment_gives_none(frame: bytes) -> None:
    assert segment_of(frame) is None


@pytest.mark.parametrize("first", [1000, (1 << 32) - 50])
@pytest.mark.parametrize("seed", range(20))
def test_bytes_come_out_in_order_however_segments_come(first: int, seed: int) -> None:
    rng = random.Random(seed)
    data = rng.randbytes(200)
    cuts = sorted({0, len(data), *(rng.randrange(len(data)) for _ in range(10))})
    segments = [(start, data[start:end]) for start, end in pairwise(cuts)]
    # Once more with other cuts, as a sender does that repeats itself.
    segments += [(start, data[start : start + 60]) for start in range(0, len(data), 40)]
    rng.shuffle(segments)
    stream, found = Stream(first), b""
    for start, payload in segments:
        found += b"".join(stream.take((first + start) % (1 << 32), payload))
        assert data.startswith(found)
    assert found == data


def test_stream_waits_for_what_is_missing() -> None:
    stream = Stream(0)
    assert [*stream.take(5, b"later")] == []
    assert [*stream.take(0, b"")] == []
    assert b"".join(stream.take(0, b"first")) == b"firstlater"
