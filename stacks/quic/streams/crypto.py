"""CRYPTO streams: one a level, without flow control, and bounded (RFC 9000 19.6, 7.5)."""

from __future__ import annotations

from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.packet_writer import PacketWriter
from stacks.quic.streams.receiving import ReceiveStream
from stacks.quic.streams.sending import SendStream
from wire.quic.frames import Crypto
from wire.quic.varint import VARINT_MAX, varint_bytes


class CryptoSender:
    """A `FrameSource` for CRYPTO frames."""

    __slots__ = ("_stream", "has_frames")

    def __init__(self) -> None:
        self.has_frames = False
        self._stream: SendStream | None = None

    def write(self, data: bytes) -> None:
        """Send more."""
        if self._stream is None:
            self._stream = SendStream(-1, VARINT_MAX)
        self._stream.buffer.append(data)
        self.has_frames = True

    def write_frames(self, packet: PacketWriter, now: int) -> None:  # noqa: ARG002
        """As of `FrameSource`."""
        stream = self._stream
        assert stream is not None
        while self.has_frames:
            room = packet.room_bytes - MAX_HEAD_BYTES
            if room <= 0:
                return
            if stream.lost.spans:
                start, end = stream.lost.take_first(room)
            else:
                start = stream.next_offset
                end = min(stream.buffer.end, start + room)
                stream.next_offset = end
            data = bytearray(end - start)
            stream.buffer.copy(start, end, data, 0)
            packet.put(Crypto(start, data).encode(), CryptoRecord(self, start, end))
            self.has_frames = bool(stream.lost.spans) or stream.next_offset < stream.buffer.end

    def acked(self, start: int, end: int) -> None:
        """The peer has it."""
        assert self._stream is not None
        self._stream.acked(start, end, is_fin=False)
        self._look()

    def lost(self, start: int, end: int) -> None:
        """It is to be sent again."""
        assert self._stream is not None
        self._stream.was_lost(start, end, is_fin=False)
        self._look()

    def _look(self) -> None:
        stream = self._stream
        assert stream is not None
        self.has_frames = bool(stream.lost.spans) or stream.next_offset < stream.buffer.end


class CryptoRecord:
    """A CRYPTO frame that was sent."""

    __slots__ = ("_end", "_owner", "_start")

    def __init__(self, owner: CryptoSender, start: int, end: int) -> None:
        self._owner = owner
        self._start = start
        self._end = end

    def acked(self, now: int) -> None:  # noqa: ARG002
        """As of `SentFrame`."""
        self._owner.acked(self._start, self._end)

    def lost(self, now: int) -> None:  # noqa: ARG002
        """As of `SentFrame`."""
        self._owner.lost(self._start, self._end)


class CryptoReceiver:
    """CRYPTO data in order. limit_bytes: that is kept out of order."""

    __slots__ = ("_limit_bytes", "_stream")

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._stream: ReceiveStream | None = None

    def handle(self, offset: int, data: memoryview) -> None:
        """A CRYPTO frame; QuicError CRYPTO_BUFFER_EXCEEDED where it is too far ahead."""
        if self._stream is None:
            self._stream = ReceiveStream(-1, VARINT_MAX)
        if offset + len(data) > self._stream.offset + self._limit_bytes:
            raise QuicError(TransportErrorCode.CRYPTO_BUFFER_EXCEEDED, "CRYPTO data too far ahead")
        self._stream.receive(offset, data, is_fin=False)

    def take(self) -> bytes:
        """What is in order and was not taken."""
        return b"" if self._stream is None else self._stream.take(VARINT_MAX)


MAX_HEAD_BYTES = 1 + 8 + varint_bytes(0x3FFF)
