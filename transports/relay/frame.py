"""A relay between two frame transports, such as TUN or TAP devices in two network namespaces.

Frames go through untouched, addresses, ports, Identification and all, which RoCE's ICRC and TCP's checksum cover. Only
where a queue of the model marks a packet, its ECN bits become CE and the IPv4 header's checksum follows (RFC 1624).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from zlib import crc32

from transports.datagram import Buffer
from transports.frames import FrameTransport
from transports.link.packet import ECN_CE, Sink
from transports.pump import HasFileno
from transports.relay.direction import Direction
from transports.relay.packet import RelayPacket, corrupted
from transports.relay.relay import Relay
from wire.datagrams import ip_packet_of
from wire.ip import IpProtocol


class FrameRelay:
    """The link between two frame transports, which stay the caller's to close.

    forward: from left to right; back: from right to left. offset: of the IP header in a frame, 0 for TUN, 14 for TAP.
    """

    def __init__(
        self,
        relay: Relay,
        left: FrameTransport,
        right: FrameTransport,
        *,
        forward: Direction,
        back: Direction,
        offset: int = 0,
    ) -> None:
        self.left = _Device(relay, left, offset)
        self.right = _Device(relay, right, offset)
        self.left.route = (*forward.elements, self.right.leave)
        self.right.route = (*back.elements, self.left.leave)
        relay.add(self.left)
        relay.add(self.right)


class _Device:
    """A frame transport as an end of a relay. route: what its frames pass."""

    route: tuple[Sink, ...]

    def __init__(self, relay: Relay, transport: FrameTransport, offset: int) -> None:
        self.on_leave: Callable[[RelayPacket], object] | None = None
        self._relay = relay
        self._transport = transport
        self._offset = offset
        self._waiting: deque[RelayPacket] = deque()

    def fileno(self) -> int:
        assert isinstance(self._transport, HasFileno)
        return self._transport.fileno()

    def take(self) -> bool:
        relay, receive, route, offset = self._relay, self._transport.receive, self.route, self._offset
        timeline, record = relay.timeline, relay.punctuality.arrival.record
        first, clock = route[0], relay.now
        for _ in range(FRAMES):
            frame = receive()
            if frame is None:
                return False
            now = clock()
            if timeline.now < now:
                timeline.run(now)
            record(now - relay.looked_ns)
            flow, ecn = classify(frame, offset)
            packet = RelayPacket(frame, len(frame) - offset, route, flow, ecn)
            packet.hop = 0
            first(packet)
        return True

    def leave(self, packet: RelayPacket) -> None:
        """A frame for this side has left the model."""
        packet.due_ns = self._relay.timeline.now
        if not self._waiting:
            self._relay.send(self)
        self._waiting.append(packet)

    def flush(self) -> bool:
        waiting, send = self._waiting, self._transport.send
        record, clock = self._relay.punctuality.departure.record, self._relay.now
        while waiting:
            packet = waiting[0]
            frame = packet.data
            if packet.ecn == ECN_CE:
                frame = packet.data = marked(frame, self._offset)
            if packet.is_corrupt:
                frame = packet.data = corrupted(packet)
                packet.is_corrupt = False
            if not send((frame,)):
                return False
            record(clock() - packet.due_ns)
            waiting.popleft()
        return True


def classify(frame: memoryview, offset: int) -> tuple[int, int]:
    """The flow of a frame, by addresses, protocol and ports, and its ECN bits; 0, 0 if it is not IP."""
    version = frame[offset] >> 4 if len(frame) > offset + 20 else 0
    if version == 4:
        ports = frame[offset + 20 : offset + 24] if frame[offset] & 15 == 5 and not frame[offset + 6] & 63 else b""
        return crc32(ports, crc32(frame[offset + 12 : offset + 20], frame[offset + 9])), frame[offset + 1] & 3
    if version == 6:
        return crc32(frame[offset + 8 : offset + 44], frame[offset + 6]), frame[offset + 1] >> 4 & 3
    return 0, 0


def flow_name(frame: Buffer, offset: int) -> str:
    """Who talks to whom in a frame: `10.77.0.1:40000>10.77.0.2:5001/6`, the protocol's number last."""
    packet = ip_packet_of(frame[offset:], RAW_IP)
    if packet is None:
        return "other"
    ports = [
        f":{int.from_bytes(packet.packet[packet.offset + at : packet.offset + at + 2], 'big')}"
        if packet.protocol in (IpProtocol.TCP, IpProtocol.UDP)
        else ""
        for at in (0, 2)
    ]
    return f"{packet.source}{ports[0]}>{packet.destination}{ports[1]}/{packet.protocol}"


def marked(frame: memoryview | bytes | bytearray, offset: int) -> memoryview | bytes | bytearray:
    """An IP packet with CE; the same object if it has that already."""
    version, second = frame[offset] >> 4, frame[offset + 1]
    if version == 6:
        if second & 0x30 == 0x30:
            return frame
        changed = bytearray(frame)
        changed[offset + 1] = second | 0x30
        return changed
    if second & 3 == 3:
        return frame
    changed = bytearray(frame)
    changed[offset + 1] = second | 3
    # HC' = ~(~HC + ~m + m'): RFC 1624 3, where m and m' are the word with version, length and traffic class.
    at = offset + 10
    total = (changed[at] << 8 | changed[at + 1]) ^ 0xFFFF
    total += (frame[offset] << 8 | second) ^ 0xFFFF
    total += changed[offset] << 8 | changed[offset + 1]
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16) ^ 0xFFFF
    changed[at], changed[at + 1] = total >> 8, total & 0xFF
    return changed


RAW_IP = 101
FRAMES = 64
"""Frames that one pass reads of one device, so that neither holds up what is due."""
