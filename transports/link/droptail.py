"""Drop-tail and drop-head: first in, first out, and a full queue drops what arrives, or what has waited longest."""

from __future__ import annotations

from transports.link.bounded import BoundedQueue, Limits
from transports.link.packet import LinkPacket


class DropTail(BoundedQueue):
    """A queue with room for so many packets, so many bytes, so much time, or all of these; 0 is no limit.

    Of a limit in time: a packet that is taken waits no longer than that, behind the packet that is being sent, while
    the rate does not fall.
    """

    def __init__(self, *, limit_packets: int = 0, limit_bytes: int = 0, limit_ns: int = 0) -> None:
        super().__init__(Limits(packets=limit_packets, size_bytes=limit_bytes, time_ns=limit_ns))

    def enqueue(self, packet: LinkPacket, now: int) -> bool:
        """Take a packet, if there is room for all of it."""
        size_bytes = packet.size_bytes
        # As `has_room` and `append`, without the calls: this is the queue of most links.
        if (
            self.backlog_packets >= self.limit_packets
            or self.backlog_bytes + size_bytes > self.limit_bytes
            or (self.limit_ns and not self.has_time(size_bytes))
        ):
            self.drop(packet)
            return False
        packet.enqueued_ns = now
        self._packets.append(packet)
        self.backlog_packets += 1
        self.backlog_bytes += size_bytes
        return True


class DropHead(BoundedQueue):
    """The same, which drops the oldest packets for a new one: the loss shows a queue's length earlier to the sender."""

    def __init__(self, *, limit_packets: int = 0, limit_bytes: int = 0, limit_ns: int = 0) -> None:
        super().__init__(Limits(packets=limit_packets, size_bytes=limit_bytes, time_ns=limit_ns))

    def enqueue(self, packet: LinkPacket, now: int) -> bool:
        """Take a packet; only one that fits into no queue of this size is refused."""
        if packet.size_bytes > self.limit_bytes:
            self.drop(packet)
            return False
        while not self.has_room(packet.size_bytes):
            oldest = self.pop()
            assert oldest is not None
            self.drop(oldest)
        self.append(packet, now)
        return True
