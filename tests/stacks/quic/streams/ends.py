"""Both ends of a connection's streams, without a connection: a packet is its payload and records."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from stacks.quic.configuration import Configuration
from stacks.quic.events import Event
from stacks.quic.packet_writer import PacketWriter, SentFrame
from stacks.quic.streams import Streams
from wire.quic import frame_types as t
from wire.quic import frames as f
from wire.quic.parameters import TransportParameters
from wire.quic.stream_frames import decode_stream

PACKET_BYTES = 300


@dataclass(slots=True, eq=False)
class Packet:
    """One that was built. payload: its frames, with PADDING behind them where there was room."""

    payload: bytes
    records: list[SentFrame]

    def acked(self) -> None:
        for record in self.records:
            record.acked(0)

    def lost(self) -> None:
        for record in self.records:
            record.lost(0)


def parameters_of(configuration: Configuration) -> TransportParameters:
    """What an end of this configuration announces."""
    return TransportParameters(
        initial_max_data=configuration.connection_window_bytes,
        initial_max_stream_data_bidi_local=configuration.stream_window_bytes,
        initial_max_stream_data_bidi_remote=configuration.stream_window_bytes,
        initial_max_stream_data_uni=configuration.stream_window_bytes,
        initial_max_streams_bidi=configuration.max_streams_bidi,
        initial_max_streams_uni=configuration.max_streams_uni,
        reset_stream_at=True,
    )


class End:
    """One end: streams, events, and packets by size."""

    def __init__(self, configuration: Configuration, *, is_client: bool, peer: Configuration | None = None) -> None:
        self.events: deque[Event] = deque()
        self.streams = Streams(configuration, is_client=is_client, events=self.events)
        if peer is not None:
            self.streams.apply_peer_parameters(parameters_of(peer))

    def packet(self, size: int = PACKET_BYTES, *, pad: int = 4) -> Packet | None:
        """The next packet of at most `size` bytes; None where there is nothing to say."""
        if not self.streams.has_frames:
            return None
        writer = PacketWriter(bytearray(size), 0, size)
        self.streams.write_frames(writer, 0)
        if not writer.has_frames:
            return None
        end = min(size, writer.offset + pad)
        return Packet(bytes(writer.buffer[:end]), writer.records)

    def receive(self, packet: Packet) -> None:
        """All frames of a packet."""
        receive(self.streams, packet.payload)

    def taken(self) -> list[Event]:
        """The events so far."""
        events = list(self.events)
        self.events.clear()
        return events


def pair(configuration: Configuration | None = None, peer: Configuration | None = None) -> tuple[End, End]:
    """A client's and a server's end that know each other's limits."""
    configuration = configuration or Configuration()
    peer = peer or configuration
    return End(configuration, is_client=True, peer=peer), End(peer, is_client=False, peer=configuration)


def exchange(one: End, other: End, *, size: int = PACKET_BYTES) -> int:
    """Deliver and acknowledge everything that both have to say; how many packets that were."""
    count = 0
    while True:
        sent = 0
        for end, peer in ((one, other), (other, one)):
            packet = end.packet(size)
            if packet is not None:
                sent += 1
                peer.receive(packet)
                packet.acked()
        if not sent:
            return count
        count += sent
        assert count < 100_000, "the two never come to rest"


def receive(streams: Streams, payload: bytes) -> list[int]:
    """Give the frames of a payload to `streams`, as a connection does; their types."""
    view, offset, types = memoryview(payload), 0, []
    while offset < len(view):
        frame_type, offset = t.decode_type(view, offset)
        if frame_type == t.FRAME_PADDING:
            continue
        types.append(frame_type)
        if frame_type & 0xF8 == t.FRAME_STREAM:
            stream_id, at, data, is_fin, offset = decode_stream(frame_type, view, offset)
            streams.handle_stream(stream_id, at, data, is_fin, 0)
        else:
            offset = _control(streams, frame_type, view, offset)
    return types


def _control(streams: Streams, frame_type: int, view: memoryview, offset: int) -> int:
    match frame_type:
        case t.FRAME_RESET_STREAM:
            reset, offset = f.ResetStream.decode(view, offset)
            streams.handle_reset(reset.stream_id, reset.error_code, reset.final_size, 0)
        case t.FRAME_RESET_STREAM_AT:
            at, offset = f.ResetStreamAt.decode(view, offset)
            streams.handle_reset(at.stream_id, at.error_code, at.final_size, 0, reliable_bytes=at.reliable_size)
        case t.FRAME_STOP_SENDING:
            stop, offset = f.StopSending.decode(view, offset)
            streams.handle_stop_sending(stop.stream_id, stop.error_code, 0)
        case t.FRAME_MAX_DATA:
            data, offset = f.MaxData.decode(view, offset)
            streams.handle_max_data(data.maximum, 0)
        case t.FRAME_MAX_STREAM_DATA:
            stream_data, offset = f.MaxStreamData.decode(view, offset)
            streams.handle_max_stream_data(stream_data.stream_id, stream_data.maximum, 0)
        case t.FRAME_MAX_STREAMS_BIDI | t.FRAME_MAX_STREAMS_UNI:
            limit, offset = f.MaxStreams.decode(view, offset)
            streams.handle_max_streams(frame_type == t.FRAME_MAX_STREAMS_UNI, limit.maximum, 0)
        case t.FRAME_DATA_BLOCKED:
            blocked, offset = f.DataBlocked.decode(view, offset)
            streams.handle_data_blocked(blocked.limit, 0)
        case t.FRAME_STREAM_DATA_BLOCKED:
            stream_blocked, offset = f.StreamDataBlocked.decode(view, offset)
            streams.handle_stream_data_blocked(stream_blocked.stream_id, stream_blocked.limit, 0)
        case t.FRAME_STREAMS_BLOCKED_BIDI | t.FRAME_STREAMS_BLOCKED_UNI:
            streams_blocked, offset = f.StreamsBlocked.decode(view, offset)
            streams.handle_streams_blocked(frame_type == t.FRAME_STREAMS_BLOCKED_UNI, streams_blocked.limit, 0)
        case _:
            raise AssertionError(f"a frame that streams do not send: {frame_type:#x}")
    return offset
