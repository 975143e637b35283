"""The sending part of one stream: what is written, sent, lost and acknowledged, and how it ends (RFC 9000 3.1, 13.3).

    buffer.start <= floor of acknowledgements          next_offset        stop_offset
         |  acknowledged, lost, in flight                   |  not sent yet    |
"""

from __future__ import annotations

from typing import Protocol

from stacks.quic.packet_writer import PacketWriter
from stacks.quic.streams.ranges import Ranges
from stacks.quic.streams.send_buffer import Data, SendBuffer
from stacks.quic.streams.states import SEND_TABLE, SendEvent, SendState
from stacks.runtime import LocalError, Verdict
from wire.quic.frame_types import FRAME_STREAM, STREAM_FIN, STREAM_LEN, STREAM_OFF
from wire.quic.varint import encode_varint


class SendOwner(Protocol):
    """Whoever is told that something happened to a stream; the streams of a connection."""

    def stream_acked(self, stream: SendStream) -> None:
        """Everything was acknowledged, or everything that had to be sent again."""

    def stream_lost(self, stream: SendStream) -> None:
        """There is something to be sent again."""


class SendStream:
    """Offsets in bytes of the stream.

    limit: of the peer's flow control; blocked_at: the one that the peer was told to be in the way. next_offset: the
    first that was never sent. stop_offset: up to where bytes are to be sent: all that was written, or the reliable part
    of a reset. is_fin: whether the stream ends at `stop_offset`; is_fin_due: that is to be said (again). reset_code:
    None while it was not reset; reliable_bytes: that are delivered all the same. was_full: much waited to be sent when
    last something was written.
    """

    __slots__ = (
        "acked_ranges", "blocked_at", "buffer", "is_fin", "is_fin_acked", "is_fin_due", "is_incremental",
        "is_reset_acked", "limit", "lost_ranges", "next_offset", "owner", "prefix", "reliable_bytes", "reset_code",
        "state", "stop_offset", "stream_id", "urgency", "was_full",
    )  # fmt: skip

    def __init__(self, stream_id: int, limit: int, owner: SendOwner) -> None:
        self.stream_id = stream_id
        self.prefix = encode_varint(stream_id)
        self.owner = owner
        self.limit = limit
        self.blocked_at = -1
        self.state = SendState.READY
        self.buffer: SendBuffer | None = None
        self.next_offset = self.stop_offset = 0
        self.acked_ranges: Ranges | None = None
        self.lost_ranges: Ranges | None = None
        self.is_fin = self.is_fin_due = self.is_fin_acked = self.is_reset_acked = False
        self.reset_code: int | None = None
        self.reliable_bytes = 0
        self.urgency = URGENCY_DEFAULT
        self.is_incremental = False
        self.was_full = False

    # For the application

    def write(self, data: Data, *, is_fin: bool) -> None:
        """Send more, and the end; LocalError where that is not possible any more."""
        if self.reset_code is not None:
            raise LocalError(f"stream {self.stream_id} was reset: nothing more can be written to it")
        if self.is_fin:
            raise LocalError(f"stream {self.stream_id} was ended: nothing more can be written to it")
        if self.buffer is None:
            self.buffer = SendBuffer()
        self.buffer.append(data)
        self.stop_offset = self.buffer.end
        if is_fin:
            self.is_fin = self.is_fin_due = True

    def reset(self, code: int, reliable_bytes: int) -> bool:
        """Give up, but for the first `reliable_bytes` of what was written; whether that changes anything.

        Again, it can only lower `reliable_bytes`.
        """
        written = 0 if self.buffer is None else self.buffer.end
        reliable_bytes = min(reliable_bytes, written)
        if self.is_over or (self.reset_code is not None and reliable_bytes >= self.reliable_bytes):
            return False
        if self.reset_code is None:
            self.reset_code = code
        self.reliable_bytes = self.stop_offset = reliable_bytes
        self.is_fin = self.is_fin_due = False
        self.is_reset_acked = False
        if self.lost_ranges is not None:
            self.lost_ranges.cut(reliable_bytes)
        if not reliable_bytes:
            self._apply(SendEvent.RESET)
            self.buffer = self.lost_ranges = self.acked_ranges = None
        return True

    def reject(self) -> None:
        """The server did not read the 0-RTT packets (RFC 9001 4.6.2): nothing was sent after all."""
        self._apply(SendEvent.REJECTED)
        self.next_offset, self.blocked_at = 0, -1
        self.is_fin_due = self.is_fin
        self.lost_ranges = self.acked_ranges = None

    # What it wants

    @property
    def is_over(self) -> bool:
        """Whether nothing more will ever be sent."""
        return self.state in (SendState.DATA_RECVD, SendState.RESET_SENT, SendState.RESET_RECVD)

    @property
    def is_done(self) -> bool:
        """Whether the peer knows of the end: the machine is at its own."""
        return self.state in (SendState.DATA_RECVD, SendState.RESET_RECVD)

    @property
    def unsent_bytes(self) -> int:
        """Written, and never in a packet."""
        return max(0, self.stop_offset - self.next_offset)

    @property
    def unacked_bytes(self) -> int:
        """Written, and not acknowledged without a gap."""
        return 0 if self.buffer is None else max(0, self.stop_offset - self.buffer.start)

    @property
    def has_fresh(self) -> bool:
        """Whether there are bytes that were never sent, and the stream's credit for them."""
        return self.next_offset < self.stop_offset and self.next_offset < self.limit

    @property
    def has_repeats(self) -> bool:
        """Whether there is something to send that takes no credit: lost bytes, or the end alone."""
        return bool(self.lost_ranges) or (self.is_fin_due and self.next_offset >= self.stop_offset)

    @property
    def is_blocked(self) -> bool:
        """Whether it is the stream's credit that is lacking."""
        return self.limit <= self.next_offset < self.stop_offset

    @property
    def is_reset_due(self) -> bool:
        """Whether the reset may be told: all that it delivers was sent."""
        return self.reset_code is not None and self.next_offset >= self.reliable_bytes

    # Into packets

    def write_fresh(self, packet: PacketWriter, credit: int) -> int:
        """A STREAM frame of bytes that were never sent, `credit` at most; how many, 0 where it does not fit."""
        start = self.next_offset
        stop, limit = self.stop_offset, self.limit
        most = (limit if limit < stop else stop) - start  # noqa: FURB136 - of the hot path
        end = self._put(packet, start, credit if credit < most else most)  # noqa: FURB136
        if end < 0:
            return 0
        self.next_offset = end
        return end - start

    def write_repeat(self, packet: PacketWriter) -> bool:
        """A STREAM frame of lost bytes, or of the end alone; False where it does not fit."""
        if self.lost_ranges:
            start, end = self.lost_ranges.spans[0]
        else:
            start = end = self.stop_offset
        sent = self._put(packet, start, end - start)
        if sent < 0:
            return False
        if self.lost_ranges:
            self.lost_ranges.subtract(start, sent)
        return True

    def run_sent(self, end: int) -> None:
        """Frames of its bytes up to `end`, never sent before and not the last, were written elsewhere."""
        self.next_offset = end
        if self.state is SendState.READY:
            self.state = SendState.SEND

    def _put(self, packet: PacketWriter, start: int, most: int) -> int:
        """One frame from `start` on, `most` bytes at most; where it ends, or -1.

        Its length is left out only where it fills the packet: else padding may follow.
        """
        at, limit = packet.offset, packet.limit
        if start:
            kind = FRAME_STREAM | STREAM_OFF
            head = HEADS[kind] + self.prefix + encode_varint(start)
        else:
            kind = FRAME_STREAM
            head = HEADS[kind] + self.prefix
        body = at + len(head)
        count = limit - body
        is_fin = False
        if most < count or count <= 0:
            length = encode_varint(most)
            count = min(most, count - len(length))
            if count < 0 or (count == 0 and most):
                return -1
            kind |= STREAM_LEN
            head = HEADS[kind] + head[1:] + (length if count == most else encode_varint(count))
            body = at + len(head)
        elif count < most and count < LEAST_BYTES and packet.has_frames:
            return -1
        end = start + count
        view = packet.view
        view[at:body] = head
        if self.is_fin and end == self.stop_offset:
            is_fin = True
            self.is_fin_due = False
            view[at] = kind | STREAM_FIN
        if count:
            self.buffer.copy(start, end, view, body)  # type: ignore[union-attr]  # there are bytes, so there is one
        packet.wrote(body + count, StreamRecord(self, start, end, is_fin))
        if is_fin:
            self._apply(SendEvent.SENT_END)
        elif self.state is SendState.READY:
            self._apply(SendEvent.SENT)
        return end

    # What became of it

    def acked(self, start: int, end: int, is_fin: bool) -> None:
        """A frame arrived."""
        buffer = self.buffer
        if buffer is None:
            return  # reset since
        is_news = False
        if is_fin:
            self.is_fin_acked, self.is_fin_due = True, False
            is_news = True
        if start <= buffer.start:
            if end > buffer.start:
                buffer.release(self.acked_ranges.merge_into(end) if self.acked_ranges else end)
        else:
            if self.acked_ranges is None:
                self.acked_ranges = Ranges()
            self.acked_ranges.add(start, end)
        if self.lost_ranges:
            self.lost_ranges.subtract(start, end)
            is_news = True
        if buffer.start >= self.stop_offset and (self.is_fin_acked or self.reset_code is not None):
            self._end()
            is_news = True
        if is_news and not self.has_repeats:
            self.owner.stream_acked(self)

    def lost(self, start: int, end: int, is_fin: bool) -> None:
        """A frame did not: what is not acknowledged of it since, and still counts, is sent again."""
        if self.buffer is None:
            return
        end = min(end, self.stop_offset, self.next_offset)
        start = max(start, self.buffer.start)
        if start < end:
            if self.lost_ranges is None:
                self.lost_ranges = Ranges()
            self.lost_ranges.add(start, end)
            if self.acked_ranges:
                for acked_start, acked_end in self.acked_ranges.spans:
                    self.lost_ranges.subtract(acked_start, acked_end)
        if is_fin and self.is_fin and not self.is_fin_acked:
            self.is_fin_due = True
        if self.has_repeats:
            self.owner.stream_lost(self)

    def reset_sent(self) -> None:
        """RESET_STREAM_AT went out; RESET_STREAM counted as sent when it was asked for."""
        if self.reliable_bytes:
            self._apply(SendEvent.SENT_END)

    def reset_acked(self) -> None:
        """The newest RESET_STREAM or RESET_STREAM_AT arrived."""
        self.is_reset_acked = True
        if self.state is SendState.RESET_SENT:
            self._apply(SendEvent.RESET_ACKED)
        elif self.buffer is not None and self.buffer.start >= self.stop_offset:
            self._end()

    def _end(self) -> None:
        if self.reset_code is None or self.is_reset_acked:
            self._apply(SendEvent.ALL_ACKED)
            self.buffer = self.lost_ranges = self.acked_ranges = None

    def _apply(self, event: SendEvent) -> None:
        outcome = SEND_TABLE.apply(self.state, event)
        if not isinstance(outcome, Verdict):
            self.state = outcome


class StreamRecord:
    """A STREAM frame that was sent."""

    __slots__ = ("end", "is_fin", "start", "stream")

    def __init__(self, stream: SendStream, start: int, end: int, is_fin: bool) -> None:
        self.stream = stream
        self.start = start
        self.end = end
        self.is_fin = is_fin

    def acked(self, now: int) -> None:  # noqa: ARG002
        """As of `SentFrame`."""
        self.stream.acked(self.start, self.end, self.is_fin)

    def lost(self, now: int) -> None:  # noqa: ARG002
        """As of `SentFrame`."""
        self.stream.lost(self.start, self.end, self.is_fin)


URGENCY_DEFAULT = 3
HEADS = tuple(kind.to_bytes(1, "big") for kind in range(FRAME_STREAM + 8))
LEAST_BYTES = 16
"""A frame that splits a stream's bytes and has fewer is left for the next packet."""
