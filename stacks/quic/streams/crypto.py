"""CRYPTO streams: one a level, without flow control, and bounded (RFC 9000 7.5, 19.6)."""

from __future__ import annotations

from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.packet_writer import PacketWriter
from stacks.quic.streams.ranges import Ranges
from stacks.quic.streams.receive_buffer import GapBudget, ReceiveBuffer
from stacks.quic.streams.send_buffer import SendBuffer
from wire.quic.frame_types import FRAME_CRYPTO
from wire.quic.varint import encode_varint


class CryptoSender:
    """A `FrameSource` for CRYPTO frames. What was sent and acknowledged costs nothing any more."""

    __slots__ = ("_acked", "_buffer", "_lost", "_next_offset", "has_frames")

    def __init__(self) -> None:
        self.has_frames = False
        self._next_offset = 0
        self._buffer: SendBuffer | None = None
        self._acked: Ranges | None = None
        self._lost: Ranges | None = None

    def write(self, data: bytes) -> None:
        """Send more of the handshake."""
        if self._buffer is None:
            self._buffer = SendBuffer()
            self._acked, self._lost = Ranges(), Ranges()
        self._buffer.append(data)
        self._look()

    def write_frames(self, packet: PacketWriter, now: int) -> None:  # noqa: ARG002
        """As of `FrameSource`: what was lost first."""
        buffer, lost = self._buffer, self._lost
        while self.has_frames and buffer is not None and lost is not None:
            is_repeat = bool(lost)
            start, end = lost.spans[0] if is_repeat else (self._next_offset, buffer.end)
            sent = self._put(packet, buffer, start, end)
            if not sent:
                return
            if is_repeat:
                lost.subtract(start, start + sent)
            else:
                self._next_offset += sent
            self._look()

    def acked(self, start: int, end: int) -> None:
        """The peer has it."""
        buffer, acked, lost = self._buffer, self._acked, self._lost
        assert buffer is not None
        assert acked is not None
        assert lost is not None
        acked.add(start, end)
        lost.subtract(start, end)
        buffer.release(acked.merge_into(buffer.start))
        self._look()

    def lost(self, start: int, end: int) -> None:
        """It is to be sent again, as far as it has not arrived since."""
        buffer, acked, lost = self._buffer, self._acked, self._lost
        assert buffer is not None
        assert acked is not None
        assert lost is not None
        start = max(start, buffer.start)
        if start < end:
            lost.add(start, end)
            for acked_start, acked_end in acked.spans:
                lost.subtract(acked_start, acked_end)
        self._look()

    def send_again(self) -> None:
        """For a probe (RFC 9002 6.2.4): what was sent and is not acknowledged is to be sent once more."""
        if self._buffer is not None:
            self.lost(self._buffer.start, self._next_offset)

    def _put(self, packet: PacketWriter, buffer: SendBuffer, start: int, end: int) -> int:
        """One frame; how many bytes are in it, 0 where there is no room."""
        head = FRAME_CRYPTO.to_bytes(1, "big") + encode_varint(start)
        room = packet.limit - packet.offset - len(head)
        count = min(end - start, room - len(encode_varint(end - start)))
        if count <= 0:
            return 0
        head += encode_varint(count)
        body = packet.offset + len(head)
        packet.view[packet.offset : body] = head
        buffer.copy(start, start + count, packet.view, body)
        packet.wrote(body + count, CryptoRecord(self, start, start + count))
        return count

    def _look(self) -> None:
        buffer = self._buffer
        self.has_frames = buffer is not None and (bool(self._lost) or self._next_offset < buffer.end)


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
    """CRYPTO data in order. limit_bytes: how far ahead of what was taken the peer may send; at least 4096 (7.5)."""

    __slots__ = ("_buffer", "_limit_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._buffer: ReceiveBuffer | None = None

    def handle(self, offset: int, data: memoryview) -> None:
        """A CRYPTO frame; QuicError CRYPTO_BUFFER_EXCEEDED where it is too far ahead."""
        buffer = self._buffer
        if buffer is None:
            buffer = self._buffer = ReceiveBuffer(GapBudget(MAX_GAPS))
        if offset + len(data) > buffer.start + self._limit_bytes:
            raise QuicError(
                TransportErrorCode.CRYPTO_BUFFER_EXCEEDED,
                f"CRYPTO data up to {offset + len(data)}, and {buffer.start} bytes are complete",
                frame_type=FRAME_CRYPTO,
            )
        buffer.add(offset, data)

    def take(self) -> bytes:
        """What is in order and was not taken."""
        buffer = self._buffer
        return b"" if buffer is None else buffer.read(buffer.end - buffer.start)


MAX_GAPS = 256
"""Frames of a flight are as large as packets: there are never so many gaps between them."""
