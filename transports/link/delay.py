"""Propagation: everything arrives a fixed time later, in order."""

from __future__ import annotations

from transports.link.packet import LinkPacket
from transports.timeline import Timeline


class Delay:
    """A wire without a rate. delay_ns: from one end to the other."""

    __slots__ = ("_timeline", "delay_ns")

    def __init__(self, timeline: Timeline, delay_ns: int) -> None:
        self.delay_ns = delay_ns
        self._timeline = timeline

    def put(self, packet: LinkPacket) -> None:
        """A packet enters."""
        timeline = self._timeline
        packet.hop = hop = packet.hop + 1
        timeline.at(timeline.now + self.delay_ns, packet.route[hop], packet)
