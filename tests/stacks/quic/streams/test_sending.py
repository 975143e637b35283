"""What goes into packets: frames that fill them, what is sent again after a loss, and what is not."""

from __future__ import annotations

from collections.abc import Iterator

from stacks.quic.packet_writer import PacketWriter
from tests.stacks.quic.streams.ends import End, Packet, exchange, pair
from wire.quic.frame_types import FRAME_STREAM, STREAM_FIN, STREAM_LEN, decode_type
from wire.quic.stream_frames import decode_stream

FULL = 298 + 296 + 296
"""Bytes of a stream that fill three packets of 300: headers of two bytes, and of four with the offset."""


def stream_frames(payload: bytes) -> Iterator[tuple[int, int, int, int, bool]]:
    """Type, stream, offset, length and FIN of the STREAM frames of a payload that has no others."""
    view, at = memoryview(payload), 0
    while at < len(view):
        kind, at = decode_type(view, at)
        if kind:
            stream_id, offset, data, is_fin, at = decode_stream(kind, view, at)
            yield kind, stream_id, offset, len(data), is_fin


def sent(end: End, size: int = 300) -> tuple[Packet, list[tuple[int, int, int, bool]]]:
    packet = end.packet(size)
    assert packet is not None
    return packet, [frame[1:] for frame in stream_frames(packet.payload)]


def test_a_frame_that_fills_the_packet_has_no_length_and_any_other_has() -> None:
    client, _ = pair()
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, bytes(500))
    first, last = client.packet(300), client.packet(300)
    assert first is not None
    assert last is not None
    (kind, *_, length, _), = stream_frames(first.payload)
    assert not kind & STREAM_LEN
    assert (length, len(first.payload)) == (298, 300)  # type and stream are a byte each, RFC 9000 19.8
    (kind, _, offset, length, _), = stream_frames(last.payload)
    assert kind & STREAM_LEN  # padding follows, which must not become data
    assert (offset, length) == (298, 202)


def test_no_size_of_room_loses_or_repeats_a_byte() -> None:
    for size in range(20, 90):
        client, server = pair()
        stream_id = client.streams.open(True)
        data = bytes(range(1, 251))
        client.streams.write(stream_id, data, is_fin=True)
        exchange(client, server, size=size)
        assert server.streams.read(stream_id, 999) == data
        assert server.streams.is_finished(stream_id)


def test_only_what_was_lost_is_sent_again() -> None:
    client, _ = pair()
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, bytes(FULL))
    packets = [sent(client)[0] for _ in range(3)]
    assert not client.streams.has_frames
    packets[0].lost()
    packets[1].acked()
    packets[2].lost()
    assert sent(client)[1] == [(stream_id, 0, 298, False)]
    assert sent(client)[1] == [(stream_id, 298 + 296, 296, False)]
    assert not client.streams.has_frames


def test_what_arrives_late_is_not_sent_again() -> None:
    client, _ = pair()
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, bytes(100), is_fin=True)
    packet, _ = sent(client)
    packet.lost()
    assert client.streams.has_frames
    packet.acked()
    assert not client.streams.has_frames
    assert client.streams.is_sent(stream_id)


def test_what_arrived_late_behind_a_gap_is_not_sent_a_third_time() -> None:
    client, _ = pair()
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, bytes(FULL))
    packets = [sent(client)[0] for _ in range(3)]
    packets[1].lost()
    again, frames = sent(client)
    assert frames == [(stream_id, 298, 296, False)]
    packets[1].acked()
    again.lost()
    assert not client.streams.has_frames


def test_an_end_that_was_alone_in_its_frame_is_sent_again() -> None:
    client, _ = pair()
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, b"x")
    sent(client)[0].acked()
    client.streams.write(stream_id, b"", is_fin=True)
    packet, frames = sent(client)
    assert frames == [(stream_id, 1, 0, True)]
    packet.lost()
    packet, frames = sent(client)
    assert frames == [(stream_id, 1, 0, True)]
    packet.acked()
    packet.lost()  # a probe had sent it again: nothing comes of that
    assert client.packet() is None
    assert client.streams.is_sent(stream_id)


def test_the_end_goes_with_the_last_bytes_whenever_they_are_sent() -> None:
    client, _ = pair()
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, b"abc", is_fin=True)
    packet, frames = sent(client)
    assert frames == [(stream_id, 0, 3, True)]
    packet.lost()
    packet, frames = sent(client)
    assert frames == [(stream_id, 0, 3, True)]


def test_bytes_are_forgotten_when_everything_before_them_was_acknowledged() -> None:
    client, _ = pair()
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, bytes(FULL))
    packets = [sent(client)[0] for _ in range(3)]
    packets[1].acked()
    assert client.streams.unacked_bytes(stream_id) == FULL
    packets[0].acked()
    assert client.streams.unacked_bytes(stream_id) == 296
    packets[2].acked()
    assert client.streams.unacked_bytes(stream_id) == 0


def test_a_sliver_of_room_is_left_for_others() -> None:
    client, _ = pair()
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, bytes(100))
    writer = PacketWriter(bytearray(40), 0, 40)
    writer.put(bytes(30))
    client.streams.write_frames(writer, 0)
    assert writer.offset == 30
    assert client.streams.has_frames


def test_type_bits_are_those_of_the_document() -> None:
    client, _ = pair()
    stream_id = client.streams.open(True)
    client.streams.write(stream_id, b"x", is_fin=True)
    packet = client.packet(300, pad=0)
    assert packet is not None
    assert packet.payload == bytes((FRAME_STREAM | STREAM_LEN | STREAM_FIN, stream_id, 1)) + b"x"  # RFC 9000 19.8
