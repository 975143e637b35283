"""A first-in first-out queue that marks by its length at the moment of arrival, as switches of data centres do.

DCTCP's threshold (SIGCOMM 2010, section 3.1) and DCQCN's ramp (SIGCOMM 2015, section 3.1, figure 5) are the same queue:
below Kmin nothing is marked, above Kmax everything, and between with a probability that rises from 0 to Pmax. A packet
that is not ECN-capable passes unmarked; a full queue drops what arrives.
"""

from __future__ import annotations

import random
from collections import deque

from transports.errors import TransportError
from transports.link.packet import ECN_CE, ECN_NOT_ECT, LinkPacket
from transports.link.queue import Queue


class RampMarking(Queue):
    """kmin_bytes, kmax_bytes: see the module; equal, they are a threshold. pmax_1000: in thousandths.

    limit_bytes: room, 0 for no limit. rng: drawn once for each packet that arrives between the two. peak_bytes: the
    longest that the queue ever was. TransportError for thresholds out of order.
    """

    def __init__(
        self, kmin_bytes: int, kmax_bytes: int, *, pmax_1000: int = 1000, limit_bytes: int = 0, rng: random.Random
    ) -> None:
        super().__init__()
        if not 0 <= kmin_bytes <= kmax_bytes or not 0 <= pmax_1000 <= 1000:
            raise TransportError("marking needs 0 <= kmin <= kmax and a pmax from 0 to 1000/1000")
        self.kmin_bytes = kmin_bytes
        self.kmax_bytes = kmax_bytes
        self.pmax_1000 = pmax_1000
        self.limit_bytes = limit_bytes or 1 << 62
        self.peak_bytes = 0
        self._draw = rng.random
        self._packets: deque[LinkPacket] = deque()

    def enqueue(self, packet: LinkPacket, now: int) -> bool:
        """Take a packet, marked if the queue is long, or drop it for want of room."""
        length = self.backlog_bytes + packet.size_bytes
        if length > self.limit_bytes:
            self.drop(packet)
            return False
        if length > self.kmin_bytes and packet.ecn != ECN_NOT_ECT and self._is_marked(length):
            if packet.ecn != ECN_CE:
                packet.ecn = ECN_CE
                self.marked_packets += 1
        packet.enqueued_ns = now
        self._packets.append(packet)
        self.backlog_packets += 1
        self.backlog_bytes = length
        if length > self.peak_bytes:
            self.peak_bytes = length
        return True

    def dequeue(self, now: int) -> LinkPacket | None:  # noqa: ARG002
        """The oldest packet."""
        if not self._packets:
            return None
        packet = self._packets.popleft()
        self.backlog_packets -= 1
        self.backlog_bytes -= packet.size_bytes
        return packet

    def _is_marked(self, length: int) -> bool:
        if length > self.kmax_bytes:
            return True
        span = self.kmax_bytes - self.kmin_bytes
        return self._draw() * 1000 * span < self.pmax_1000 * (length - self.kmin_bytes)
