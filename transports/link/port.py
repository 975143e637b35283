"""A port: a queue in front of a link, which sends one packet after the other, and the wire behind it."""

from __future__ import annotations

from transports.link.packet import LinkPacket
from transports.link.queue import Queue
from transports.link.rates import Rate
from transports.timeline import Timeline


class Port:
    """Queues packets, sends them at the link's rate, and hands each on `delay_ns` after its last bit left.

    queue, rate: see there; the rate may be replaced at any time, from the next packet on. delay_ns: propagation.
    sent_packets, sent_bytes: what left. busy_ns: time spent sending.
    """

    __slots__ = ("_is_busy", "_timeline", "busy_ns", "delay_ns", "queue", "rate", "sent_bytes", "sent_packets")

    def __init__(self, timeline: Timeline, queue: Queue, rate: Rate, *, delay_ns: int = 0) -> None:
        self.queue = queue
        self.rate = rate
        self.delay_ns = delay_ns
        self.sent_packets = 0
        self.sent_bytes = 0
        self.busy_ns = 0
        self._timeline = timeline
        self._is_busy = False

    def put(self, packet: LinkPacket) -> None:
        """A packet arrives."""
        if self.queue.enqueue(packet, self._timeline.now) and not self._is_busy:
            self._send()

    def _send(self) -> None:
        timeline = self._timeline
        now = timeline.now
        packet = self.queue.dequeue(now)
        if packet is None:
            self._is_busy = False
            return
        self._is_busy = True
        size_bytes = packet.size_bytes
        finish_ns = self.rate.finish_ns(size_bytes, now)
        self.sent_packets += 1
        self.sent_bytes += size_bytes
        self.busy_ns += finish_ns - now
        timeline.at(finish_ns, self._sent, packet)

    def _sent(self, packet: LinkPacket) -> None:
        timeline = self._timeline
        timeline.at(timeline.now + self.delay_ns, LinkPacket.forward, packet)
        self._send()
