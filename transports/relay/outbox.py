"""What has left the models, on its way into a system call."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from transports.datagram import Address, Buffer, DatagramTransport, Transmit
from transports.relay.lateness import Lateness
from transports.relay.packet import RelayPacket
from transports.segments import MAX_SEGMENTS, MAX_UDP_PAYLOAD_BYTES


class DatagramOutbox:
    """Packets for one transport. Equal ones to one place that follow each other leave in one call.

    lateness: is told of every packet that has left; now: when that was. sent_packets, sent_bytes: those, of payload.
    """

    def __init__(self, transport: DatagramTransport, lateness: Lateness, now: Callable[[], int]) -> None:
        self.sent_packets = 0
        self.sent_bytes = 0
        self._transport = transport
        self._lateness = lateness
        self._now = now
        self._waiting: deque[tuple[Address, RelayPacket]] = deque()
        self._kept: tuple[Transmit, list[RelayPacket]] | None = None

    def __len__(self) -> int:
        return len(self._waiting) + (len(self._kept[1]) if self._kept else 0)

    def add(self, destination: Address, packet: RelayPacket) -> None:
        """`packet` goes to `destination`; its `due_ns` is set."""
        self._waiting.append((destination, packet))

    def flush(self) -> bool:
        """Send everything; False when the socket has no room for all of it."""
        while self._kept or self._waiting:
            transmit, packets = self._kept or self._next_run()
            if not self._transport.send(transmit):
                self._kept = transmit, packets
                return False
            self._kept = None
            record, now = self._lateness.record, self._now()
            for packet in packets:
                record(now - packet.due_ns)
            self.sent_packets += len(packets)
        return True

    def _next_run(self) -> tuple[Transmit, list[RelayPacket]]:
        waiting = self._waiting
        destination, first = waiting.popleft()
        packets, step, ecn = [first], len(first.data), first.ecn
        room = min(MAX_SEGMENTS, MAX_UDP_PAYLOAD_BYTES // (step or 1)) - 1
        views: list[Buffer] = [first.data]
        while waiting and room > 0:
            where, packet = waiting[0]
            length = len(packet.data)
            if packet.ecn != ecn or length > step or where is not destination:
                break
            waiting.popleft()
            views.append(packet.data)
            packets.append(packet)
            room -= 1
            if length < step:
                break
        self.sent_bytes += sum(map(len, views))
        return Transmit(views, step if len(views) > 1 else 0, None, destination, ecn), packets
