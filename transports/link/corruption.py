"""Packets that arrive damaged: whoever has a checksum throws them away, the link did carry them."""

from __future__ import annotations

import random

from transports.link.checks import check_at_least, check_probability
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


class HeadCorruption(Element):
    """Replaces one byte among the first of a packet by another value: where QUIC has what it reads before it decrypts.

    probability: from 0 to 1. first_bytes: how many may be hit. row: after so many damaged in a row one passes whole,
    0 for no such bound. corrupted_packets: how many. TransportError for values out of range.

    QUIC's Version Negotiation packets are spared: nothing protects them (RFC 9000 21.12), so that a client could not
    but believe them. So it is in the network simulator of the QUIC interop runner. What has no bytes (the packets of a
    simulation) is marked as corrupt and no more. Three draws for a packet that is hit, one for any other.
    """

    __slots__ = ("_draw", "_run", "corrupted_packets", "first_bytes", "probability", "row")
    counted = ("corrupted_packets",)

    def __init__(self, probability: float, rng: random.Random, *, first_bytes: int = 51, row: int = 0) -> None:
        super().__init__()
        check_probability("probability", probability)
        check_at_least("bytes", first_bytes, 1)
        check_at_least("row", row, 0)
        self.probability = probability
        self.first_bytes = first_bytes
        self.row = row
        self.corrupted_packets = 0
        self._run = 0
        self._draw = rng.random

    def put(self, packet: LinkPacket) -> None:
        """Passed on at once, perhaps damaged."""
        if self._draw() < self.probability and (not self.row or self._run < self.row):
            self._run += 1
            self._damage(packet)
        else:
            self._run = 0
        packet.forward()

    def _damage(self, packet: LinkPacket) -> None:
        data = getattr(packet, "data", None)
        place, change = self._draw(), 1 + int(self._draw() * 255)
        if data is not None and (not data or is_version_negotiation(data)):
            return
        self.corrupted_packets += 1
        packet.is_corrupt = True
        packet.damage = (int(place * min(self.first_bytes, len(data or b"\0"))), change)


def is_version_negotiation(data: bytes | bytearray | memoryview) -> bool:
    """Whether a datagram is a Version Negotiation packet of QUIC (RFC 8999 6)."""
    return len(data) > 5 and data[0] >= 0x80 and not any(data[1:5])
