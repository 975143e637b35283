"""Packets that arrive behind others that were sent after them: held back for a time, or until others have passed."""

from __future__ import annotations

import random
from collections import deque

from transports.errors import TransportError
from transports.link.checks import check_at_least, check_probability
from transports.link.element import Element
from transports.link.packet import LinkPacket
from transports.timeline import Timeline


class DelayReordering(Element):
    """Holds a packet back for a time, each with a probability, while later ones pass.

    probability: from 0 to 1; delay_ns: 0 or more; TransportError otherwise. held_packets: how many ever were.
    """

    __slots__ = ("_draw", "_timeline", "delay_ns", "held_packets", "probability")
    counted = ("held_packets",)

    def __init__(self, timeline: Timeline, probability: float, delay_ns: int, rng: random.Random) -> None:
        super().__init__()
        check_probability("probability", probability)
        check_at_least("delay", delay_ns, 0)
        self.probability = probability
        self.delay_ns = delay_ns
        self.held_packets = 0
        self._timeline = timeline
        self._draw = rng.random

    def put(self, packet: LinkPacket) -> None:
        """Passed on at once, or later."""
        if self._draw() < self.probability:
            self.held_packets += 1
            timeline = self._timeline
            timeline.at(timeline.now + self.delay_ns, LinkPacket.forward, packet)
        else:
            packet.forward()


class GapReordering(Element):
    """Puts a packet behind the next few: its reordering extent is `gap_packets` (RFC 4737, section 4.2.2).

    every: each so many-th packet is held; or else probability: each with it. gap_packets: how many pass it, 1 or more.
    wait_ns: after which a held packet goes on although too few have passed, 0 for never. TransportError for values out
    of range. held_packets: how many ever were held.

    Packets that are held themselves do not count as having passed.
    """

    __slots__ = (
        "_count", "_draw", "_held", "_timeline", "every", "gap_packets", "held_packets", "probability", "wait_ns",
    )  # fmt: skip
    counted = ("held_packets",)

    def __init__(
        self,
        timeline: Timeline,
        gap_packets: int,
        rng: random.Random,
        *,
        every: int = 0,
        probability: float = 0.0,
        wait_ns: int = 0,
    ) -> None:
        super().__init__()
        check_at_least("packets", gap_packets, 1)
        check_at_least("every", every, 0)
        check_at_least("wait", wait_ns, 0)
        check_probability("probability", probability)
        if bool(every) == bool(probability):
            raise TransportError("every and probability choose the packets to hold; give one of them")
        self.gap_packets = gap_packets
        self.every = every
        self.probability = probability
        self.wait_ns = wait_ns
        self.held_packets = 0
        self._timeline = timeline
        self._draw = rng.random
        self._count = 0
        self._held: deque[_Held] = deque()

    def put(self, packet: LinkPacket) -> None:
        """Passed on at once, with those that it was the last to pass; or held."""
        self._count += 1
        if self._count % self.every == 0 if self.every else self._draw() < self.probability:
            self.held_packets += 1
            self._hold(packet)
            return
        packet.forward()
        held = self._held
        for each in held:
            each.left -= 1
        while held and not held[0].left:
            held.popleft().packet.forward()

    def _hold(self, packet: LinkPacket) -> None:
        held = _Held(packet, self.gap_packets)
        self._held.append(held)
        if self.wait_ns:
            self._timeline.at(self._timeline.now + self.wait_ns, self._expire, held)

    def _expire(self, held: _Held) -> None:
        # Older ones have expired before it.
        if self._held and self._held[0] is held:
            self._held.popleft().packet.forward()


class _Held:
    """A packet, and how many have to pass it."""

    __slots__ = ("left", "packet")

    def __init__(self, packet: LinkPacket, left: int) -> None:
        self.packet = packet
        self.left = left
