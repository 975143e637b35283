"""What a path does to packets in these tests, beside queueing them: dropping, holding, batching, policing, sharing."""

from __future__ import annotations

from collections.abc import Callable

from stacks.model import DataPacket
from transports.link import LinkPacket, Port
from transports.timeline import Timeline

SECOND_NS = 1_000_000_000


class Gate:
    """Drops the packets for which `drop` says so, and holds for `hold` nanoseconds those for which it gives any."""

    def __init__(self, timeline: Timeline) -> None:
        self.drop: Callable[[DataPacket], bool] | None = None
        self.hold: Callable[[DataPacket], int] | None = None
        self.dropped_packets = 0
        self._timeline = timeline
        self._is_closed = False
        self._held: list[DataPacket] = []

    def close(self) -> None:
        """Hold everything, until `open`."""
        self._is_closed = True

    def open(self) -> None:
        """Let everything that was held go, in its order."""
        self._is_closed = False
        held, self._held = self._held, []
        for packet in held:
            packet.forward()

    def put(self, packet: DataPacket) -> None:
        if self._is_closed:
            self._held.append(packet)
            return
        if self.drop is not None and self.drop(packet):
            self.dropped_packets += 1
            return
        hold_ns = self.hold(packet) if self.hold is not None else 0
        if hold_ns:
            self._timeline.at(self._timeline.now + hold_ns, LinkPacket.forward, packet)
        else:
            packet.forward()


class Batcher:
    """Merges acknowledgements: every `period_ns` the newest goes on, for all before it; 0 lets each pass at once."""

    def __init__(self, timeline: Timeline) -> None:
        self.period_ns = 0
        self._timeline = timeline
        self._newest: LinkPacket | None = None

    def put(self, packet: LinkPacket) -> None:
        if not self.period_ns:
            packet.forward()
            return
        if self._newest is None:
            now = self._timeline.now
            self._timeline.at(now + self.period_ns - now % self.period_ns, self._release)
        self._newest = packet

    def _release(self, _: object) -> None:
        newest, self._newest = self._newest, None
        if newest is not None:
            newest.forward()


class Policer:
    """A token bucket without a queue: what finds no tokens is dropped. rate_bps 0 lets everything pass."""

    def __init__(self, timeline: Timeline) -> None:
        self.rate_bps = 0
        self.burst_bytes = 0
        self.dropped_packets = self.passed_packets = 0
        self._timeline = timeline
        self._tokens = self._settled_ns = 0

    def police(self, rate_bps: int, burst_bytes: int) -> None:
        """Begin, with a full bucket."""
        self.rate_bps, self.burst_bytes = rate_bps, burst_bytes
        self._tokens = burst_bytes * 8 * SECOND_NS
        self._settled_ns = self._timeline.now

    def put(self, packet: LinkPacket) -> None:
        if self.rate_bps:
            now = self._timeline.now
            earned = (now - self._settled_ns) * self.rate_bps
            self._tokens = min(self.burst_bytes * 8 * SECOND_NS, self._tokens + earned)
            self._settled_ns = now
            cost = packet.size_bytes * 8 * SECOND_NS
            if cost > self._tokens:
                self.dropped_packets += 1
                return
            self._tokens -= cost
        self.passed_packets += 1
        packet.forward()


class CrossTraffic:
    """Somebody else's packets through the same bottleneck, at a constant rate."""

    def __init__(self, timeline: Timeline, port: Port, *, size_bytes: int) -> None:
        self.rate_bps = 0
        self._timeline = timeline
        self._route = (port.put, _arrive)
        self._size_bytes = size_bytes

    def start(self, rate_bps: int) -> None:
        self.rate_bps = rate_bps
        self._send(None)

    def _send(self, _: object) -> None:
        if self.rate_bps:
            LinkPacket(self._size_bytes, self._route, flow=1).forward()
            interval_ns = self._size_bytes * 8 * SECOND_NS // self.rate_bps
            self._timeline.at(self._timeline.now + interval_ns, self._send)


def _arrive(packet: LinkPacket) -> None:
    pass
