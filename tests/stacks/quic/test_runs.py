"""What is remembered and asked of runs, alone: one object for many packets, ends of streams, pieces of data."""

from __future__ import annotations

import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.quic.configuration import Configuration
from stacks.quic.connection.receiving_runs import decode_head
from stacks.quic.connection.sending_runs import write_run
from stacks.quic.events import Event, StreamWritable
from stacks.quic.levels import SPACE_APPLICATION
from stacks.quic.recovery import PathCongestion, SentPacket
from stacks.quic.recovery.sent_packet import SentRun
from stacks.quic.streams import Streams
from stacks.quic.streams.outgoing import LOW_WATER_BYTES
from stacks.quic.streams.send_buffer import SendBuffer
from tests.stacks.quic.rig import Rig, events_of
from wire.quic.parameters import TransportParameters
from wire.quic.stream_frames import decode_stream, write_stream_header

MS = 1_000_000


class Frame:
    def __init__(self, start: int, end: int) -> None:
        self.span = start, end

    def acked(self, now: int) -> None:
        """Nothing."""

    def lost(self, now: int) -> None:
        """Nothing."""


def test_a_packet_of_a_run_is_the_packet_that_would_have_been_sent_alone() -> None:
    paths = [PathCongestion(Configuration(), random.Random(1), now=0) for _ in range(2)]
    for path in paths:
        first = packet_on(path, 0, Frame(0, 900))
        path.sent(first, 3 * MS)
        path.delivery.acked(first, 9 * MS)
        path.sent(packet_on(path, 1, Frame(900, 1000)), 12 * MS)  # there is no run without anything in flight
        path.delivery.application_limited()
    single, together = paths
    alone = []
    for index in range(7):
        alone.append(packet_on(single, 10 + index, Frame(1000 + 900 * index, 1900 + 900 * index)))
        single.sent(alone[-1], 20 * MS)
    run = SentRun(
        10, 7, 950, offset=1000, data_bytes=900, make_record=Frame, congestion=together, now=20 * MS
    )
    together.sent_run(7, 950, 20 * MS)
    assert together.delivery.inflight_bytes == single.delivery.inflight_bytes
    for packet in alone:
        assert described(run.packet(packet.number)) == described(packet)
    several = run.packet(15, 12)
    assert several.records[0].span == (2800, 6400)  # type: ignore[attr-defined]
    assert described(several)[1:] == described(alone[5])[1:]


def packet_on(path: PathCongestion, number: int, frame: Frame) -> SentPacket:
    return SentPacket(
        SPACE_APPLICATION, number, 950, (frame,), path, is_ack_eliciting=True, is_in_flight=True, ecn=path.ecn
    )


def described(packet: SentPacket) -> list[object]:
    """What its frames cover, and every attribute but those that name the path and the frames."""
    names = [name for name in SentPacket.__slots__ if name not in {"congestion", "records"}]
    return [packet.records[0].span, *((name, getattr(packet, name)) for name in names)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("is_fin", "end"), [(False, 5000), (True, 4999)])
def test_a_run_never_has_the_last_byte_before_the_end(is_fin: bool, end: int) -> None:
    """That one goes with FIN, by the complete way."""
    events: deque[Event] = deque()
    streams = Streams(Configuration(), is_client=True, events=events)
    streams.apply_peer_parameters(
        TransportParameters(
            initial_max_data=100_000, initial_max_stream_data_bidi_remote=50_000, initial_max_streams_bidi=5
        )
    )
    stream_id = streams.open(False)
    streams.write(stream_id, bytes(5000), is_fin)
    stream = streams.next_run()
    assert stream is not None
    assert streams.run_end(stream) == end


