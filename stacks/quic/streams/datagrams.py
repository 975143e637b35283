"""Unreliable datagrams (RFC 9221)."""

from __future__ import annotations

from collections import deque

from stacks.quic.configuration import Configuration
from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.events import DatagramReceived, Event
from stacks.quic.packet_writer import PacketWriter
from stacks.runtime.errors import LocalError
from wire.quic.parameters import TransportParameters
from wire.quic.stream_frames import Datagram


class Datagrams:
    """A `FrameSource` for DATAGRAM frames. dropped: that nobody read in time, or that fit no packet."""

    __slots__ = ("_events", "_limit_bytes", "_peer_limit_bytes", "_unread_bytes", "_waiting", "dropped", "has_frames")

    def __init__(self, configuration: Configuration, *, events: deque[Event]) -> None:
        self.has_frames = False
        self.dropped = 0
        self._events = events
        self._limit_bytes = configuration.max_datagram_frame_bytes
        self._peer_limit_bytes = 0
        self._unread_bytes = 0
        self._waiting: deque[bytes] = deque()

    @property
    def peer_limit_bytes(self) -> int:
        """The largest DATAGRAM frame that the peer takes, type and length included; 0 for none."""
        return self._peer_limit_bytes

    def apply_peer_parameters(self, peer: TransportParameters) -> None:
        """Whether the peer takes datagrams."""
        self._peer_limit_bytes = peer.max_datagram_frame_size

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send one; LocalError where the peer takes none so large."""
        if len(data) + FRAME_BYTES > self._peer_limit_bytes:
            raise LocalError(f"a datagram of {len(data)} bytes: the peer takes {self._peer_limit_bytes} with its frame")
        self._waiting.append(bytes(data))
        self.has_frames = True

    def write_frames(self, packet: PacketWriter, now: int) -> None:  # noqa: ARG002
        """As of `FrameSource`. One that no packet can carry is dropped."""
        waiting = self._waiting
        while waiting:
            if not packet.put(Datagram(waiting[0]).encode()):
                if packet.has_frames:
                    return
                self.dropped += 1
            waiting.popleft()
        self.has_frames = False

    def handle_datagram(self, data: memoryview, frame_bytes: int, now: int) -> None:  # noqa: ARG002
        """A DATAGRAM frame of `frame_bytes`, type and length included."""
        if frame_bytes > self._limit_bytes:
            raise QuicError(TransportErrorCode.PROTOCOL_VIOLATION, "a DATAGRAM larger than announced")
        size = len(data) + OVERHEAD_BYTES
        if self._unread_bytes + size > MAX_UNREAD_BYTES:
            self.dropped += 1
        else:
            self._unread_bytes += size
            self._events.append(DatagramReceived(bytes(data)))

    def taken(self, event: DatagramReceived) -> None:
        """The application has taken one."""
        self._unread_bytes -= len(event.data) + OVERHEAD_BYTES


FRAME_BYTES = 3
MAX_UNREAD_BYTES = 1 << 20
"""Of datagrams that the application did not take yet: those that come then are dropped (RFC 9221 5.3)."""
OVERHEAD_BYTES = 128
"""Of each: an empty one costs something as well."""
