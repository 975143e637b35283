"""Room: how much a queue holds, in packets, in bytes and in time at the link's present rate."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from transports.link.checks import check_at_least
from transports.link.packet import LinkPacket
from transports.link.queue import Queue
from transports.link.rates import BIT_NS_PER_BYTE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a queue has room for; all hold at once, 0 is no limit. TransportError for a negative one.

    packets, size_bytes: that wait. time_ns: that what waits takes to leave at the link's present rate; a queue that is
    empty has room for one packet, and a link whose rate nobody knows has no such limit.
    """

    packets: int = 0
    size_bytes: int = 0
    time_ns: int = 0

    def __post_init__(self) -> None:
        check_at_least("limit_packets", self.packets, 0)
        check_at_least("limit_bytes", self.size_bytes, 0)
        check_at_least("limit", self.time_ns, 0)


NO_LIMITS = Limits()


class BoundedQueue(Queue):
    """Base of disciplines that keep limits: a first-in first-out line of packets with room for so much."""

    def __init__(self, limits: Limits = NO_LIMITS) -> None:
        super().__init__()
        self.limits = limits
        self.limit_packets = limits.packets or UNLIMITED
        self.limit_bytes = limits.size_bytes or UNLIMITED
        self.limit_ns = limits.time_ns
        self._packets: deque[LinkPacket] = deque()

    def has_room(self, size_bytes: int) -> bool:
        """Whether a packet may be added now."""
        if self.backlog_packets >= self.limit_packets or self.backlog_bytes + size_bytes > self.limit_bytes:
            return False
        return not self.limit_ns or self.has_time(size_bytes)

    def has_time(self, size_bytes: int) -> bool:
        """The same of the limit in time alone."""
        rate_bps, waiting_bytes = self.rate_bps, self.backlog_bytes
        if not rate_bps or not self.backlog_packets:
            return True
        return (waiting_bytes + size_bytes) * BIT_NS_PER_BYTE_S <= self.limit_ns * rate_bps

    def append(self, packet: LinkPacket, now: int) -> None:
        """To the end of the line."""
        packet.enqueued_ns = now
        self._packets.append(packet)
        self.backlog_packets += 1
        self.backlog_bytes += packet.size_bytes

    def pop(self) -> LinkPacket | None:
        """From the head of the line."""
        if not self._packets:
            return None
        packet = self._packets.popleft()
        self.backlog_packets -= 1
        self.backlog_bytes -= packet.size_bytes
        return packet

    def dequeue(self, now: int) -> LinkPacket | None:  # noqa: ARG002
        """The oldest packet."""
        if not self._packets:
            return None
        packet = self._packets.popleft()
        self.backlog_packets -= 1
        self.backlog_bytes -= packet.size_bytes
        return packet


UNLIMITED = 1 << 62
