"""Cross traffic that no controller governs: packets at a rate, all the time or on and off."""

from __future__ import annotations

import random

from stacks.lab.experiment.values import TrafficConfig
from stacks.lab.network.line import Way
from stacks.lab.running.exponential import exponential_ns
from transports.link import LinkPacket
from transports.timeline import Timeline


class TrafficRun:
    """One source of packets. sent_packets, arrived_packets, arrived_bytes: so far."""

    def __init__(
        self, timeline: Timeline, config: TrafficConfig, way: Way, *, number: int, packet_bytes: int, seed: int
    ) -> None:
        self.config = config
        self.number = number
        self.sent_packets = 0
        self.arrived_packets = 0
        self.arrived_bytes = 0
        self._timeline = timeline
        self._route = (*way.forward, self._arrive)
        self._packet_bytes = config.packet_bytes or packet_bytes
        self._rng = random.Random((seed << 24) + (1 << 23) + number)
        self._gap_ns = max(1, self._packet_bytes * BIT_NS_PER_BYTE_S // config.rate_bps)
        self._burst_end_ns = 0

    def start(self) -> None:
        """Begin to send."""
        self._burst()

    def _burst(self, _: object = None) -> None:
        now = self._timeline.now
        if self.config.kind == "constant":
            self._burst_end_ns = NEVER_NS
        else:
            self._burst_end_ns = now + exponential_ns(self._rng, self.config.on_ns)
        self._send()

    def _send(self, _: object = None) -> None:
        now = self._timeline.now
        if self.config.stop_ns is not None and now >= self.config.stop_ns:
            return
        if now >= self._burst_end_ns:
            self._timeline.at(now + exponential_ns(self._rng, self.config.off_ns), self._burst)
            return
        self.sent_packets += 1
        LinkPacket(self._packet_bytes, self._route, flow=self.number).forward()
        self._timeline.at(now + self._gap_ns, self._send)

    def _arrive(self, packet: LinkPacket) -> None:
        self.arrived_packets += 1
        self.arrived_bytes += packet.size_bytes


BIT_NS_PER_BYTE_S = 8_000_000_000
NEVER_NS = 1 << 62
