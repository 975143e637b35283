"""How far packets may be out of order before one counts as lost (RFC 9002 6.1, RFC 8985 6.2).

A packet is lost when one sent `packets` later was acknowledged, or when one sent later was and `delay_ns` has passed.
Where packets that were found lost arrive out of order, both thresholds rise (RFC 9002 6.1.1 encourages it): the number
to the distance that was seen, as Linux's; the time by quarters of the smallest round trip, one a round trip, up to a
smoothed one (RFC 8985 6.2). After 16 recoveries without that they are as they were.
"""

from __future__ import annotations

from stacks.congestion.delivery import SentPacket
from stacks.congestion.rtt import RttEstimator


class ReorderingThresholds:
    """Of one path.

    packets: as it is now. steps: quarters of a round trip that are waited for what is out of order.
    """

    __slots__ = ("_persist", "_rtt", "_stepped_ns", "packets", "steps")

    def __init__(self, rtt: RttEstimator) -> None:
        self.packets = PACKET_THRESHOLD
        self.steps = 0
        # Recoveries until the thresholds are as they were; when the step that was taken last may show.
        self._persist = 0
        self._stepped_ns = -1
        self._rtt = rtt

    def delay_ns(self) -> int:
        """How long a packet is waited for when one that was sent later is acknowledged."""
        rtt = self._rtt
        delay_ns = max(max(rtt.smoothed_ns, rtt.latest_ns) * 9 // 8, rtt.granularity_ns)
        if self.steps:
            delay_ns += min(self.steps * rtt.min_ns // 4, rtt.smoothed_ns)
        return delay_ns

    def arrived_late(self, packet: SentPacket, largest_acked: int, now: int) -> None:
        """A packet was acknowledged after it had been found lost.

        What is late since packets sent after it came first, and not since the path stood still, is reordering.
        """
        distance = largest_acked - packet.number
        if distance <= 0:
            return
        self._persist = REORDERING_PERSISTS
        if distance >= self.packets:
            self.packets = min(distance + 1, MAX_PACKET_THRESHOLD)
        if now - packet.sent_ns > self.delay_ns() and packet.sent_ns > self._stepped_ns:
            self.steps += 1
            self._stepped_ns = now

    def recovered(self) -> None:
        """A recovery is over, whose losses were losses."""
        if self._persist:
            self._persist -= 1
            if not self._persist:
                self.packets = PACKET_THRESHOLD
                self.steps = 0


PACKET_THRESHOLD = 3
MAX_PACKET_THRESHOLD = 300
"""As Linux's tcp_max_reordering."""
REORDERING_PERSISTS = 16
