"""A port: a queue in front of a link, which sends one packet after the other, and the wire behind it."""

from __future__ import annotations

from transports.link.packet import LinkPacket
from transports.link.queue import Queue
from transports.link.queue_clock import QueueClock
from transports.link.rates import Rate
from transports.link.telemetry import HopRecord
from transports.timeline import Timeline


class Port:
    """Queues packets, sends them at the link's rate, and hands each on `delay_ns` after its last bit left.

    queue, rate: see there. delay_ns: propagation. Rate and delay may be changed at any time, from the next packet on.
    sent_packets, sent_bytes: what left, or is leaving. busy_ns: time spent sending, up to the end of what is leaving,
    which may be later than now; where the rate stands still at times, the wait for it is part of that (for a share of
    what the link allows, compare `sent_bytes`). A link that is to fail and come back needs a rate that does, since a
    packet's end is worked out once. hop_id: under which it writes telemetry into packets that ask for it, None for not
    at all; such a port needs a rate that has a `rate_bps`.

    Of what happens in one instant, a packet that has left makes room before one that arrives.
    """

    __slots__ = (
        "_clock", "_finish_ns", "_is_armed", "_timeline", "busy_ns", "delay_ns", "hop_id", "queue", "rate",
        "sent_bytes", "sent_packets",
    )  # fmt: skip

    def __init__(
        self, timeline: Timeline, queue: Queue, rate: Rate, *, delay_ns: int = 0, hop_id: int | None = None
    ) -> None:
        self.queue = queue
        self.rate = rate
        self.delay_ns = delay_ns
        self.hop_id = hop_id
        self.sent_packets = 0
        self.sent_bytes = 0
        self.busy_ns = 0
        self._timeline = timeline
        # When the packet that is leaving has left; and whether the next is to follow it then.
        self._finish_ns = timeline.now
        self._is_armed = False
        queue.attach(self)
        self._clock = QueueClock.of(queue, timeline, self.wake)

    def put(self, packet: LinkPacket) -> None:
        """A packet arrives."""
        now = self._timeline.now
        while self._is_armed and self._finish_ns <= now:
            self._send()
        if self.queue.enqueue(packet, now) and not self._is_armed:
            self.wake()
        if self._clock is not None:
            self._clock.look()

    def wake(self) -> None:
        """See whether the queue has a packet to give: one arrived, or was paused, or waited for its time."""
        if self._is_armed:
            return
        finish_ns = self._finish_ns
        if finish_ns <= self._timeline.now:
            self._send()
        else:
            self._is_armed = True
            self._timeline.at(finish_ns, self._follow, finish_ns)

    def _send(self) -> None:
        timeline, queue = self._timeline, self.queue
        now = timeline.now
        packet = queue.dequeue(now)
        if self._clock is not None:
            self._clock.look()
        if packet is None:
            self._is_armed = False
            return
        size_bytes = packet.size_bytes
        self._finish_ns = finish_ns = self.rate.finish_ns(size_bytes, now)
        self.sent_packets += 1
        self.sent_bytes += size_bytes
        self.busy_ns += finish_ns - now
        if packet.telemetry is not None and self.hop_id is not None:
            rate_bps = getattr(self.rate, "rate_bps", 0)
            record = HopRecord(self.hop_id, queue.backlog_bytes, self.sent_bytes, now, rate_bps)
            packet.telemetry.append(record)
        packet.hop = hop = packet.hop + 1
        timeline.at(finish_ns + self.delay_ns, packet.route[hop], packet)
        if queue.backlog_packets:
            self._is_armed = True
            timeline.at(finish_ns, self._follow, finish_ns)
        else:
            self._is_armed = False

    def _follow(self, finish_ns: int) -> None:
        # Unless an arrival in the same instant saw to it.
        if self._is_armed and finish_ns == self._finish_ns:
            self._send()
