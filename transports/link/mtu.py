"""A link that carries no more than so many bytes in one packet."""

from __future__ import annotations

from transports.link.checks import check_at_least
from transports.link.element import Element
from transports.link.packet import LinkPacket


class Mtu(Element):
    """Drops what is too long, and tells nobody: a black hole for path MTU discovery (RFC 8899).

    mtu_bytes: of whole packets, at least 1, TransportError otherwise; may be changed at any time.
    """

    __slots__ = ("mtu_bytes",)

    def __init__(self, mtu_bytes: int) -> None:
        super().__init__()
        check_at_least("mtu_bytes", mtu_bytes, 1)
        self.mtu_bytes = mtu_bytes

    def put(self, packet: LinkPacket) -> None:
        """Too long, or passed on at once."""
        if packet.size_bytes > self.mtu_bytes:
            self.drop(packet)
        else:
            packet.forward()
