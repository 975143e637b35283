"""Unreliable datagrams (RFC 9221): sent once, under congestion control, and never again."""

from __future__ import annotations

from collections import deque

from stacks.quic.configuration import Configuration
from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.events import DatagramReceived, Event
from stacks.quic.packet_writer import PacketWriter
from stacks.runtime import LocalError
from wire.quic.frame_types import FRAME_DATAGRAM_LENGTH
from wire.quic.parameters import TransportParameters
from wire.quic.varint import encode_varint


class Datagrams:
    """A `FrameSource` for DATAGRAM frames.

    dropped: that fitted no packet, that made room for newer ones, or that the application did not take in time.
    """

    __slots__ = (
        "_events", "_limit_bytes", "_peer_limit_bytes", "_unread_bytes", "_waiting", "_waiting_bytes", "dropped",
        "has_frames",
    )  # fmt: skip

    def __init__(self, configuration: Configuration, *, events: deque[Event]) -> None:
        self.has_frames = False
        self.dropped = 0
        self._events = events
        self._limit_bytes = configuration.max_datagram_frame_bytes
        self._peer_limit_bytes = 0
        self._waiting: deque[bytes] | None = None
        self._waiting_bytes = self._unread_bytes = 0

    @property
    def peer_limit_bytes(self) -> int:
        """The largest DATAGRAM frame that the peer takes, type and length included; 0 for none."""
        return self._peer_limit_bytes

    def apply_peer_parameters(self, peer: TransportParameters) -> None:
        """Whether the peer takes datagrams, and how large; for 0-RTT what is remembered (RFC 9221 3)."""
        self._peer_limit_bytes = peer.max_datagram_frame_size

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send one. Where `MAX_WAITING_BYTES` wait already, the oldest is dropped.

        LocalError where the peer takes none, or none so large. One that is too large for a packet is dropped when its
        turn comes.
        """
        data = bytes(data)
        if not self._peer_limit_bytes:
            raise LocalError("the peer takes no datagrams")
        frame_bytes = 1 + len(encode_varint(len(data))) + len(data)
        if frame_bytes > self._peer_limit_bytes:
            raise LocalError(
                f"a datagram of {len(data)} bytes makes a frame of {frame_bytes}: "
                f"the peer takes {self._peer_limit_bytes}"
            )
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        while self._waiting_bytes > MAX_WAITING_BYTES and len(self._waiting) > 1:
            self._waiting_bytes -= len(self._waiting.popleft())
            self.dropped += 1
        self.has_frames = True

    def write_frames(self, packet: PacketWriter, now: int) -> None:  # noqa: ARG002
        """As of `FrameSource`: the oldest first; one that no packet can carry is dropped."""
        waiting = self._waiting
        while waiting:
            data = waiting[0]
            head = DATAGRAM_TYPE + encode_varint(len(data))
            body = packet.offset + len(head)
            end = body + len(data)
            if end <= packet.limit:
                packet.view[packet.offset : body] = head
                packet.view[body:end] = data
                packet.wrote(end)
            elif packet.has_frames:
                return
            else:
                self.dropped += 1
            waiting.popleft()
            self._waiting_bytes -= len(data)
        self.has_frames = False

    def handle_datagram(self, data: memoryview, frame_bytes: int, now: int) -> None:  # noqa: ARG002
        """A DATAGRAM frame of `frame_bytes`, type and length included.

        QuicError PROTOCOL_VIOLATION where none were announced, or none so large (RFC 9221 3).
        """
        if frame_bytes > self._limit_bytes:
            announced = f"at most {self._limit_bytes} were" if self._limit_bytes else "none were"
            raise QuicError(
                TransportErrorCode.PROTOCOL_VIOLATION,
                f"a DATAGRAM frame of {frame_bytes} bytes, and {announced} announced",
                frame_type=FRAME_DATAGRAM_LENGTH,
            )
        size = len(data) + OVERHEAD_BYTES
        if self._unread_bytes + size > MAX_UNREAD_BYTES:
            self.dropped += 1
        else:
            self._unread_bytes += size
            self._events.append(DatagramReceived(bytes(data)))

    def taken(self, event: DatagramReceived) -> None:
        """The application has taken one."""
        self._unread_bytes -= len(event.data) + OVERHEAD_BYTES


DATAGRAM_TYPE = FRAME_DATAGRAM_LENGTH.to_bytes(1, "big")
MAX_WAITING_BYTES = 1 << 20
MAX_UNREAD_BYTES = 1 << 20
"""Of datagrams that the application did not take yet: those that come then are dropped (RFC 9221 5.3)."""
OVERHEAD_BYTES = 128
"""Of each: an empty one costs something as well."""
