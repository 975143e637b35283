"""A policer: what is faster than it should be is dropped, not delayed; there is no buffer."""

from __future__ import annotations

from transports.link.bucket import TokenBucket
from transports.link.element import Element
from transports.link.packet import LinkPacket
from transports.timeline import Timeline


class Policer(Element):
    """A token bucket; packets that find too few tokens are dropped and take none (as RFC 2697's, with one colour).

    rate_bps, burst_bytes: above 0, TransportError otherwise. A packet larger than the bucket never passes.
    """

    __slots__ = ("_timeline", "bucket")

    def __init__(self, timeline: Timeline, rate_bps: int, burst_bytes: int) -> None:
        super().__init__()
        self.bucket = TokenBucket(rate_bps, burst_bytes)
        self._timeline = timeline

    def put(self, packet: LinkPacket) -> None:
        """Dropped, or passed on at once."""
        if self.bucket.take(packet.size_bytes, self._timeline.now):
            packet.forward()
        else:
            self.drop(packet)
