"""Packets that arrive with a flipped bit: whoever has a checksum throws them away, the link did carry them."""

from __future__ import annotations

import random

from transports.link.checks import check_probability
from transports.link.element import Element
from transports.link.packet import LinkPacket


class Corruption(Element):
    """Marks packets as corrupt (`LinkPacket.is_corrupt`), each with a probability.

    probability: from 0 to 1, TransportError otherwise. corrupted_packets: how many.
    """

    __slots__ = ("_draw", "corrupted_packets", "probability")
    counted = ("corrupted_packets",)

    def __init__(self, probability: float, rng: random.Random) -> None:
        super().__init__()
        check_probability("probability", probability)
        self.probability = probability
        self.corrupted_packets = 0
        self._draw = rng.random

    def put(self, packet: LinkPacket) -> None:
        """Passed on at once, perhaps damaged."""
        if self._draw() < self.probability:
            self.corrupted_packets += 1
            packet.is_corrupt = True
        packet.forward()
