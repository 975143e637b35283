"""RFC 9221: limits both ways, one packet each, and never again."""

from __future__ import annotations

from collections import deque

import pytest

from stacks.quic.configuration import Configuration
from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.events import DatagramReceived, Event
from stacks.quic.packet_writer import PacketWriter
from stacks.quic.streams import Datagrams
from stacks.quic.streams.datagrams import MAX_UNREAD_BYTES
from stacks.runtime import LocalError
from wire.quic.parameters import TransportParameters


def datagrams(own: int = 1000, peer: int = 1000) -> tuple[Datagrams, deque[Event]]:
    events: deque[Event] = deque()
    made = Datagrams(Configuration(max_datagram_frame_bytes=own), events=events)
    made.apply_peer_parameters(TransportParameters(max_datagram_frame_size=peer))
    return made, events


def written(source: Datagrams, size: int = 100) -> bytes:
    packet = PacketWriter(bytearray(size), 0, size)
    source.write_frames(packet, 0)
    assert packet.records == []
    return bytes(packet.buffer[: packet.offset])


def test_each_is_a_frame_with_its_length() -> None:
    source, _ = datagrams()
    source.send(b"ab")
    source.send(bytearray(b"cde"))
    assert written(source) == b"\x31\x02ab\x31\x03cde"  # RFC 9221 4: type 0x31 has a length
    assert not source.has_frames


def test_the_peers_limit_counts_type_and_length() -> None:
    source, _ = datagrams(peer=10)
    source.send(bytes(8))
    with pytest.raises(LocalError, match="a datagram of 9 bytes makes a frame of 11: the peer takes 10"):
        source.send(bytes(9))
    none, _ = datagrams(peer=0)
    with pytest.raises(LocalError, match="takes no datagrams"):
        none.send(b"")


def test_one_that_does_not_fit_behind_other_frames_waits_and_one_that_fits_no_packet_is_dropped() -> None:
    source, _ = datagrams()
    for size in (60, 60, 200, 5):
        source.send(bytes(size))
    assert len(written(source)) == 62
    assert source.has_frames
    assert len(written(source)) == 62
    assert len(written(source)) == 7
    assert source.dropped == 1
    assert not source.has_frames


@pytest.mark.parametrize("limit", [0, 9])
def test_larger_than_announced_is_a_protocol_violation(limit: int) -> None:
    source, events = datagrams(own=limit)
    if limit:
        source.handle_datagram(memoryview(bytes(7)), limit, 0)
        assert list(events) == [DatagramReceived(bytes(7))]
    with pytest.raises(QuicError) as error:
        source.handle_datagram(memoryview(bytes(8)), limit + 1, 0)
    assert error.value.code == TransportErrorCode.PROTOCOL_VIOLATION


def test_an_application_that_takes_nothing_loses_datagrams_and_no_memory() -> None:
    source, events = datagrams()
    for _ in range(20_000):
        source.handle_datagram(memoryview(b"x"), 3, 0)
    kept = len(events)
    assert kept * 129 <= MAX_UNREAD_BYTES < (kept + 1) * 129
    assert source.dropped == 20_000 - kept
    event = events.popleft()
    assert isinstance(event, DatagramReceived)
    source.taken(event)
    source.handle_datagram(memoryview(b"y"), 3, 0)
    assert events[-1] == DatagramReceived(b"y")


def test_what_waits_to_be_sent_is_bounded_and_the_oldest_make_room() -> None:
    source, _ = datagrams(peer=65_535)
    for index in range(40):
        source.send(bytes((index,)) + bytes(49_999))
    assert source.dropped == 40 - (1 << 20) // 50_000
    assert written(source, 60_000)[5] == source.dropped  # behind the type and a length of four bytes
