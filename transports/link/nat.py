"""A NAT, and the moment at which it forgets: a peer is suddenly somewhere else (RFC 4787; RFC 9000 section 9)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from transports.errors import TransportError
from transports.link.element import Element
from transports.link.packet import LinkPacket
from transports.timeline import Timeline


class Nat(Element):
    """Gives each source that sends through it a number of its own outside, and another after a rebinding.

    `put` stands on the way out and rewrites `packet.source`; where nobody set one, the flow's number takes its place.
    `put_back` stands on the way in: packets to a number that was given up are dropped, others get the number's source
    as `packet.destination`.

    rebind_ns: when it forgets, after the timeline's time when this is made, in order. first: the first number that it
    gives out; what is given out is never given out again. rebindings: how often it forgot. TransportError for times out
    of order or below 0.
    """

    __slots__ = ("_inside", "_next", "_outside", "rebindings")
    counted = ("dropped_packets", "dropped_bytes", "rebindings")

    def __init__(self, timeline: Timeline, rebind_ns: Sequence[int] = (), *, first: int = 1024) -> None:
        super().__init__()
        former_ns = 0
        for time_ns in rebind_ns:
            if time_ns < former_ns:
                raise TransportError(f"times of rebindings rise from 0 on, unlike {time_ns} ns")
            former_ns = time_ns
            timeline.at(timeline.now + time_ns, self._forget)
        self.rebindings = 0
        self._next = first
        self._outside: dict[Hashable, int] = {}
        self._inside: dict[Hashable, Hashable] = {}

    def put(self, packet: LinkPacket) -> None:
        """On the way out."""
        packet.source = self.outside(getattr(packet, "source", packet.flow))
        packet.forward()

    def put_back(self, packet: LinkPacket) -> None:
        """On the way in."""
        inside = self._inside.get(getattr(packet, "destination", None), UNKNOWN)
        if inside is UNKNOWN:
            self.drop(packet)
            return
        packet.destination = inside
        packet.forward()

    def outside(self, inside: Hashable) -> int:
        """The number of a source, a new one if it has none."""
        number = self._outside.get(inside)
        if number is None:
            self._outside[inside] = number = self._next
            self._inside[number] = inside
            self._next += 1
        return number

    def rebind(self) -> None:
        """Forget everything: each source gets a new number with its next packet."""
        self.rebindings += 1
        self._outside.clear()
        self._inside.clear()

    def _forget(self, _: None) -> None:
        self.rebind()


UNKNOWN = object()
