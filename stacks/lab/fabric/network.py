"""The fabric itself: cards, ports of switches, and the way of each flow through them."""

from __future__ import annotations

import random

from stacks.lab.fabric.config import FabricConfig
from stacks.lab.fabric.nic import HostNic
from stacks.lab.fabric.schemes import Scheme
from transports.link import ConstantRate, Delay, Port, Sink
from transports.link.ramp_marking import RampMarking
from transports.timeline import Timeline


class LeafSpine:
    """Ports of one run. nics: of the hosts. up: [leaf][spine]. down: [spine][leaf]. to_host: [host]."""

    def __init__(self, timeline: Timeline, config: FabricConfig, scheme: Scheme, rng: random.Random) -> None:
        self.config = config
        self._timeline = timeline
        self._scheme = scheme
        self._rng = rng
        self._hop_id = 0
        leaves, spines = range(config.leaves), range(config.spines)
        self.nics = [HostNic(timeline, config.host_rate_bps, config.delay_ns) for _ in range(config.hosts)]
        self.up = [[self._port(config.spine_rate_bps) for _ in spines] for _ in leaves]
        self.down = [[self._port(config.spine_rate_bps) for _ in leaves] for _ in spines]
        self.to_host = [self._port(config.host_rate_bps) for _ in range(config.hosts)]
        self._near_back = Delay(timeline, config.one_way_ns(config.ack_bytes, is_far=False))
        self._far_back = Delay(timeline, config.one_way_ns(config.ack_bytes, is_far=True))

    def ports(self) -> list[Port]:
        """Every port of a switch."""
        return [port for ports in (*self.up, *self.down, self.to_host) for port in ports]

    def is_far(self, source: int, destination: int) -> bool:
        """Whether two hosts are under different leaves."""
        return self.config.leaf_of(source) != self.config.leaf_of(destination)

    def forward(self, source: int, destination: int, number: int) -> list[Sink]:
        """What a flow's data passes behind the card. number: of the flow, by which its spine is chosen."""
        first, last = self.config.leaf_of(source), self.config.leaf_of(destination)
        route: list[Sink] = []
        if first != last:
            spine = int(random.Random(number).random() * self.config.spines)
            route += [self.up[first][spine].put, self.down[spine][last].put]
        route.append(self.to_host[destination].put)
        return route

    def backward(self, source: int, destination: int) -> list[Sink]:
        """What a flow's acknowledgements pass."""
        return [(self._far_back if self.is_far(source, destination) else self._near_back).put]

    def _port(self, rate_bps: int) -> Port:
        scheme = self._scheme
        self._hop_id += 1
        queue = RampMarking(
            scheme.kmin_bytes * rate_bps // REFERENCE_BPS, scheme.kmax_bytes * rate_bps // REFERENCE_BPS,
            pmax_1000=scheme.pmax_1000, rng=self._rng,
        )  # fmt: skip
        return Port(
            self._timeline, queue, ConstantRate(rate_bps), delay_ns=self.config.delay_ns, hop_id=self._hop_id
        )


REFERENCE_BPS = 25_000_000_000
