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


def corrupted(data: Buffer) -> bytes:
    """`data` with one bit of its last byte flipped: behind every header, so that it is for checksums to find."""
    flipped = bytearray(data)
    if flipped:
        flipped[-1] ^= 1
    return bytes(flipped)
