"""A data centre in two tiers: hosts below leaves, and every leaf joined to every spine.

    host - leaf - spine - leaf - host       or host - leaf - host

Flows are spread over the spines by `ecmp.choose`, the way back by a choice of its own. All ports have PausableQueues,
leaves and spines share their buffers among their ports and pause each other and the hosts (`switch`), and every port
writes telemetry into packets that ask for it, under numbers of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from transports.errors import TransportError
from transports.link.checks import check_at_least
from transports.link.droptail import DropTail
from transports.link.packet import Sink
from transports.link.pausable_queue import PausableQueue
from transports.link.port import Port
from transports.link.queue import Queue
from transports.link.rates import ConstantRate
from transports.link.shared_buffer import BufferConfig
from transports.link.switch import Ingress, Switch
from transports.link.topology.ecmp import choose
from transports.link.topology.path import Path
from transports.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafSpineConfig:
    """A fabric; as it stands, 32 hosts of 100 Gbit/s, not oversubscribed, with the wires of HPCC's simulations.

    leaves, spines, hosts_per_leaf: how many. host_bps, spine_bps: of a host's link, and of one between the tiers.
    host_delay_ns, spine_delay_ns: of their wires. buffer: of each switch. priorities: that can be paused, from 0 on;
    those above are for control packets. mtu_bytes: of the largest packet. has_pfc: pause, or drop.
    alpha_shift: of links as fast as a host's; twice as fast, one less (as in HPCC's simulations).

    TransportError for what cannot be.
    """

    leaves: int = 4
    spines: int = 4
    hosts_per_leaf: int = 8
    host_bps: int = 100_000_000_000
    spine_bps: int = 200_000_000_000
    host_delay_ns: int = 1_000
    spine_delay_ns: int = 1_000
    buffer: BufferConfig = field(default_factory=BufferConfig)
    priorities: int = 1
    mtu_bytes: int = 1500
    has_pfc: bool = True
    alpha_shift: int = 3

    def __post_init__(self) -> None:
        for name in ("leaves", "spines", "hosts_per_leaf", "host_bps", "spine_bps", "priorities", "mtu_bytes"):
            check_at_least(name, getattr(self, name), 1)
        for name in ("host_delay_ns", "spine_delay_ns", "alpha_shift"):
            check_at_least(name, getattr(self, name), 0)

    @property
    def hosts(self) -> int:
        """All of them, numbered leaf by leaf."""
        return self.leaves * self.hosts_per_leaf


class LeafSpine:
    """The fabric. leaves, spines: its switches. host_ports: of the hosts, towards their leaves.

    down_ports: from leaves to hosts, by host; up_ports: from leaves to spines, by leaf and spine; spine_ports: from
    spines to leaves, by spine and leaf. make_queue: the discipline of one priority of one port of a switch, drop-tail
    without a limit where left out; hosts always have the latter.
    """

    def __init__(
        self,
        timeline: Timeline,
        config: LeafSpineConfig | None = None,
        *,
        make_queue: Callable[[], Queue] = DropTail,
    ) -> None:
        self.config = config = config or LeafSpineConfig()
        self._timeline = timeline
        self._make_queue = make_queue
        self._hop_id = 0
        self._crossings: dict[tuple[Ingress, Port], Sink] = {}
        self.leaves = [self._switch() for _ in range(config.leaves)]
        self.spines = [self._switch() for _ in range(config.spines)]
        hosts = range(config.hosts)
        self.host_ports = [self._port(config.host_bps, config.host_delay_ns, DropTail) for _ in hosts]
        self.down_ports = [
            self._egress(self.leaves[self.leaf_of(host)], config.host_bps, config.host_delay_ns) for host in hosts
        ]
        self.up_ports = [[self._between(leaf) for _ in self.spines] for leaf in self.leaves]
        self.spine_ports = [[self._between(spine) for _ in self.leaves] for spine in self.spines]
        self._from_host = [
            self._wire(self.leaves[self.leaf_of(host)], self.host_ports[host], config.host_bps) for host in hosts
        ]
        self._from_leaf = [
            [self._wire(spine, port, config.spine_bps) for spine, port in zip(self.spines, ports, strict=True)]
            for ports in self.up_ports
        ]
        self._from_spine = [
            [self._wire(leaf, port, config.spine_bps) for leaf, port in zip(self.leaves, ports, strict=True)]
            for ports in self.spine_ports
        ]

    def leaf_of(self, host: int) -> int:
        """The number of its leaf."""
        return host // self.config.hosts_per_leaf

    def path(self, source: int, target: int, flow: int) -> Path:
        """Between two hosts, for the flow of this number. TransportError for hosts that are not there, or the same."""
        for name, host in (("source", source), ("target", target)):
            if not 0 <= host < self.config.hosts:
                raise TransportError(f"{name} is a host from 0 to {self.config.hosts - 1}, not {host}")
        if source == target:
            raise TransportError(f"source and target are two hosts, not both {source}")
        forward, ports = self._way(source, target, flow, salt=0)
        backward, back_ports = self._way(target, source, flow, salt=1)
        rates = [port.rate.rate_bps for port in ports if isinstance(port.rate, ConstantRate)]
        return Path(
            forward=forward,
            backward=backward,
            forward_ns=sum(port.delay_ns for port in ports),
            backward_ns=sum(port.delay_ns for port in back_ports),
            rate_bps=min(rates),
            ports=tuple(ports),
        )

    def spine_of(self, flow: int, *, is_backward: bool = False) -> int:
        """The spine that a flow takes between leaves."""
        return choose(flow, self.config.spines, salt=int(is_backward))

    def _way(self, source: int, target: int, flow: int, *, salt: int) -> tuple[tuple[Sink, ...], list[Port]]:
        near, far = self.leaf_of(source), self.leaf_of(target)
        start, down = self.host_ports[source], self.down_ports[target]
        if near == far:
            return (start.put, self._cross(self._from_host[source], down)), [start, down]
        spine = choose(flow, self.config.spines, salt=salt)
        up, over = self.up_ports[near][spine], self.spine_ports[spine][far]
        sinks = (
            start.put,
            self._cross(self._from_host[source], up),
            self._cross(self._from_leaf[near][spine], over),
            self._cross(self._from_spine[spine][far], down),
        )
        return sinks, [start, up, over, down]

    def _cross(self, ingress: Ingress, egress: Port) -> Sink:
        sink = self._crossings.get((ingress, egress))
        if sink is None:
            self._crossings[ingress, egress] = sink = ingress.to(egress)
        return sink

    def _switch(self) -> Switch:
        config = self.config
        return Switch(self._timeline, config.buffer, mtu_bytes=config.mtu_bytes, has_pfc=config.has_pfc)

    def _port(self, rate_bps: int, delay_ns: int, make_queue: Callable[[], Queue]) -> Port:
        queue = PausableQueue([make_queue() for _ in range(self.config.priorities)])
        self._hop_id += 1
        return Port(self._timeline, queue, ConstantRate(rate_bps), delay_ns=delay_ns, hop_id=self._hop_id)

    def _egress(self, switch: Switch, rate_bps: int, delay_ns: int) -> Port:
        port = self._port(rate_bps, delay_ns, self._make_queue)
        switch.egress(port, alpha_shift=self._alpha_shift(rate_bps))
        return port

    def _between(self, switch: Switch) -> Port:
        return self._egress(switch, self.config.spine_bps, self.config.spine_delay_ns)

    def _wire(self, switch: Switch, upstream: Port, rate_bps: int) -> Ingress:
        return switch.ingress(upstream, rate_bps, alpha_shift=self._alpha_shift(rate_bps))

    def _alpha_shift(self, rate_bps: int) -> int:
        # The share of a faster link is larger, in steps of two (third.cc of HPCC's simulator).
        alpha_shift = self.config.alpha_shift
        while rate_bps > self.config.host_bps and alpha_shift:
            alpha_shift -= 1
            rate_bps //= 2
        return alpha_shift
