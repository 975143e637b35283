"""Packets that arrive twice."""

from __future__ import annotations

import random

from transports.link.checks import check_probability
from transports.link.element import Element
from transports.link.packet import LinkPacket


class Duplication(Element):
    """Sends a copy behind packets, each with a probability; the copy is a packet of its own from here on.

    probability: from 0 to 1, TransportError otherwise. duplicated_packets, duplicated_bytes: the copies.
    """

    __slots__ = ("_draw", "duplicated_bytes", "duplicated_packets", "probability")
    counted = ("duplicated_packets", "duplicated_bytes")

    def __init__(self, probability: float, rng: random.Random) -> None:
        super().__init__()
        check_probability("probability", probability)
        self.probability = probability
        self.duplicated_packets = 0
        self.duplicated_bytes = 0
        self._draw = rng.random

    def put(self, packet: LinkPacket) -> None:
        """Passed on at once, and perhaps once more."""
        if self._draw() >= self.probability:
            packet.forward()
            return
        self.duplicated_packets += 1
        self.duplicated_bytes += packet.size_bytes
        # Before the original moves on: what it meets may change it.
        twin = packet.copy()
        packet.forward()
        twin.forward()
