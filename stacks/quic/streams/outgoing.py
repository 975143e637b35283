"""Frames out: whose bytes go into the next packet, within the credit of streams and connection (RFC 9000 4, RFC 9218).

    writes, credit -> fresh: streams with bytes that were never sent      \
    losses         -> repeats: with lost bytes, or the end alone           > write_frames
    control        -> credit for the peer, resets, STOP_SENDING, BLOCKED  /
"""

from __future__ import annotations

from stacks.quic.packet_writer import PacketWriter
from stacks.quic.streams.control import BLOCKED, RESET, STREAM_BLOCKED, STREAMS_BLOCKED, ControlFrames, Key
from stacks.quic.streams.identifiers import BIDI, SERVER_BIT, UNI, UNI_BIT, OwnStreams, kind_of
from stacks.quic.streams.schedule import Schedule
from stacks.quic.streams.send_stream import SendStream, StreamRecord
from wire.quic.parameters import TransportParameters


class Outgoing:
    """The sending parts of all streams; a `FrameSource`.

    sent_bytes, send_limit: of new bytes on all streams together, and what the peer allows.
    """

    __slots__ = (
        "_blocked_at", "_control", "_fresh", "_initial_limits", "_own", "_own_bit", "_parameters", "_repeats",
        "_sending", "_streams_blocked_at", "has_frames", "send_limit", "sent_bytes",
    )  # fmt: skip

    def __init__(self, *, is_client: bool) -> None:
        self.has_frames = False
        self.sent_bytes = self.send_limit = 0
        self._blocked_at = NEVER
        self._streams_blocked_at = [NEVER, NEVER]
        self._own_bit = 0 if is_client else SERVER_BIT
        self._own = OwnStreams()
        self._sending: dict[int, SendStream] = {}
        self._fresh = Schedule()
        self._repeats = Schedule()
        self._control = ControlFrames(self)
        self._parameters: TransportParameters | None = None
        self._initial_limits = (0, 0, 0)  # bidirectional ones of ours, of the peer's, unidirectional ones

    # What the peer allows

    def apply_peer_parameters(self, peer: TransportParameters) -> None:
        """Initial limits: for 0-RTT those that are remembered, later the true ones, which only raise them (7.4.1)."""
        self._parameters = peer
        self._initial_limits = (
            peer.initial_max_stream_data_bidi_remote,
            peer.initial_max_stream_data_bidi_local,
            peer.initial_max_stream_data_uni,
        )
        for stream in self._sending.values():
            stream.limit = max(stream.limit, self._initial_limit(stream.stream_id))
        self.send_limit = max(self.send_limit, peer.initial_max_data)
        self._own.allowed[BIDI] = max(self._own.allowed[BIDI], peer.initial_max_streams_bidi)
        self._own.allowed[UNI] = max(self._own.allowed[UNI], peer.initial_max_streams_uni)
        self._schedule_all()

    def early_data_rejected(self) -> None:
        """The server has read no 0-RTT packet: nothing was sent after all, and what was remembered counts no more.

        The true parameters were applied before (RFC 9001 4.6.2, RFC 9000 7.4.1).
        """
        peer = self._parameters
        assert peer is not None
        self.sent_bytes, self.send_limit = 0, peer.initial_max_data
        self._blocked_at, self._streams_blocked_at = NEVER, [NEVER, NEVER]
        self._own.allowed = [peer.initial_max_streams_bidi, peer.initial_max_streams_uni]
        for stream in self._sending.values():
            self._unschedule(stream)
            stream.reject()
            stream.limit = self._initial_limit(stream.stream_id)
            if stream.reset_code is not None:
                self._control.say(RESET, stream.stream_id)
        self._schedule_all()

    def _streams_allowed(self, kind: int, before: int) -> None:
        """More streams of ours may be seen: those that waited."""
        for stream_id in self._own.ids(kind, before, self._own_bit):
            stream = self._sending.get(stream_id)
            if stream is not None:
                self._schedule(stream)
                if stream.is_reset_due:
                    self._control.say(RESET, stream_id)

    # Into packets

    def write_frames(self, packet: PacketWriter, now: int) -> None:  # noqa: ARG002
        """As of `FrameSource`: control frames first, then streams by priority, what was lost before what is new."""
        if self._control.due and not self._control.write(packet):
            return
        fresh, repeats = self._fresh, self._repeats
        while True:
            stream, repeat = fresh.head, repeats.head
            credit = self.send_limit - self.sent_bytes
            if repeat is not None and (stream is None or credit <= 0 or repeat.urgency <= stream.urgency):
                if not self._write_repeat(packet, repeat):
                    return
            elif stream is None or credit <= 0:
                break
            else:
                sent = stream.write_fresh(packet, credit)
                if not sent:
                    return
                self.sent_bytes += sent
                if stream.was_full and stream.stop_offset - stream.next_offset < LOW_WATER_BYTES:
                    stream.was_full = False
                    self._stream_writable(stream)
                if stream.next_offset < stream.stop_offset and stream.next_offset < stream.limit:
                    fresh.took_turn()
                    if sent < credit and packet.limit == packet.offset:
                        return  # and there is more
                else:
                    self._all_sent(stream)
            if packet.limit - packet.offset < LEAST_ROOM_BYTES:
                break
        if self.sent_bytes >= self.send_limit and fresh.head is not None and self._blocked_at != self.send_limit:
            self._blocked_at = self.send_limit
            self._control.say(BLOCKED)
        self._look()

    def _all_sent(self, stream: SendStream) -> None:
        """All that there is, or all that its credit is for."""
        self._fresh.discard(stream)
        if stream.is_blocked:
            self._say_blocked(stream)
        if stream.is_reset_due:
            self._control.say(RESET, stream.stream_id)

    def _write_repeat(self, packet: PacketWriter, stream: SendStream) -> bool:
        if not stream.write_repeat(packet):
            return False
        if stream.has_repeats:
            self._repeats.took_turn()
        else:
            self._repeats.discard(stream)
        return True

    # Runs of packets that one stream fills with bytes never sent

    def next_run(self) -> SendStream | None:
        """The stream that alone fills the next packets; None where anything else has its turn."""
        if self._control.due or self._repeats.head is not None:
            return None
        stream = self._fresh.only()
        return None if stream is None or stream.reset_code is not None else stream

    def run_end(self, stream: SendStream) -> int:
        """Up to where credit and what was written let it go in frames that do not end it."""
        end = min(stream.stop_offset, stream.limit, stream.next_offset + self.send_limit - self.sent_bytes)
        return end - 1 if stream.is_fin and end == stream.stop_offset else end

    def run_record(self, stream: SendStream, start: int, end: int) -> StreamRecord:
        """Of a STREAM frame of [start, end) without an end."""
        return StreamRecord(stream, start, end, False)

    def sent_run(self, stream: SendStream, end: int) -> None:
        """Everything up to `end` is in packets."""
        self.sent_bytes += end - stream.next_offset
        stream.run_sent(end)
        if stream.was_full and stream.stop_offset - end < LOW_WATER_BYTES:
            stream.was_full = False
            self._stream_writable(stream)
        if not stream.has_fresh:
            self._all_sent(stream)
        self._look()

    def _stream_writable(self, stream: SendStream) -> None:
        """Little waits to be sent on it."""
        raise NotImplementedError

    def _sending_over(self, stream: SendStream) -> None:
        """The sending part is at its end."""
        raise NotImplementedError

    # As of SendOwner and ControlOwner

    def stream_acked(self, stream: SendStream) -> None:
        """As of `SendOwner`."""
        if stream.is_done:
            self._unschedule(stream)
            self._sending_over(stream)
        else:
            self._repeats.discard(stream)
        self._look()

    def stream_lost(self, stream: SendStream) -> None:
        """As of `SendOwner`."""
        self._repeats.add(stream)
        self.has_frames = True

    # Within

    def _initial_limit(self, stream_id: int) -> int:
        if stream_id & UNI_BIT:
            return self._initial_limits[2]
        return self._initial_limits[0 if stream_id & SERVER_BIT == self._own_bit else 1]

    def _may_be_seen(self, stream_id: int) -> bool:
        """Whether the stream exists for the peer, or may begin to."""
        if stream_id & SERVER_BIT != self._own_bit:
            return True
        return stream_id >> 2 < self._own.allowed[kind_of(stream_id)]

    def _schedule(self, stream: SendStream) -> None:
        """Something changed: perhaps it wants to be sent."""
        if not self._may_be_seen(stream.stream_id):
            kind = kind_of(stream.stream_id)
            if (stream.stop_offset or stream.is_fin) and self._streams_blocked_at[kind] != self._own.allowed[kind]:
                self._streams_blocked_at[kind] = self._own.allowed[kind]
                self._control.say(STREAMS_BLOCKED, kind)
            return
        if stream.has_fresh:
            self._fresh.add(stream)
        elif stream.is_blocked:
            self._say_blocked(stream)
        if stream.has_repeats:
            self._repeats.add(stream)
        self._look()

    def _say_blocked(self, stream: SendStream) -> None:
        """Once for each limit: that it is in the way."""
        if stream.blocked_at != stream.limit:
            stream.blocked_at = stream.limit
            self._control.say(STREAM_BLOCKED, stream.stream_id)

    def _schedule_all(self) -> None:
        for stream in list(self._sending.values()):
            self._schedule(stream)

    def _unschedule(self, stream: SendStream) -> None:
        self._fresh.discard(stream)
        self._repeats.discard(stream)

    def _look(self) -> None:
        """Whether there is anything to send."""
        self.has_frames = (
            (self._fresh.head is not None and self.sent_bytes < self.send_limit)
            or self._repeats.head is not None
            or bool(self._control.due)
        )

    def control_frame(self, key: Key) -> bytes | None:
        """As of `ControlOwner`."""
        raise NotImplementedError

    def control_told(self, key: Key) -> None:
        """As of `ControlOwner`."""
        raise NotImplementedError

    def control_arrived(self, key: Key) -> None:
        """As of `ControlOwner`."""
        raise NotImplementedError


NEVER = -1
LOW_WATER_BYTES = 128 << 10
LEAST_ROOM_BYTES = 8
"""A packet with less room is full."""
