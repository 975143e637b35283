"""Cross traffic: packets at a rate that no controller governs, all the time or on and off; and short flows."""

from __future__ import annotations

import random
from collections.abc import Iterator

from stacks.lab.experiment.values import Experiment, TrafficConfig
from stacks.lab.network.line import Way
from stacks.lab.running.exponential import exponential_ns
from stacks.lab.workloads import mean_bytes, workload
from transports.link import LinkPacket
from transports.timeline import Timeline


class TrafficRun:
    """One source of packets. way: its path. sent_packets, arrived_packets, arrived_bytes: so far."""

    def __init__(
        self, timeline: Timeline, config: TrafficConfig, way: Way, *, number: int, packet_bytes: int, seed: int
    ) -> None:
        self.config = config
        self.way = way
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


def web_flows(experiment: Experiment, config: TrafficConfig, number: int) -> Iterator[tuple[int, int]]:
    """Starts and sizes of the short flows of a web mix: Poisson arrivals that together carry the rate."""
    rng = random.Random((experiment.seed << 24) + (1 << 23) + number)
    distribution = None if isinstance(config.sizes, int) else workload(config.sizes)
    mean_ns = mean_bytes(config.sizes) * BIT_NS_PER_BYTE_S // config.rate_bps
    end_ns = min(config.stop_ns or experiment.duration_ns, experiment.duration_ns)
    start_ns = config.start_ns + exponential_ns(rng, mean_ns)
    while start_ns < end_ns:
        size_bytes = config.sizes if isinstance(config.sizes, int) else 0
        yield start_ns, size_bytes if distribution is None else distribution.draw(rng)
        start_ns += exponential_ns(rng, mean_ns)


BIT_NS_PER_BYTE_S = 8_000_000_000
NEVER_NS = 1 << 62
