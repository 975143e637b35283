"""All streams of a connection, as its application sees them: opened, written, read, reset, and by priority."""

from __future__ import annotations

from collections.abc import Iterator

from stacks.quic.streams import control
from stacks.quic.streams.identifiers import BIDI, SERVER_BIT, UNI
from stacks.quic.streams.incoming import Incoming
from stacks.quic.streams.outgoing import LOW_WATER_BYTES
from stacks.quic.streams.receive_stream import ReceiveStream
from stacks.quic.streams.send_stream import SendStream
from stacks.runtime import LocalError
from wire.quic.varint import VARINT_MAX


class Streams(Incoming):
    """A `FrameSource`. `Incoming` has what the peer's frames do, `Outgoing` what goes into packets."""

    __slots__ = ()

    # For the application

    def open(self, is_unidirectional: bool) -> int:
        """A new stream of ours. What is written waits until the peer allows it, if need be."""
        kind = UNI if is_unidirectional else BIDI
        stream_id = self._own.opened[kind] << 2 | kind << 1 | self._own_bit
        self._own.opened[kind] += 1
        self._sending[stream_id] = SendStream(stream_id, self._initial_limit(stream_id), self)
        if not is_unidirectional:
            self._receiving[stream_id] = ReceiveStream(stream_id, self._stream_window, self._gaps)
        return stream_id

    def can_open(self, is_unidirectional: bool) -> bool:
        """Whether the peer allows another stream of ours at present."""
        kind = UNI if is_unidirectional else BIDI
        return self._own.opened[kind] < self._own.allowed[kind]

    def write(self, stream_id: int, data: bytes | bytearray | memoryview, is_fin: bool = False) -> None:
        """Send `data`, and the stream's end if `is_fin`.

        `bytes` are kept as they are, anything else is copied. LocalError where there is no such stream, or nothing may
        be written to it (any more).
        """
        stream = self._sending.get(stream_id)
        if stream is None:
            self._check_known(stream_id)
            raise LocalError(f"stream {stream_id} cannot be written to (any more)")
        stream.write(data, is_fin=is_fin)
        if stream.unsent_bytes >= LOW_WATER_BYTES:
            stream.was_full = True
        self._schedule(stream)

    def unsent_bytes(self, stream_id: int) -> int:
        """Written, and never in a packet; 0 where the sending part is over."""
        stream = self._sending.get(stream_id)
        return 0 if stream is None else stream.unsent_bytes

    def unacked_bytes(self, stream_id: int) -> int:
        """Written, and not known to have arrived; 0 where the sending part is over."""
        stream = self._sending.get(stream_id)
        return 0 if stream is None else stream.unacked_bytes

    def is_sent(self, stream_id: int) -> bool:
        """Whether the sending part is over: the peer has everything with the end, or knows of the reset."""
        return stream_id not in self._sending

    def read(self, stream_id: int, limit: int) -> bytes:
        """The next bytes in order, `limit` at most; b"" where there are none (any more, or yet).

        Reading is what gives the peer new credit. LocalError for a stream of ours that was not opened.
        """
        stream = self._receiving.get(stream_id)
        if stream is None:
            self._is_over(stream_id)
            return b""
        stream.is_told = False
        data = b""
        if stream.buffer is not None and stream.stop_code is None:
            data = stream.buffer.read(limit)
            if data:
                self._consumed(len(data))
                if stream.final_size is None:
                    self._move_window(stream)
        if stream.final_size is not None and stream.is_complete:
            self._finish_receiving(stream)
        return data

    def read_chunks(self, stream_id: int) -> bytes:
        """Everything that is in order."""
        return self.read(stream_id, VARINT_MAX)

    def readable_bytes(self, stream_id: int) -> int:
        """In order, and not read."""
        stream = self._receiving.get(stream_id)
        return 0 if stream is None else stream.readable_bytes

    def is_finished(self, stream_id: int) -> bool:
        """Whether everything that will ever come was read, or the peer gave up.

        LocalError for a stream of ours that was not opened.
        """
        stream = self._receiving.get(stream_id)
        return self._is_over(stream_id) if stream is None else stream.is_complete

    def reset(self, stream_id: int, code: int, reliable_bytes: int = 0) -> None:
        """Send no more, but the first `reliable_bytes` of what was written, if the peer knows RESET_STREAM_AT.

        Nothing happens where the sending part is over. code: of the application protocol; the first one stays.
        LocalError for a reliable part that the peer does not know of.
        """
        if reliable_bytes and (self._parameters is None or not self._parameters.reset_stream_at):
            raise LocalError("the peer does not know RESET_STREAM_AT: no part of a reset stream can be reliable")
        if not 0 <= code <= VARINT_MAX:
            raise LocalError(f"an application error code has 62 bits: {code} does not fit")
        stream = self._sending.get(stream_id)
        if stream is None:
            self._check_known(stream_id)
        else:
            self._reset(stream, code, reliable_bytes)

    def stop_sending(self, stream_id: int, code: int) -> None:
        """Read no more, and have the peer send no more. Nothing happens where the receiving part is over.

        code: of the application protocol. LocalError where there is no such stream.
        """
        if not 0 <= code <= VARINT_MAX:
            raise LocalError(f"an application error code has 62 bits: {code} does not fit")
        stream = self._receiving.get(stream_id)
        if stream is None:
            self._check_known(stream_id)
            return
        if stream.stop_code is not None:
            return
        stream.stop_code = code
        unread = stream.highest - stream.read_offset
        stream.drop()
        self._consumed(unread)
        if stream.final_size is not None:
            self._finish_receiving(stream)
        elif self._may_be_seen(stream_id):
            self._control.say(control.STOP, stream_id)

    def set_priority(self, stream_id: int, urgency: int, is_incremental: bool) -> None:
        """When its bytes go: urgency 0 first to 7 last; is_incremental: by turns with others (RFC 9218 4).

        At first 3, and one after the other. LocalError for another urgency.
        """
        if not 0 <= urgency <= URGENCY_LAST:
            raise LocalError(f"urgency is 0 (first) to {URGENCY_LAST} (last), not {urgency}")
        stream = self._sending.get(stream_id)
        if stream is not None and (stream.urgency, stream.is_incremental) != (urgency, is_incremental):
            self._unschedule(stream)
            stream.urgency, stream.is_incremental = urgency, is_incremental
            self._schedule(stream)

    def sender(self, stream_id: int) -> SendStream | None:
        """The sending part, to look at; None where it is over, or never was."""
        return self._sending.get(stream_id)

    def receiver(self, stream_id: int) -> ReceiveStream | None:
        """The receiving part, to look at; None where it is over, or never was."""
        return self._receiving.get(stream_id)

    def ids(self) -> Iterator[int]:
        """Streams of which either part is not over, ascending."""
        return iter(sorted({**self._sending, **self._receiving}))

    def _is_over(self, stream_id: int) -> bool:
        """Of a stream that does not receive: whether it did; False where the peer has not opened it yet."""
        if stream_id & SERVER_BIT == self._own_bit:
            self._check_known(stream_id)
        return self._was_opened(stream_id)

    def _check_known(self, stream_id: int) -> None:
        """LocalError where there never was such a stream."""
        if not self._was_opened(stream_id):
            raise LocalError(f"there is no stream {stream_id}: it was not opened")


URGENCY_LAST = 7
