"""Delays that differ from packet to packet."""

from __future__ import annotations

from transports.link.distributions import Distribution
from transports.link.element import Element
from transports.link.packet import LinkPacket
from transports.timeline import Timeline


class Jitter(Element):
    """Holds each packet for a time of its own.

    distribution: called once a packet, nanoseconds. keeps_order: a packet that would overtake waits for the one before,
    as behind a radio that repeats until it gets through; without, it overtakes. delay_ns: in addition, for all alike.
    """

    __slots__ = ("_last_ns", "_timeline", "delay_ns", "distribution", "keeps_order")
    counted = ()

    def __init__(
        self, timeline: Timeline, distribution: Distribution, *, keeps_order: bool = True, delay_ns: int = 0
    ) -> None:
        super().__init__()
        self.distribution = distribution
        self.keeps_order = keeps_order
        self.delay_ns = delay_ns
        self._timeline = timeline
        self._last_ns = 0

    def put(self, packet: LinkPacket) -> None:
        """A packet enters."""
        timeline = self._timeline
        time_ns = timeline.now + self.delay_ns + self.distribution()
        if self.keeps_order:
            if time_ns < self._last_ns:
                time_ns = self._last_ns
            else:
                self._last_ns = time_ns
        packet.hop = hop = packet.hop + 1
        timeline.at(time_ns, packet.route[hop], packet)
