"""Frames in: which streams the peer opens, what it sends, and the credit that it is given (RFC 9000 3.2, 4, 19).

Every rule about streams that a peer can break gives the `QuicError` that the document names.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

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
    note,
)
from stacks.quic.streams import control
from stacks.quic.streams.control import Key
from stacks.quic.streams.identifiers import BIDI, MAX_STREAMS, SERVER_BIT, UNI, UNI_BIT, PeerStreams, kind_of
from stacks.quic.streams.outgoing import Outgoing
from stacks.quic.streams.receive_buffer import GapBudget
from stacks.quic.streams.receive_stream import ReceiveStream
from stacks.quic.streams.send_stream import SendStream
from stacks.quic.streams.states import ReceiveEvent, ReceiveState
from wire.quic import frames
from wire.quic.frame_types import FRAME_STREAM


class Incoming(Outgoing):
    """The receiving parts of all streams. events: where the application's are put.

    receive_limit: of new bytes on all streams together, as the peer was told.
    """

    __slots__ = (
        "_connection_window", "_consumed_bytes", "_events", "_gaps", "_peer", "_received_bytes", "_receiving",
        "_stream_window", "receive_limit",
    )  # fmt: skip

    def __init__(self, configuration: Configuration, *, is_client: bool, events: deque[Event]) -> None:
        super().__init__(is_client=is_client)
        self._events = events
        self._receiving: dict[int, ReceiveStream] = {}
        self._peer = PeerStreams(configuration.max_streams_bidi, configuration.max_streams_uni)
        self._connection_window = self.receive_limit = configuration.connection_window_bytes
        self._stream_window = configuration.stream_window_bytes
        self._received_bytes = self._consumed_bytes = 0
        self._gaps = GapBudget(MAX_GAPS)

    @property
    def gaps(self) -> int:
        """How many runs of bytes behind gaps there are on all streams together."""
        return self._gaps.count

    # Frames in

    def handle_stream(self, stream_id: int, offset: int, data: memoryview, is_fin: bool, now: int) -> None:  # noqa: ARG002
        """STREAM. data: borrowed."""
        stream = self._receiving.get(stream_id)
        if stream is None:
            stream = self._receiver_of(stream_id, "STREAM")
            if stream is None:
                return
        end = offset + len(data)
        received = self._received_bytes + end - offset
        if offset == stream.next_offset and end <= stream.window and received <= self.receive_limit and not is_fin:
            # The common case, in front of the whole: the next bytes of a stream of which nothing is special.
            self._received_bytes = received
            stream.take_next(data, end)
            if not stream.is_told:
                self._tell(stream)
            return
        if end > stream.highest or stream.final_size is not None:
            grown = stream.grow(end)
            if grown:
                self._count_received(grown)
            if stream.stop_code is not None:
                self._consumed(grown)
        if is_fin:
            stream.end(end)
            if stream.stop_code is not None:
                self._finish_receiving(stream)
                return
        if stream.stop_code is None:
            if data:
                stream.add(offset, data)
                stream.look_ahead()
            if not stream.is_told:
                self._tell(stream)

    def handle_run(self, stream_id: int, start: int, end: int, views: Sequence[memoryview], now: int) -> None:
        """STREAM frames without an end, back to back from `start` to `end`: as `handle_stream` with each."""
        stream = self._receiving.get(stream_id)
        received = self._received_bytes + end - start
        if (
            stream is None or start != stream.next_offset or end > stream.window or received > self.receive_limit
        ):
            for view in views:
                self.handle_stream(stream_id, start, view, False, now)
                start += len(view)
            return
        self._received_bytes = received
        stream.take_run(views, end)
        if not stream.is_told:
            self._tell(stream)

    def handle_reset(
        self, stream_id: int, code: int, final_size: int, now: int, *, reliable_bytes: int = 0  # noqa: ARG002
    ) -> None:
        """RESET_STREAM, or RESET_STREAM_AT with `reliable_bytes`."""
        if reliable_bytes > final_size:
            raise QuicError(
                TransportErrorCode.FRAME_ENCODING_ERROR,
                f"RESET_STREAM_AT delivers {reliable_bytes} bytes of a stream of {final_size}",
            )
        stream = self._receiver_of(stream_id, "RESET_STREAM")
        if stream is None:
            return
        grown = stream.reset(code, final_size, reliable_bytes)
        self._count_received(grown)
        if stream.stop_code is not None:
            self._consumed(grown)
            self._finish_receiving(stream)
        elif stream.state is ReceiveState.RESET_RECVD or (stream.reset_code is not None and stream.is_complete):
            self._finish_receiving(stream)
        elif not stream.is_told:
            self._tell(stream)

    def handle_stop_sending(self, stream_id: int, code: int, now: int) -> None:  # noqa: ARG002
        """STOP_SENDING: answered with RESET_STREAM and the same code (3.5)."""
        stream = self._sender_of(stream_id, "STOP_SENDING")
        if stream is None or stream.is_over:
            return
        if stream.reset_code is None:
            self._events.append(StopSending(stream_id, code))
        self._reset(stream, code, 0)

    def handle_max_data(self, maximum: int, now: int) -> None:  # noqa: ARG002
        """MAX_DATA; a lower one than before came late, and means nothing (4.1)."""
        if maximum > self.send_limit:
            self.send_limit = maximum
            self._look()

    def handle_max_stream_data(self, stream_id: int, maximum: int, now: int) -> None:  # noqa: ARG002
        """MAX_STREAM_DATA."""
        stream = self._sender_of(stream_id, "MAX_STREAM_DATA")
        if stream is not None and maximum > stream.limit:
            stream.limit = maximum
            self._schedule(stream)

    def handle_max_streams(self, is_unidirectional: bool, maximum: int, now: int) -> None:  # noqa: ARG002
        """MAX_STREAMS."""
        _check_limit(maximum)
        kind = UNI if is_unidirectional else BIDI
        before = self._own.allowed[kind]
        if maximum > before:
            self._own.allowed[kind] = maximum
            note(self._events, StreamsAvailable(is_unidirectional))
            self._streams_allowed(kind, before)

    def handle_data_blocked(self, limit: int, now: int) -> None:
        """DATA_BLOCKED: credit comes when the application reads, not when the peer asks."""

    def handle_stream_data_blocked(self, stream_id: int, limit: int, now: int) -> None:  # noqa: ARG002
        """STREAM_DATA_BLOCKED: the same; it opens a stream, though."""
        self._receiver_of(stream_id, "STREAM_DATA_BLOCKED")

    def handle_streams_blocked(self, is_unidirectional: bool, limit: int, now: int) -> None:  # noqa: ARG002
        """STREAMS_BLOCKED."""
        _check_limit(limit)
        self._grant_streams(UNI if is_unidirectional else BIDI)

    # Which stream a frame is about

    def _receiver_of(self, stream_id: int, name: str) -> ReceiveStream | None:
        """The receiving part; None where it is over. QuicError where there cannot be one."""
        stream = self._receiving.get(stream_id)
        if stream is not None:
            return stream
        if stream_id & SERVER_BIT == self._own_bit:
            if stream_id & UNI_BIT:
                raise _state_error(f"{name} for stream {stream_id}, on which only we send")
            self._check_opened(stream_id, name)
            return None
        return self._receiving.get(stream_id) if self._open_by_peer(stream_id) else None

    def _sender_of(self, stream_id: int, name: str) -> SendStream | None:
        """The sending part; None where it is over. QuicError where there cannot be one."""
        stream = self._sending.get(stream_id)
        if stream is not None:
            return stream
        if stream_id & SERVER_BIT == self._own_bit:
            self._check_opened(stream_id, name)
            return None
        if stream_id & UNI_BIT:
            raise _state_error(f"{name} for stream {stream_id}, on which only the peer sends")
        return self._sending.get(stream_id) if self._open_by_peer(stream_id) else None

    def _check_opened(self, stream_id: int, name: str) -> None:
        if not self._was_opened(stream_id):
            raise _state_error(f"{name} for stream {stream_id}, which we did not open")

    def _was_opened(self, stream_id: int) -> bool:
        opened = self._own.opened if stream_id & SERVER_BIT == self._own_bit else self._peer.opened
        return stream_id >= 0 and stream_id >> 2 < opened[kind_of(stream_id)]

    def _open_by_peer(self, stream_id: int) -> bool:
        """The peer begins a stream, and all below it of its kind (2.1, 3.2); False where it is over already."""
        opened = self._peer.open(stream_id)
        for new_id in opened:
            self._receiving[new_id] = ReceiveStream(new_id, self._stream_window, self._gaps)
            if not new_id & UNI_BIT:
                self._sending[new_id] = SendStream(new_id, self._initial_limit(new_id), self)
            self._events.append(StreamOpened(new_id))
        return bool(opened)

    # Credit

    def _count_received(self, grown: int) -> None:
        self._received_bytes += grown
        if self._received_bytes > self.receive_limit:
            raise QuicError(
                TransportErrorCode.FLOW_CONTROL_ERROR,
                f"{self._received_bytes} bytes on all streams, and the connection's limit is {self.receive_limit}",
                frame_type=FRAME_STREAM,
            )

    def _consumed(self, count: int) -> None:
        """Bytes were read, or will never be: the connection's window moves when half of it is used."""
        self._consumed_bytes += count
        if self.receive_limit - self._consumed_bytes < max(self._connection_window // 2, 1):
            self.receive_limit = self._consumed_bytes + self._connection_window
            self._control.say(control.MAX_DATA)

    def _move_window(self, stream: ReceiveStream) -> None:
        """The same for one stream."""
        if stream.window - stream.read_offset < max(self._stream_window // 2, 1):
            stream.window = stream.read_offset + self._stream_window
            self._control.say(control.MAX_STREAM_DATA, stream.stream_id)

    def _grant_streams(self, kind: int) -> None:
        """More streams for those that are over; not while the application does not take its events."""
        if len(self._events) < MAX_EVENTS and self._peer.grant(kind):
            self._control.say(control.MAX_STREAMS, kind)

    # What becomes of a stream

    def _tell(self, stream: ReceiveStream) -> None:
        """There may be something to read: bytes, or the end."""
        if stream.readable_bytes or stream.state is ReceiveState.DATA_RECVD:
            stream.is_told = True
            self._events.append(StreamReadable(stream.stream_id))

    def _reset(self, stream: SendStream, code: int, reliable_bytes: int) -> None:
        if stream.reset(code, reliable_bytes):
            self._unschedule(stream)
            self._schedule(stream)
            if stream.is_reset_due and self._may_be_seen(stream.stream_id):
                self._control.say(control.RESET, stream.stream_id)

    def _finish_receiving(self, stream: ReceiveStream) -> None:
        """Its size is known, and everything was read or will not be: what is left counts as consumed (4.5)."""
        assert stream.final_size is not None
        if stream.stop_code is None:
            self._consumed(stream.final_size - stream.read_offset)
            if stream.reset_code is not None:
                self._events.append(StreamReset(stream.stream_id, stream.reset_code))
        # What nobody wants need not come: after STOP_SENDING the size is all that is waited for.
        for event in (ReceiveEvent.ALL_DATA, ReceiveEvent.READ_ALL, ReceiveEvent.READ_RESET):
            stream.apply(event)
        stream.drop()
        del self._receiving[stream.stream_id]
        self._part_over(stream.stream_id)

    def _sending_over(self, stream: SendStream) -> None:
        if self._sending.pop(stream.stream_id, None) is not None:
            self._part_over(stream.stream_id)

    def _part_over(self, stream_id: int) -> None:
        """Of a stream of the peer's both parts may be over: it may open another."""
        is_own = stream_id & SERVER_BIT == self._own_bit
        if is_own or stream_id in self._receiving or stream_id in self._sending:
            return
        kind = kind_of(stream_id)
        self._peer.closed[kind] += 1
        self._grant_streams(kind)

    def _stream_writable(self, stream: SendStream) -> None:
        self._events.append(StreamWritable(stream.stream_id))

    def _streams_allowed(self, kind: int, before: int) -> None:
        super()._streams_allowed(kind, before)
        for stream_id in self._own.ids(kind, before, self._own_bit):
            stream = self._receiving.get(stream_id)
            if stream is not None and stream.stop_code is not None:
                self._control.say(control.STOP, stream_id)

    # As of ControlOwner

    def control_frame(self, key: Key) -> bytes | None:
        kind, number = key
        if kind in _ABOUT_SENDERS:
            sender = self._sending.get(number)
            return None if sender is None else _sender_frame(kind, sender)
        if kind in _ABOUT_RECEIVERS:
            receiver = self._receiving.get(number)
            return None if receiver is None or receiver.final_size is not None else _receiver_frame(kind, receiver)
        return self._connection_frame(kind, number)

    def control_told(self, key: Key) -> None:
        if key[0] == control.RESET and key[1] in self._sending:
            self._sending[key[1]].reset_sent()

    def control_arrived(self, key: Key) -> None:
        stream = self._sending.get(key[1]) if key[0] == control.RESET else None
        if stream is not None:
            stream.reset_acked()
            if stream.is_done:
                self.stream_acked(stream)

    def _connection_frame(self, kind: int, number: int) -> bytes | None:
        if kind == control.MAX_DATA:
            return frames.MaxData(self.receive_limit).encode()
        if kind == control.BLOCKED:
            is_blocked = self.sent_bytes >= self.send_limit and self._fresh.head is not None
            return frames.DataBlocked(self.send_limit).encode() if is_blocked else None
        if kind == control.MAX_STREAMS:
            limits = frames.MaxStreams(self._peer.limits[number])
            return limits.encode_uni() if number else limits.encode()
        if self._own.opened[number] <= self._own.allowed[number]:
            return None
        blocked = frames.StreamsBlocked(self._own.allowed[number])
        return blocked.encode_uni() if number else blocked.encode()


def _sender_frame(kind: int, stream: SendStream) -> bytes | None:
    number = stream.stream_id
    if kind == control.STREAM_BLOCKED:
        return frames.StreamDataBlocked(number, stream.limit).encode() if stream.is_blocked else None
    code = stream.reset_code
    if code is None or not stream.is_reset_due:
        return None
    if stream.reliable_bytes:
        return frames.ResetStreamAt(number, code, stream.next_offset, stream.reliable_bytes).encode()
    return frames.ResetStream(number, code, stream.next_offset).encode()


def _receiver_frame(kind: int, stream: ReceiveStream) -> bytes | None:
    if kind == control.STOP:
        return None if stream.stop_code is None else frames.StopSending(stream.stream_id, stream.stop_code).encode()
    return None if stream.stop_code is not None else frames.MaxStreamData(stream.stream_id, stream.window).encode()


def _check_limit(count: int) -> None:
    if count > MAX_STREAMS:
        raise QuicError(TransportErrorCode.FRAME_ENCODING_ERROR, f"a limit of {count} streams is above 2^60")


def _state_error(reason: str) -> QuicError:
    return QuicError(TransportErrorCode.STREAM_STATE_ERROR, reason)


_ABOUT_SENDERS = (control.RESET, control.STREAM_BLOCKED)
_ABOUT_RECEIVERS = (control.STOP, control.MAX_STREAM_DATA)
MAX_GAPS = 4096
MAX_EVENTS = 4096
