"""CoDel, controlled delay (RFC 8289): a queue whose packets have all waited too long for a while drops at its head.

    below       the packet that leaves waited less than `target`, or no more than one packet is left behind it
    above       that has not been so for a whole `interval`: one packet is dropped, and so it begins
    dropping    the next drop is interval / sqrt(count) after the last, until a packet leaves that waited less

`CodelLine` is one such line of packets, of which FQ-CoDel has many. Square roots are of whole numbers: the drop times
are exact to the nanosecond, and the same everywhere.

Where the RFC leaves a choice: a packet that may be marked is marked instead of dropped and goes on, once in a call
(Linux); its `maxpacket` is the largest packet seen so far, 512 bytes at first (5.5).
"""

from __future__ import annotations

from collections import deque
from math import isqrt

from transports.link.bounded import NO_LIMITS, BoundedQueue, Limits
from transports.link.checks import check_at_least
from transports.link.packet import LinkPacket
from transports.link.queue import Queue

TARGET_NS = 5_000_000
INTERVAL_NS = 100_000_000


class CodelLine:
    """One first-in first-out line under CoDel's law. Names are those of RFC 8289 section 5.

    packets, backlog_bytes: what waits. count: drops since dropping began. drop_next_ns: when the next is due.
    is_dropping: see the module. law: in common with others.
    """

    __slots__ = (
        "_first_above_ns", "_interval_ns", "_is_late", "_owner", "_target_ns", "backlog_bytes", "count",
        "drop_next_ns", "is_dropping", "last_count", "law", "packets",
    )  # fmt: skip

    def __init__(self, owner: Queue, law: CodelLaw) -> None:
        self.packets: deque[LinkPacket] = deque()
        self.backlog_bytes = 0
        self.count = 0
        self.last_count = 0
        self.drop_next_ns = 0
        self.is_dropping = False
        self._first_above_ns = 0
        self._is_late = False
        self._owner = owner
        self.law = law
        self._target_ns = law.target_ns
        self._interval_ns = law.interval_ns

    def append(self, packet: LinkPacket, now: int) -> None:
        """To the end of the line; there is room."""
        size_bytes = packet.size_bytes
        packet.enqueued_ns = now
        self.packets.append(packet)
        self.backlog_bytes += size_bytes
        owner = self._owner
        owner.backlog_packets += 1
        owner.backlog_bytes += size_bytes
        if size_bytes > self.law.packet_bytes:
            self.law.packet_bytes = size_bytes

    def pop(self) -> LinkPacket:
        """The head of the line, which is not empty."""
        packet = self.packets.popleft()
        size_bytes = packet.size_bytes
        self.backlog_bytes -= size_bytes
        owner = self._owner
        owner.backlog_packets -= 1
        owner.backlog_bytes -= size_bytes
        return packet

    def dequeue(self, now: int) -> LinkPacket | None:
        """The packet to send, after drops (RFC 8289 section 5.5, deque)."""
        packet = self._take(now)
        if self.is_dropping:
            if not self._is_late:
                self.is_dropping = False
            elif now >= self.drop_next_ns:
                packet = self._drop_due(packet, now)
        elif self._is_late:
            packet = self._begin_dropping(packet, now)
        return packet

    def _take(self, now: int) -> LinkPacket | None:
        """The RFC's dodeque: the head, and whether it may be dropped."""
        self._is_late = False
        if not self.packets:
            self._first_above_ns = 0
            return None
        packet = self.pop()
        if now - packet.enqueued_ns < self._target_ns or self.backlog_bytes <= self.law.packet_bytes:
            self._first_above_ns = 0
        elif not self._first_above_ns:
            self._first_above_ns = now + self._interval_ns
        elif now >= self._first_above_ns:
            self._is_late = True
        return packet

    def _drop_due(self, packet: LinkPacket | None, now: int) -> LinkPacket | None:
        owner = self._owner
        while now >= self.drop_next_ns:
            assert packet is not None
            self.count += 1
            if self.law.is_ecn and owner.mark(packet):
                self.drop_next_ns = self.law.following_ns(self.drop_next_ns, self.count)
                break
            owner.drop(packet)
            packet = self._take(now)
            if not self._is_late:
                self.is_dropping = False
                break
            self.drop_next_ns = self.law.following_ns(self.drop_next_ns, self.count)
        return packet

    def _begin_dropping(self, packet: LinkPacket | None, now: int) -> LinkPacket | None:
        assert packet is not None
        if not (self.law.is_ecn and self._owner.mark(packet)):
            self._owner.drop(packet)
            packet = self._take(now)
        self.is_dropping = True
        # It was dropping a moment ago: go on with the rate that held the queue then.
        delta = self.count - self.last_count
        is_recent = now - self.drop_next_ns < RECENT_INTERVALS * self._interval_ns
        self.count = self.last_count = delta if delta > 1 and is_recent else 1
        self.drop_next_ns = self.law.following_ns(now, self.count)
        return packet


class CodelLaw:
    """What all lines of a queue have in common. packet_bytes: the largest packet seen."""

    __slots__ = ("_interval_squared", "interval_ns", "is_ecn", "packet_bytes", "target_ns")

    def __init__(self, target_ns: int, interval_ns: int, *, is_ecn: bool) -> None:
        check_at_least("target", target_ns, 1)
        check_at_least("interval", interval_ns, 1)
        self.target_ns = target_ns
        self.interval_ns = interval_ns
        self.is_ecn = is_ecn
        self.packet_bytes = FIRST_PACKET_BYTES
        self._interval_squared = interval_ns * interval_ns

    def following_ns(self, time_ns: int, count: int) -> int:
        """The control law: time + interval / sqrt(count), rounded down (RFC 8289 section 3.3)."""
        return time_ns + isqrt(self._interval_squared // count)


class Codel(BoundedQueue):
    """target_ns: what a packet may wait in a queue that is not too long. interval_ns: of the order of a round trip.

    is_ecn: mark packets that allow it. TransportError for a time below 1 ns.
    """

    def __init__(
        self,
        *,
        target_ns: int = TARGET_NS,
        interval_ns: int = INTERVAL_NS,
        is_ecn: bool = True,
        limits: Limits = NO_LIMITS,
    ) -> None:
        super().__init__(limits)
        self.line = CodelLine(self, CodelLaw(target_ns, interval_ns, is_ecn=is_ecn))

    def enqueue(self, packet: LinkPacket, now: int) -> bool:
        """Take a packet, if there is room."""
        if not self.has_room(packet.size_bytes):
            self.drop(packet)
            return False
        self.line.append(packet, now)
        return True

    def dequeue(self, now: int) -> LinkPacket | None:
        """The next packet, after drops."""
        return self.line.dequeue(now)

FIRST_PACKET_BYTES = 512
RECENT_INTERVALS = 16
