"""Acknowledgements that are replaced by later ones on the way, as modems do where upstream is scarce."""

from __future__ import annotations

from transports.link.checks import check_at_least
from transports.link.element import Element
from transports.link.packet import LinkPacket
from transports.timeline import Timeline


class AckThinning(Element):
    """Of every so many acknowledgements of a flow only the newest goes on; the others count as dropped.

    packets: how many, 1 to pass all. wait_ns: after the first of them the newest goes on anyway; above 0, or the last
    would never arrive. limit_bytes: what is larger is no acknowledgement and passes, 0 for everything is one.
    TransportError for values out of range. (RFC 3449 5.2.1 calls it ACK filtering.)
    """

    __slots__ = ("_flows", "_timeline", "limit_bytes", "packets", "wait_ns")

    def __init__(self, timeline: Timeline, packets: int, *, wait_ns: int, limit_bytes: int = 0) -> None:
        super().__init__()
        check_at_least("packets", packets, 1)
        check_at_least("wait", wait_ns, 1)
        check_at_least("limit_bytes", limit_bytes, 0)
        self.packets = packets
        self.wait_ns = wait_ns
        self.limit_bytes = limit_bytes
        self._timeline = timeline
        self._flows: dict[int, _Newest] = {}

    def put(self, packet: LinkPacket) -> None:
        """Held, passed on, or in the place of the one that was held."""
        if self.limit_bytes and packet.size_bytes > self.limit_bytes:
            packet.forward()
            return
        newest = self._flows.get(packet.flow)
        if newest is None:
            self._flows[packet.flow] = newest = _Newest()
        if newest.packet is not None:
            self.drop(newest.packet)
        newest.packet = packet
        newest.count += 1
        if newest.count >= self.packets:
            _release(newest)
        elif newest.count == 1:
            self._timeline.at(self._timeline.now + self.wait_ns, _expire, (newest, newest.round))


class _Newest:
    """What is held of a flow. count: arrived since the last that went on. round: rises with each that goes on."""

    __slots__ = ("count", "packet", "round")

    def __init__(self) -> None:
        self.packet: LinkPacket | None = None
        self.count = 0
        self.round = 0


def _expire(waiting: tuple[_Newest, int]) -> None:
    newest, round_ = waiting
    if newest.round == round_:
        _release(newest)


def _release(newest: _Newest) -> None:
    packet, newest.packet = newest.packet, None
    newest.count = 0
    newest.round += 1
    assert packet is not None
    packet.forward()
