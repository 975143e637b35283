"""Packets that are lost by chance: each for itself, in bursts, or by a channel that is now good and now bad.

Independent of size and of everything else on the link. Of the generator only `.random()` is drawn, in the order of the
packets.
"""

from __future__ import annotations

import random

from transports.link.checks import check_at_least, check_probability
from transports.link.element import Element
from transports.link.packet import LinkPacket


class RandomLoss(Element):
    """Each packet is lost with a probability, whatever happened to others, but for `row`.

    probability: from 0 to 1, TransportError otherwise; may be changed at any time. row: after so many lost in a row
    one passes, whatever was drawn, as in the network simulator of the QUIC interop runner; 0 for no such bound.
    """

    __slots__ = ("_draw", "_run", "probability", "row")

    def __init__(self, probability: float, rng: random.Random, *, row: int = 0) -> None:
        super().__init__()
        check_probability("probability", probability)
        check_at_least("row", row, 0)
        self.probability = probability
        self.row = row
        self._run = 0
        self._draw = rng.random

    def put(self, packet: LinkPacket) -> None:
        """Lost, or passed on at once."""
        if self._draw() < self.probability and (not self.row or self._run < self.row):
            self._run += 1
            self.drop(packet)
        else:
            self._run = 0
            packet.forward()


class BurstLoss(Element):
    """Now and then so many packets in a row are lost.

    probability: that a packet which is not part of a burst is the first of one. least, most: packets in a burst, drawn
    uniformly. A burst may follow the one before without a packet between. The share lost is pL / (1 - p + pL), with L
    the mean length. TransportError for values out of range.
    """

    __slots__ = ("_draw", "_left", "bursts", "least", "most", "probability")
    counted = ("dropped_packets", "dropped_bytes", "bursts")

    def __init__(self, probability: float, rng: random.Random, *, least: int, most: int = 0) -> None:
        super().__init__()
        check_probability("probability", probability)
        check_at_least("least", least, 1)
        self.probability = probability
        self.least = least
        self.most = most or least
        check_at_least("most", self.most, least)
        self.bursts = 0
        self._left = 0
        self._draw = rng.random

    def put(self, packet: LinkPacket) -> None:
        """Lost, or passed on at once."""
        if not self._left and self._draw() < self.probability:
            self.bursts += 1
            self._left = self.least
            if self.most > self.least:
                self._left += int(self._draw() * (self.most - self.least + 1))
        if self._left:
            self._left -= 1
            self.drop(packet)
        else:
            packet.forward()


class GilbertElliottLoss(Element):
    """A channel with a good and a bad state, each of which loses packets with a probability of its own.

    p: from good to bad, after each packet; r: from bad to good. h: that a packet passes in the bad state, k: in the
    good one (Elliott 1963; with h = 0 and k = 1, Gilbert's simplest, bursts have a mean length of 1/r). In the long run
    the share p / (p + r) of packets meets the bad state. The channel starts good, and a packet is judged by the state
    before the step that follows it, as in Linux' netem, whose order of arguments is p, r, 1 - h, 1 - k.

    TransportError for what is no probability.
    """

    __slots__ = ("_draw", "_lost_if_bad", "_lost_if_good", "h", "is_bad", "k", "p", "r")

    def __init__(self, p: float, r: float, rng: random.Random, *, h: float = 0.0, k: float = 1.0) -> None:
        super().__init__()
        for name, value in (("p", p), ("r", r), ("h", h), ("k", k)):
            check_probability(name, value)
        self.p, self.r, self.h, self.k = p, r, h, k
        self.is_bad = False
        self._lost_if_bad = 1.0 - h
        self._lost_if_good = 1.0 - k
        self._draw = rng.random

    def put(self, packet: LinkPacket) -> None:
        """Lost, or passed on at once; then the channel takes its step. Two draws for each packet, always."""
        draw = self._draw
        if self.is_bad:
            is_lost = draw() < self._lost_if_bad
            self.is_bad = draw() >= self.r
        else:
            is_lost = draw() < self._lost_if_good
            self.is_bad = draw() < self.p
        if is_lost:
            self.drop(packet)
        else:
            packet.forward()
