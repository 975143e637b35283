"""Drop-tail: first in, first out, and what finds no room is dropped."""

from __future__ import annotations

from collections import deque

from transports.link.packet import LinkPacket
from transports.link.queue import Queue


class DropTail(Queue):
    """A queue with room for so many packets, or bytes, or both; 0 is no limit."""

    def __init__(self, *, limit_packets: int = 0, limit_bytes: int = 0) -> None:
        super().__init__()
        self.limit_packets = limit_packets or UNLIMITED
        self.limit_bytes = limit_bytes or UNLIMITED
        self._packets: deque[LinkPacket] = deque()

    def enqueue(self, packet: LinkPacket, now: int) -> bool:
        """Take a packet, if there is room for all of it."""
        size_bytes = packet.size_bytes
        if self.backlog_packets >= self.limit_packets or self.backlog_bytes + size_bytes > self.limit_bytes:
            self.drop(packet)
            return False
        packet.enqueued_ns = now
        self._packets.append(packet)
        self.backlog_packets += 1
        self.backlog_bytes += size_bytes
        return True

    def dequeue(self, now: int) -> LinkPacket | None:  # noqa: ARG002
        """The oldest packet."""
        if not self._packets:
            return None
        packet = self._packets.popleft()
        self.backlog_packets -= 1
        self.backlog_bytes -= packet.size_bytes
        return packet


UNLIMITED = 1 << 62
