"""The fabric itself: cards, ports of switches, and the way of each flow through them."""

from __future__ import annotations

import itertools
import random

from stacks.lab.fabric.config import FabricConfig
from stacks.lab.fabric.nic import HostNic
from stacks.lab.fabric.schemes import Scheme
from transports.link import ConstantRate, Delay, Port, Sink
from transports.link.pausable_queue import PausableQueue
from transports.link.queue import Queue
from transports.link.ramp_marking import RampMarking
from transports.link.shared_buffer import BufferConfig
from transports.link.switch import Ingress, Switch
from transports.timeline import Timeline


class LeafSpine:
    """Ports of one run. nics: of the hosts. up: [leaf][spine]. down: [spine][leaf]. to_host: [host].

    queues: the disciplines of all ports of switches. switches: leaves, then spines; none without buffers.
    """

    def __init__(self, timeline: Timeline, config: FabricConfig, scheme: Scheme, rng: random.Random) -> None:
        self.config = config
        self.queues: list[RampMarking] = []
        self._timeline = timeline
        self._scheme = scheme
        self._rng = rng
        self._hop_id = 0
        self._routes: dict[tuple[int, int, int], list[Sink]] = {}
        leaves, spines = range(config.leaves), range(config.spines)
        has_buffers = config.buffer_bytes > 0
        self.nics = [
            HostNic(timeline, config.host_rate_bps, config.delay_ns, is_pausable=has_buffers)
            for _ in range(config.hosts)
        ]
        self.up = [[self._port(config.spine_rate_bps) for _ in spines] for _ in leaves]
        self.down = [[self._port(config.spine_rate_bps) for _ in leaves] for _ in spines]
        self.to_host = [self._port(config.host_rate_bps) for _ in range(config.hosts)]
        self.switches: list[Switch] = []
        self._ingresses: dict[Port, Ingress] = {}
        if has_buffers:
            self._share_buffers()
        self._near_back = Delay(timeline, config.one_way_ns(config.ack_bytes, is_far=False))
        self._far_back = Delay(timeline, config.one_way_ns(config.ack_bytes, is_far=True))

    @property
    def pause_frames(self) -> int:
        """Sent by all switches."""
        return sum([switch.pause_frames for switch in self.switches])

    @property
    def dropped_packets(self) -> int:
        """For want of room in a switch's buffer."""
        return sum([switch.dropped_packets for switch in self.switches])

    def is_far(self, source: int, destination: int) -> bool:
        """Whether two hosts are under different leaves."""
        return self.config.leaf_of(source) != self.config.leaf_of(destination)

    def forward(self, source: int, destination: int, number: int) -> list[Sink]:
        """What a flow's data passes behind the card. number: of the flow, by which its spine is chosen."""
        spine = int(random.Random(number).random() * self.config.spines)
        key = source, destination, spine
        route = self._routes.get(key)
        if route is None:
            self._routes[key] = route = self._route(source, destination, spine)
        return route

    def backward(self, source: int, destination: int) -> list[Sink]:
        """What a flow's acknowledgements pass."""
        return [(self._far_back if self.is_far(source, destination) else self._near_back).put]

    def _route(self, source: int, destination: int, spine: int) -> list[Sink]:
        first, last = self.config.leaf_of(source), self.config.leaf_of(destination)
        ports: list[Port] = [self.nics[source]]
        if first != last:
            ports += [self.up[first][spine], self.down[spine][last]]
        ports.append(self.to_host[destination])
        if not self.switches:
            return [port.put for port in ports[1:]]
        return [self._ingresses[before].to(port) for before, port in itertools.pairwise(ports)]

    def _port(self, rate_bps: int) -> Port:
        scheme = self._scheme
        self._hop_id += 1
        marking = RampMarking(
            scheme.kmin_bytes * rate_bps // REFERENCE_BPS, scheme.kmax_bytes * rate_bps // REFERENCE_BPS,
            pmax_1000=scheme.pmax_1000, rng=self._rng,
        )  # fmt: skip
        self.queues.append(marking)
        queue: Queue = PausableQueue([marking]) if self.config.buffer_bytes else marking
        return Port(self._timeline, queue, ConstantRate(rate_bps), delay_ns=self.config.delay_ns, hop_id=self._hop_id)

    def _share_buffers(self) -> None:
        config = self.config
        mtu_bytes = config.payload_bytes + config.header_bytes + config.telemetry_bytes
        buffer = BufferConfig(buffer_bytes=config.buffer_bytes)
        self.switches = [
            Switch(self._timeline, buffer, mtu_bytes=mtu_bytes) for _ in range(config.leaves + config.spines)
        ]
        leaves, spines = self.switches[: config.leaves], self.switches[config.leaves :]
        for host, port in enumerate(self.to_host):
            leaf = leaves[config.leaf_of(host)]
            leaf.egress(port)
            self._ingresses[self.nics[host]] = leaf.ingress(self.nics[host], config.host_rate_bps)
        for number, ports in enumerate(self.up):
            for spine, port in enumerate(ports):
                leaves[number].egress(port)
                self._ingresses[port] = self._wide(spines[spine], port)
        for number, ports in enumerate(self.down):
            for leaf_number, port in enumerate(ports):
                spines[number].egress(port)
                self._ingresses[port] = self._wide(leaves[leaf_number], port)

    def _wide(self, switch: Switch, upstream: Port) -> Ingress:
        # As in the authors' simulator: a link of four times the rate has four times the threshold.
        return switch.ingress(upstream, self.config.spine_rate_bps, alpha_shift=1)


REFERENCE_BPS = 25_000_000_000
