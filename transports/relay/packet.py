"""A real packet on its way through the models."""

from __future__ import annotations

from collections.abc import Sequence

from transports.datagram import Buffer
from transports.link.packet import LinkPacket, Sink


class RelayPacket(LinkPacket):
    """What the models see of it, and its bytes.

    data: the datagram's payload, or the whole frame. due_ns: when the model let it go. entered_ns: when it came to a
    `Direction` that is watched, else 0.
    """

    __slots__ = ("data", "due_ns", "entered_ns")

    def __init__(self, data: Buffer, size_bytes: int, route: Sequence[Sink], flow: int, ecn: int) -> None:
        # As LinkPacket's, without a call more: this is made for each packet.
        self.size_bytes = size_bytes
        self.route = route
        self.hop = -1
        self.flow = flow
        self.ecn = ecn
        self.priority = 0
        self.enqueued_ns = 0
        self.is_corrupt = False
        self.telemetry = None
        self.payload = None
        self.data = data
        self.due_ns = 0
        self.entered_ns = 0


def corrupted(packet: RelayPacket, data: Buffer | None = None) -> bytes:
    """The bytes of a corrupt packet, or `data` with the same damage.

    Where the packet does not say what is damaged, one bit of the last byte is flipped: behind every header, so that it
    is for checksums to find.
    """
    damaged = bytearray(packet.data if data is None else data)
    if damaged:
        place, change = getattr(packet, "damage", (-1, 1))
        damaged[place] ^= change
    return bytes(damaged)
