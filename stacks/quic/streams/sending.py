"""The sending side of a stream (RFC 9000 3.1)."""

from __future__ import annotations

from stacks.quic.streams.ranges import Ranges
from stacks.quic.streams.send_buffer import SendBuffer


class SendStream:
    """What is to be sent, was sent, and got lost.

    credit: how far the peer lets us (MAX_STREAM_DATA). next_offset: of data never sent. fin_offset: where the stream
    ends, None while it goes on. reset_code: it was reset. is_done: the peer has everything, or the reset.
    """

    __slots__ = (
        "_acked", "buffer", "credit", "fin_offset", "is_done", "is_fin_acked", "is_fin_due", "lost", "next_offset",
        "reliable_bytes", "reset_code", "stream_id", "was_full",
    )  # fmt: skip

    def __init__(self, stream_id: int, credit: int) -> None:
        self.stream_id = stream_id
        self.credit = credit
        self.buffer = SendBuffer()
        self.next_offset = 0
        self.fin_offset: int | None = None
        self.is_fin_due = self.is_fin_acked = self.is_done = self.was_full = False
        self.reset_code: int | None = None
        self.reliable_bytes = 0
        self.lost = Ranges()
        self._acked: Ranges | None = None

    @property
    def unsent_bytes(self) -> int:
        """Written and never sent."""
        return self.buffer.end - self.next_offset

    def has_data(self, connection_credit: int) -> bool:
        """Whether there is anything to put into a STREAM frame now."""
        if self.lost.spans or (self.is_fin_due and self.next_offset == self.fin_offset):
            return True
        return connection_credit > 0 and self.next_offset < min(self.buffer.end, self.credit)

    def acked(self, start: int, end: int, is_fin: bool) -> None:
        """The peer has [start, end)."""
        buffer = self.buffer
        if is_fin:
            self.is_fin_acked = True
            self.is_fin_due = False
        if self.lost.spans:
            self.lost.remove(start, end)
        if start <= buffer.start:
            if end > buffer.start:
                self._release(end)
        elif end > start:
            if self._acked is None:
                self._acked = Ranges()
            self._acked.add(start, end)
        if self.reset_code is None:
            self.is_done = self.is_fin_acked and buffer.start == self.fin_offset

    def was_lost(self, start: int, end: int, is_fin: bool) -> None:
        """[start, end) is to be sent again, as far as the peer does not have it."""
        if self.reset_code is not None:
            end = min(end, self.reliable_bytes)
            is_fin = False
        if is_fin and not self.is_fin_acked:
            self.is_fin_due = True
        start = max(start, self.buffer.start)
        if start >= end:
            return
        self.lost.add(start, end)
        if self._acked is not None:
            for first, last in self._acked.spans:
                self.lost.remove(first, last)

    def _release(self, until: int) -> None:
        acked = self._acked
        while acked is not None and acked.spans and acked.spans[0][0] <= until:
            until = max(until, acked.spans[0][1])
            del acked.spans[0]
        if acked is not None and not acked.spans:
            self._acked = None
        self.buffer.release(until)


class StreamRecord:
    """A STREAM frame that was sent."""

    __slots__ = ("_end", "_is_fin", "_owner", "_start", "_stream")

    def __init__(self, owner: StreamSender, stream: SendStream, start: int, end: int, is_fin: bool) -> None:
        self._owner = owner
        self._stream = stream
        self._start = start
        self._end = end
        self._is_fin = is_fin

    def acked(self, now: int) -> None:  # noqa: ARG002
        """As of `SentFrame`."""
        stream = self._stream
        if not stream.is_done:
            stream.acked(self._start, self._end, self._is_fin)
            self._owner.progressed(stream)

    def lost(self, now: int) -> None:  # noqa: ARG002
        """As of `SentFrame`."""
        stream = self._stream
        if not stream.is_done:
            stream.was_lost(self._start, self._end, self._is_fin)
            self._owner.wants(stream)


class StreamSender:
    """Whoever schedules streams: what a record calls."""

    def progressed(self, stream: SendStream) -> None:
        """Something was acknowledged that matters: the stream is done, or its application waits for room."""
        raise NotImplementedError

    def wants(self, stream: SendStream) -> None:
        """The stream may have something to send."""
        raise NotImplementedError
