"""All streams of a connection: which exist, who may open more, whose turn it is, and the connection's flow control.

    write(id, data) -> SendStream -> write_frames -> STREAM frames        (priorities: RFC 9218)
    STREAM frames -> handle_stream -> ReceiveStream -> read(id)           -> MAX_STREAM_DATA, MAX_DATA
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from stacks.quic.configuration import Configuration
from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.events import (
    Event,
    StopSending,
    StreamOpened,
    StreamReadable,
    StreamReset,
    StreamsAvailable,
    StreamWritable,
)
from stacks.quic.packet_writer import PacketWriter
from stacks.quic.streams.control import StreamControl
from stacks.quic.streams.receiving import ReceiveStream
from stacks.quic.streams.schedule import Schedule
from stacks.quic.streams.sending import SendStream, StreamRecord, StreamSender
from stacks.runtime.errors import LocalError
from wire.quic.parameters import TransportParameters
from wire.quic.stream_frames import stream_header_bytes, write_stream_header

SERVER_BIT, UNI_BIT = 1, 2


class Streams(StreamSender):
    """A `FrameSource` for STREAM and everything about streams and their credit."""

    def __init__(self, configuration: Configuration, *, is_client: bool, events: deque[Event]) -> None:
        self.has_frames = False
        self._configuration = configuration
        self._own_bit = 0 if is_client else SERVER_BIT
        self._events = events
        self._sending: dict[int, SendStream] = {}
        self._receiving: dict[int, ReceiveStream] = {}
        self._closed_peer: set[int] = set()
        self._schedule = Schedule()
        self._control = StreamControl(self)
        self._opened = [0, 0]  # ours, bidirectional and unidirectional
        self._peer_opened = [0, 0]
        self._peer_closed = [0, 0]
        self.peer_stream_limits = [configuration.max_streams_bidi, configuration.max_streams_uni]
        self._stream_limits = [0, 0]  # of ours
        self._credits = (0, 0, 0)  # initial ones of ours: bidi that we open, that the peer opens, uni
        self.send_credit = self.sent_bytes = 0
        self.receive_window = configuration.connection_window_bytes
        self._received_bytes = self._read_bytes = 0

    # For the application

    def open(self, is_unidirectional: bool) -> int:
        """A new stream of ours."""
        kind = int(is_unidirectional)
        stream_id = self._opened[kind] << 2 | (UNI_BIT if is_unidirectional else 0) | self._own_bit
        self._opened[kind] += 1
        self._sending[stream_id] = SendStream(stream_id, self._credits[2 if is_unidirectional else 0])
        if not is_unidirectional:
            self._receiving[stream_id] = ReceiveStream(stream_id, self._configuration.stream_window_bytes)
        return stream_id

    def can_open(self, is_unidirectional: bool) -> bool:
        """Whether the peer lets another stream of ours be seen now."""
        return self._opened[is_unidirectional] < self._stream_limits[is_unidirectional]

    def write(self, stream_id: int, data: bytes | bytearray | memoryview, is_fin: bool = False) -> None:
        """Send `data`; LocalError where the stream is not there, ended or was reset."""
        stream = self._sending.get(stream_id)
        if stream is None or stream.fin_offset is not None or stream.reset_code is not None:
            raise LocalError(f"stream {stream_id} cannot send (any more)")
        stream.buffer.append(data)
        if is_fin:
            stream.fin_offset = stream.buffer.end
            stream.is_fin_due = True
        if stream.unsent_bytes > LOW_WATER_BYTES:
            stream.was_full = True
        self.wants(stream)

    def unsent_bytes(self, stream_id: int) -> int:
        """Written and never sent; 0 where the stream is not there."""
        stream = self._sending.get(stream_id)
        return 0 if stream is None else stream.unsent_bytes

    def unacked_bytes(self, stream_id: int) -> int:
        """Written and not acknowledged."""
        stream = self._sending.get(stream_id)
        return 0 if stream is None else stream.buffer.end - stream.buffer.start

    def read(self, stream_id: int, limit: int) -> bytes:
        """At most `limit` bytes in order; b"" where there is nothing."""
        stream = self._receiving.get(stream_id)
        if stream is None:
            return b""
        data = stream.take(limit)
        if data:
            self._was_read(stream, len(data))
        if not stream.readable_bytes:
            stream.is_told = False
            if stream.is_complete:
                stream.is_ended = True
                self._forget_receiving(stream)
        return data

    def is_finished(self, stream_id: int) -> bool:
        """Whether all that the peer sends was read, or it gave the stream up."""
        stream = self._receiving.get(stream_id)
        if stream is None:
            return self._was_opened(stream_id)
        return stream.is_complete and not stream.readable_bytes

    def is_sent(self, stream_id: int) -> bool:
        """Whether the peer has everything that we sent, with the end."""
        return stream_id not in self._sending

    def reset(self, stream_id: int, code: int, reliable_bytes: int = 0) -> None:
        """Send no more, but what was written up to `reliable_bytes`. Idempotent."""
        stream = self._sending.get(stream_id)
        if stream is None or stream.reset_code is not None or stream.is_done:
            return
        stream.reset_code = code
        stream.reliable_bytes = min(reliable_bytes, stream.next_offset)
        stream.fin_offset = stream.next_offset
        if not stream.reliable_bytes:
            stream.buffer.clear()
            stream.lost.spans.clear()
        stream.is_fin_due = False
        self._control.reset(stream)
        self.has_frames = True

    def stop_sending(self, stream_id: int, code: int) -> None:
        """Read no more, and ask the peer to send no more. Idempotent."""
        stream = self._receiving.get(stream_id)
        if stream is None or stream.is_stopped or stream.is_complete:
            return
        unread = stream.highest - stream.read_offset
        stream.stop()
        self._was_read(stream, unread)
        self._control.stop_sending(stream_id, code)
        self.has_frames = True

    def set_priority(self, stream_id: int, urgency: int, is_incremental: bool) -> None:
        """urgency: 0 to 7, the most urgent 0 (RFC 9218 4); LocalError for another."""
        if not 0 <= urgency <= 7:
            raise LocalError(f"urgency is 0 to 7, not {urgency}")
        self._schedule.set_priority(stream_id, urgency, is_incremental)

    # Frames in

    def handle_stream(self, stream_id: int, offset: int, data: memoryview, is_fin: bool, now: int) -> None:  # noqa: ARG002
        """STREAM."""
        stream = self._receiving.get(stream_id) or self._receiving_side(stream_id, "STREAM")
        if stream is None:
            return
        grown = stream.receive(offset, data, is_fin)
        if grown:
            self._received_bytes += grown
            if self._received_bytes > self.receive_window:
                raise QuicError(TransportErrorCode.FLOW_CONTROL_ERROR, "the connection has no credit for that")
        if stream.is_stopped:
            self._was_read(stream, grown)
            if stream.is_complete:
                self._forget_receiving(stream)
        elif not stream.is_told and (stream.readable_bytes or stream.is_complete) and stream.reset_code is None:
            stream.is_told = True
            self._events.append(StreamReadable(stream_id))

    def handle_run(self, stream_id: int, start: int, end: int, views: Sequence[memoryview], now: int) -> None:
        """STREAM frames without an end, back to back from `start` to `end`: as `handle_stream` with each."""
        stream = self._receiving.get(stream_id)
        if (
            stream is None
            or not stream.takes_run(start, end)
            or self._received_bytes + end - start > self.receive_window
        ):
            for view in views:
                self.handle_stream(stream_id, start, view, False, now)
                start += len(view)
            return
        stream.receive_run(b"".join(views))
        self._received_bytes += end - start
        if not stream.is_told:
            stream.is_told = True
            self._events.append(StreamReadable(stream_id))

    def handle_reset(
        self, stream_id: int, code: int, final_size: int, now: int, *, reliable_bytes: int = 0  # noqa: ARG002
    ) -> None:
        """RESET_STREAM, RESET_STREAM_AT."""
        if reliable_bytes > final_size:
            raise QuicError(TransportErrorCode.FRAME_ENCODING_ERROR, "more reliable bytes than there are")
        stream = self._receiving_side(stream_id, "RESET_STREAM")
        if stream is None:
            return
        if final_size > stream.window:
            raise QuicError(TransportErrorCode.FLOW_CONTROL_ERROR, f"stream {stream_id} has no credit for its end")
        was_reset = stream.reset_code is not None
        self._received_bytes += stream.reset(code, final_size, reliable_bytes)
        if self._received_bytes > self.receive_window:
            raise QuicError(TransportErrorCode.FLOW_CONTROL_ERROR, "the connection has no credit for the end")
        if stream.reset_code is not None and not was_reset:
            self._events.append(StreamReset(stream_id, code))
            if stream.offset >= reliable_bytes:
                unread = final_size - stream.read_offset
                stream.stop()
                self._was_read(stream, unread)
                self._forget_receiving(stream)

    def handle_stop_sending(self, stream_id: int, code: int, now: int) -> None:  # noqa: ARG002
        """STOP_SENDING: answered with a reset (3.5)."""
        stream = self._sending_side(stream_id, "STOP_SENDING")
        if stream is not None and stream.reset_code is None and not stream.is_done:
            self.reset(stream_id, code)
            self._events.append(StopSending(stream_id, code))

    def handle_max_data(self, maximum: int, now: int) -> None:  # noqa: ARG002
        """MAX_DATA."""
        if maximum > self.send_credit:
            self.send_credit = maximum
            self._look()

    def handle_max_stream_data(self, stream_id: int, maximum: int, now: int) -> None:  # noqa: ARG002
        """MAX_STREAM_DATA."""
        stream = self._sending_side(stream_id, "MAX_STREAM_DATA")
        if stream is not None and maximum > stream.credit:
            stream.credit = maximum
            self.wants(stream)

    def handle_max_streams(self, is_unidirectional: bool, maximum: int, now: int) -> None:  # noqa: ARG002
        """MAX_STREAMS."""
        if maximum > MAX_STREAMS:
            raise QuicError(TransportErrorCode.FRAME_ENCODING_ERROR, "a stream limit above 2^60")
        kind = int(is_unidirectional)
        if maximum > self._stream_limits[kind]:
            self._stream_limits[kind] = maximum
            self._events.append(StreamsAvailable(is_unidirectional))
            self._look()

    def handle_data_blocked(self, limit: int, now: int) -> None:
        """DATA_BLOCKED: windows grow as the application reads, and not since somebody asks."""

    def handle_stream_data_blocked(self, stream_id: int, limit: int, now: int) -> None:  # noqa: ARG002
        """STREAM_DATA_BLOCKED."""
        self._receiving_side(stream_id, "STREAM_DATA_BLOCKED")

    def handle_streams_blocked(self, is_unidirectional: bool, limit: int, now: int) -> None:  # noqa: ARG002
        """STREAMS_BLOCKED."""
        if limit > MAX_STREAMS:
            raise QuicError(TransportErrorCode.FRAME_ENCODING_ERROR, "a stream limit above 2^60")

    def apply_peer_parameters(self, peer: TransportParameters) -> None:
        """Credit and limits; called for 0-RTT with what is remembered, too, which only grows (7.4.1)."""
        self._credits = (
            peer.initial_max_stream_data_bidi_remote,
            peer.initial_max_stream_data_bidi_local,
            peer.initial_max_stream_data_uni,
        )
        self.send_credit = max(self.send_credit, peer.initial_max_data)
        limits = self._stream_limits
        limits[0] = max(limits[0], peer.initial_max_streams_bidi)
        limits[1] = max(limits[1], peer.initial_max_streams_uni)
        for stream_id, stream in self._sending.items():
            kind = 2 if stream_id & UNI_BIT else int(stream_id & SERVER_BIT != self._own_bit)
            stream.credit = max(stream.credit, self._credits[kind])
        self._look()

    def early_data_rejected(self) -> None:
        """What was remembered counts no more; the true parameters have been applied."""

    # Frames out

    def write_frames(self, packet: PacketWriter, now: int) -> None:  # noqa: ARG002
        """As of `FrameSource`."""
        if self._control.has_frames:
            self._control.write_frames(packet)
        schedule = self._schedule
        while (stream := schedule.first()) is not None:
            if not self._may_be_seen(stream.stream_id) or not stream.has_data(self.send_credit - self.sent_bytes):
                schedule.remove(stream)
                self._control.note_blocked(stream)
                continue
            if not self._write_stream(packet, stream):
                break
            if stream.has_data(self.send_credit - self.sent_bytes):
                schedule.took_turn(stream)
            else:
                schedule.remove(stream)
        self.has_frames = self._control.has_frames or not schedule.is_empty

    def next_run(self) -> SendStream | None:
        """The stream that alone fills the next packets with bytes never sent; None where anything else has its turn."""
        if self._control.has_frames:
            return None
        stream = self._schedule.only()
        if stream is None or stream.lost.spans or stream.reset_code is not None:
            return None
        return stream if self._may_be_seen(stream.stream_id) else None

    def run_end(self, stream: SendStream) -> int:
        """Up to where credit and what was written let it go in frames that do not end it."""
        end = min(stream.buffer.end, stream.credit, stream.next_offset + self.send_credit - self.sent_bytes)
        return end - 1 if end == stream.fin_offset else end

    def run_record(self, stream: SendStream, start: int, end: int) -> StreamRecord:
        """Of a STREAM frame of [start, end) without an end."""
        return StreamRecord(self, stream, start, end, False)

    def sent_run(self, stream: SendStream, end: int) -> None:
        """Everything up to `end` went into packets."""
        self.sent_bytes += end - stream.next_offset
        stream.next_offset = end
        if not stream.has_data(self.send_credit - self.sent_bytes):
            self._schedule.remove(stream)
            self.has_frames = not self._schedule.is_empty

    def _write_stream(self, packet: PacketWriter, stream: SendStream) -> bool:
        """One STREAM frame; False where it does not fit."""
        room = packet.limit - packet.offset
        if stream.lost.spans:
            offset, end = stream.lost.spans[0]
            is_new = False
        else:
            offset = stream.next_offset
            end = min(stream.buffer.end, stream.credit, offset + self.send_credit - self.sent_bytes)
            is_new = True
        head = stream_header_bytes(stream.stream_id, offset, None)
        length = min(end - offset, room - head)
        explicit: int | None = None
        if length + head < room - LEAST_REST_BYTES or room > MAX_TAIL_BYTES:
            # Something else may follow in this packet: the frame says how long it is.
            head = stream_header_bytes(stream.stream_id, offset, min(end - offset, max(room - head, 0)))
            length = explicit = min(end - offset, room - head)
        if length < 0 or (length == 0 and end > offset):
            return False
        end = offset + length
        is_fin = stream.is_fin_due and end == stream.fin_offset and stream.reset_code is None
        if not is_new:
            stream.lost.take_first(length)
        elif length:
            stream.next_offset = end
            self.sent_bytes += length
        if is_fin:
            stream.is_fin_due = False
        at = write_stream_header(packet.buffer, packet.offset, stream.stream_id, offset, explicit, is_fin)
        if length:
            stream.buffer.copy(offset, end, packet.buffer, at)
        if explicit is None:
            packet.limit = at + length  # it reaches to the end: nothing may follow
        packet.wrote(at + length, StreamRecord(self, stream, offset, end, is_fin))
        return True

    # What records, controls and schedules call

    def progressed(self, stream: SendStream) -> None:
        """As of `StreamSender`."""
        if stream.is_done:
            self._forget_sending(stream)
        elif stream.was_full and stream.unsent_bytes <= LOW_WATER_BYTES and stream.fin_offset is None:
            stream.was_full = False
            self._events.append(StreamWritable(stream.stream_id))

    def wants(self, stream: SendStream) -> None:
        """As of `StreamSender`."""
        self._schedule.add(stream)
        self.has_frames = True

    def reset_done(self, stream: SendStream) -> None:
        """The peer acknowledged the reset."""
        stream.is_done = True
        self._forget_sending(stream)

    def stream_limit(self, kind: int) -> int:
        """How many streams of ours the peer allows in all; kind: 1 for unidirectional ones."""
        return self._stream_limits[kind]

    def sender(self, stream_id: int) -> SendStream | None:
        """The sending side of a stream, while it is remembered."""
        return self._sending.get(stream_id)

    def receiver(self, stream_id: int) -> ReceiveStream | None:
        """The receiving side of a stream, while it is remembered."""
        return self._receiving.get(stream_id)

    def ids(self) -> Iterator[int]:
        """Streams of which either side is remembered."""
        return iter(sorted({*self._sending, *self._receiving}))

    # Within

    def _may_be_seen(self, stream_id: int) -> bool:
        """Whether the peer's limit allows a stream of ours."""
        if stream_id & SERVER_BIT != self._own_bit:
            return True
        kind = stream_id >> 1 & 1
        return stream_id >> 2 < self._stream_limits[kind]

    def _look(self) -> None:
        """Credit or limits grew: streams that waited may go on."""
        credit = self.send_credit - self.sent_bytes
        for stream in self._sending.values():
            if stream.has_data(credit):
                self._schedule.add(stream)
                self.has_frames = True

    def _receiving_side(self, stream_id: int, name: str) -> ReceiveStream | None:
        """The receiving side that a frame is about; None where it is over."""
        stream = self._receiving.get(stream_id)
        if stream is not None:
            return stream
        is_ours = stream_id & SERVER_BIT == self._own_bit
        if is_ours:
            if stream_id & UNI_BIT:
                raise QuicError(TransportErrorCode.STREAM_STATE_ERROR, f"{name} for a stream on which only we send")
            if not self._was_opened(stream_id):
                raise QuicError(TransportErrorCode.STREAM_STATE_ERROR, f"{name} for a stream that we did not open")
            return None
        if not self._open_by_peer(stream_id):
            return None
        return self._receiving[stream_id]

    def _sending_side(self, stream_id: int, name: str) -> SendStream | None:
        stream = self._sending.get(stream_id)
        if stream is not None:
            return stream
        if stream_id & SERVER_BIT == self._own_bit:
            if not self._was_opened(stream_id):
                raise QuicError(TransportErrorCode.STREAM_STATE_ERROR, f"{name} for a stream that we did not open")
            return None
        if stream_id & UNI_BIT:
            raise QuicError(TransportErrorCode.STREAM_STATE_ERROR, f"{name} for a stream on which only the peer sends")
        if not self._open_by_peer(stream_id):
            return None
        return self._sending[stream_id]

    def _was_opened(self, stream_id: int) -> bool:
        kind = stream_id >> 1 & 1
        opened = self._opened if stream_id & SERVER_BIT == self._own_bit else self._peer_opened
        return stream_id >> 2 < opened[kind]

    def _open_by_peer(self, stream_id: int) -> bool:
        """The peer begins a stream, and all below it of its kind (2.1, 3.2); False where it is over already."""
        kind, number = stream_id >> 1 & 1, stream_id >> 2
        if number >= self.peer_stream_limits[kind]:
            raise QuicError(TransportErrorCode.STREAM_LIMIT_ERROR, f"stream {stream_id} is above the limit")
        if number < self._peer_opened[kind]:
            return False
        low_bits = stream_id & 3
        for opened in range(self._peer_opened[kind], number + 1):
            new_id = opened << 2 | low_bits
            self._receiving[new_id] = ReceiveStream(new_id, self._configuration.stream_window_bytes)
            if not kind:
                self._sending[new_id] = SendStream(new_id, self._credits[1])
            self._events.append(StreamOpened(new_id))
        self._peer_opened[kind] = number + 1
        return True

    def _was_read(self, stream: ReceiveStream, count: int) -> None:
        """`count` bytes were consumed: windows move when half of them is used."""
        self._read_bytes += count
        half = self._configuration.connection_window_bytes // 2
        if self.receive_window - self._read_bytes < half:
            self.receive_window = self._read_bytes + self._configuration.connection_window_bytes
            self._control.max_data()
            self.has_frames = True
        if stream.final_size is None and not stream.is_stopped:
            if stream.window - stream.read_offset < stream.window_bytes // 2:
                stream.window = stream.read_offset + stream.window_bytes
                self._control.max_stream_data(stream.stream_id)
                self.has_frames = True

    def _forget_sending(self, stream: SendStream) -> None:
        if self._sending.pop(stream.stream_id, None) is not None:
            self._schedule.remove(stream)
            self._closed(stream.stream_id)

    def _forget_receiving(self, stream: ReceiveStream) -> None:
        if self._receiving.pop(stream.stream_id, None) is not None:
            self._closed(stream.stream_id)

    def _closed(self, stream_id: int) -> None:
        """Of a stream of the peer's both sides are over: it may open another."""
        if stream_id in self._sending or stream_id in self._receiving:
            return
        self._schedule.forget(stream_id)
        if stream_id & SERVER_BIT == self._own_bit:
            return
        kind = stream_id >> 1 & 1
        self._peer_closed[kind] += 1
        window = self._configuration.max_streams_uni if kind else self._configuration.max_streams_bidi
        limit = self._peer_closed[kind] + window
        if limit - self.peer_stream_limits[kind] >= max(window // 2, 1):
            self.peer_stream_limits[kind] = limit
            self._control.max_streams(kind)
            self.has_frames = True


MAX_STREAMS = 1 << 60
LOW_WATER_BYTES = 1 << 18
LEAST_REST_BYTES = 8
MAX_TAIL_BYTES = 16_000
"""In a longer packet than this the length field costs nothing that matters."""