@given(
    st.lists(st.integers(1, 6000), min_size=1, max_size=12),
    st.integers(0, 300),
    st.sampled_from([60, 333, 1452]),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([2, 4, 8]),
)
def test_a_run_is_written_as_its_frames_are_one_by_one(
    sizes: list[int], skip: int, segment: int, width: int, offset_bytes: int
) -> None:
    """Over whatever pieces the data was given in."""
    base = {2: 0x40, 4: 0x4000, 8: 0x4000_0000}[offset_bytes]  # the least offsets that take so many bytes
    buffer = SendBuffer()
    data = random.Random(segment).randbytes(sum(sizes))
    at = 0
    for size in sizes:
        buffer.append(data[at : at + size])
        at += size
    front, head = b"\x40" + bytes(8), b"\x0c\x04"
    head_bytes = len(front) + width + len(head) + offset_bytes
    data_bytes = segment - head_bytes - 16
    count = min((len(data) - skip) // data_bytes, 20)
    view = memoryview(bytearray(segment * 21))
    shifted = Shifted(buffer, base)
    if count <= 0 or base + skip + count * data_bytes > {2: 0x4000, 4: 0x4000_0000, 8: 1 << 62}[offset_bytes]:
        return
    end = write_run(view, segment, segment, count, shifted, (front, 200, width, head, base + skip, offset_bytes))  # type: ignore[arg-type]
    assert end == base + skip + count * data_bytes
    for index in range(count):
        start, offset = segment * (index + 1), base + skip + index * data_bytes
        expected = bytearray(segment)
        expected[: len(front)] = front
        number_end = len(front) + width
        expected[len(front) : number_end] = ((200 + index) & ((1 << 8 * width) - 1)).to_bytes(width, "big")
        into = write_stream_header(expected, number_end, 4, offset, None, False)
        expected[into : segment - 16] = data[offset - base : offset - base + data_bytes]
        assert view[start : start + segment] == expected


class Shifted:
    """A buffer whose first byte is at `base` of the stream."""

    def __init__(self, buffer: SendBuffer, base: int) -> None:
        self._buffer = buffer
        self._base = base

    def chunk_at(self, start: int) -> tuple[memoryview, int]:
        return self._buffer.chunk_at(start - self._base)

    def copy(self, start: int, end: int, into: memoryview, at: int) -> None:
        self._buffer.copy(start - self._base, end - self._base, into, at)


@given(
    st.integers(0, (1 << 62) - 1),
    st.integers(0, (1 << 62) - 2000),
    st.binary(min_size=25, max_size=1400),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "behind", "short"]),
)
def test_heads_are_decoded_as_the_codec_does(
    stream_id: int, offset: int, data: bytes, has_length: bool, is_fin: bool, flaw: str
) -> None:
    frame = bytearray(40 + len(data))
    at = write_stream_header(frame, 0, stream_id, offset, len(data) if has_length else None, is_fin)
    frame[at : at + len(data)] = data
    payload = memoryview(frame)[: at + len(data) + {"": 0, "behind": 1, "short": -1}[flaw]]
    decoded = decode_head(payload, len(payload))
    if is_fin or (has_length and flaw):
        assert decoded is None
        return
    assert decoded is not None
    assert decoded[:2] == (stream_id, offset)
    _, _, view, _, _ = decode_stream(payload[0], payload, 1)
    assert payload[decoded[4] :] == view


@given(st.binary(max_size=60))
def test_heads_of_any_bytes_are_none_or_what_the_codec_says(data: bytes) -> None:
    decoded = decode_head(memoryview(data), len(data))
    if decoded is not None:
        stream_id, offset, view, is_fin, end = decode_stream(data[0], memoryview(data), 1)
        assert (stream_id, offset, data[decoded[4] :], False, len(data)) == (*decoded[:2], bytes(view), is_fin, end)


def test_that_a_stream_has_room_again_is_told_although_nothing_came_in() -> None:
    """What leaves makes the room: an application that waits for it must not wait for the next ACK."""
    rig = Rig()
    client, server = rig.establish()
    stream_id = client.open_stream()
    client.write(stream_id, b"please")
    rig.client_host.wake()
    rig.run(100 * MS)
    while rig.server.poll_active() is not None:
        events_of(server)
    server.write(stream_id, bytes(LOW_WATER_BYTES + 2_000))
    assert rig.server.poll_active() is None
    while (transmit := rig.server.poll_transmit(rig.now)) is not None:
        rig.server.sent(transmit)
    assert rig.server.poll_active() is server
    assert events_of(server) == [StreamWritable(stream_id)]
