"""An experiment as values: what the network is, who sends over it, and what is wanted of the run.

Times are integer nanoseconds, rates bits per second, sizes bytes of whole packets. `place`, everywhere, is where in the
document it stands; it counts for nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from stacks.lab.fabric.config import FabricConfig
from stacks.runtime.toml_places import Place


@dataclass(frozen=True, slots=True)
class Buffer:
    """How much a queue holds. kind: bytes, packets, time (ns at the link's rate) or bdp (amount in thousandths)."""

    kind: str
    amount: int

    def size_bytes(self, rate_bps: int, rtt_ns: int, packet_bytes: int) -> int:
        """The same in bytes."""
        if self.kind == "packets":
            return self.amount * packet_bytes
        if self.kind == "time":
            return self.amount * rate_bps // BIT_NS_PER_BYTE_S
        if self.kind == "bdp":
            return self.amount * rate_bps * rtt_ns // (1000 * BIT_NS_PER_BYTE_S)
        return self.amount


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConfig:
    """One direction of a link: a queue, a rate and a wire, and what goes wrong on it.

    rate_bps: None for a wire alone, which has no queue; of a rate that changes, what buffers are sized by. rate: as it
    is written, for `transports.link.linkspec`. queue: the discipline, likewise, for `stacks.lab.network.queues`.
    elements: by slot what is written for it, for `transports.link.elements`.
    """

    delay_ns: int
    rate_bps: int | None = None
    rate: object = None
    queue: object = "droptail"
    buffer: Buffer = Buffer("bdp", 1000)
    elements: tuple[tuple[str, object], ...] = ()
    place: Place = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HopConfig:
    """Two nodes' link, both directions."""

    name: str
    forward: LinkConfig
    backward: LinkConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyConfig:
    """A network.

    hops: of a line of nodes 0, 1, 2, ... with one between each two: dumbbell (one hop), chain, parking lot. fabric: of
    a leaf-spine, which has none of them.
    """

    kind: str
    hops: tuple[HopConfig, ...] = ()
    fabric: FabricConfig | None = None
    place: Place = field(default=(), compare=False, repr=False)

    @property
    def rtt_ns(self) -> int:
        """There and back over all hops, without queues and without what flows add."""
        return sum(hop.forward.delay_ns + hop.backward.delay_ns for hop in self.hops)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageConfig:
    """What a storage flow does: commands of `block_bytes`, `depth` of them under way, `writes` percent of them writes.

    queues: I/O queues between both ends.
    """

    block_bytes: int = 16 << 10
    depth: int = 32
    writes: int = 0
    queues: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowConfig:
    """One or several flows that are alike.

    sender: who sends (`model`, `linux:cubic`, ...); controller: a name of the catalogue, or FILE.py:CLASS with a whole
    path. start_ns: of the first; spacing_ns: from one to the next; jitter_ns: a random time of up to this is added to
    each start; stop_ns: when their applications stop, None for never. size_bytes: of each, None for no end.
    write_rate_bps: what the application gives, None for all at once. rtt_ns: of the path without queues, what the
    topology lacks is added at the sender; None for the topology's own. source, target: nodes. initial_window_packets:
    RFC 6928's 10 if left out. ack_packets: see `ReceiverConfig`. storage: of the senders `nvme:...`, None for others.
    """

    name: str
    controller: str
    sender: str = "model"
    count: int = 1
    start_ns: int = 0
    spacing_ns: int = 0
    jitter_ns: int = 0
    stop_ns: int | None = None
    size_bytes: int | None = None
    write_rate_bps: int | None = None
    rtt_ns: int | None = None
    source: int = 0
    target: int = 0
    initial_window_packets: int = 10
    ack_packets: int = 2
    storage: StorageConfig | None = None
    place: Place = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficConfig:
    """Cross traffic.

    kind: constant and on-off are packets that no controller governs, web is short flows at random times.
    rate_bps: while it sends; of web, what all flows together carry. on_ns, off_ns: of on-off, means of exponential
    times. packet_bytes: None for the experiment's. sizes: of web, the flows' distribution (`stacks.lab.workloads`), or
    the bytes of each. controller, sender, initial_window_packets: of web.
    """

    name: str
    kind: str
    rate_bps: int
    start_ns: int = 0
    stop_ns: int | None = None
    on_ns: int = 0
    off_ns: int = 0
    source: int = 0
    target: int = 0
    packet_bytes: int | None = None
    sizes: str | int = ""
    controller: str = ""
    sender: str = "model"
    initial_window_packets: int = 10
    place: Place = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadConfig:
    """Flows between the hosts of a leaf-spine.

    kind: poisson (a host begins flows at random times, to other hosts at random) or incast (again and again, several
    hosts send to one at once). scheme: the controller with its constants and marking (`stacks.lab.fabric.schemes`).
    sizes: a distribution's name, or the bytes of each flow; divisor: sizes are divided by it. load_1000: of the hosts'
    links, in thousandths. flows: how many, of poisson; fan_in: hosts that send at once, of incast.
    """

    name: str
    kind: str
    scheme: str
    sizes: str | int
    load_1000: int
    divisor: int = 1
    flows: int = 0
    fan_in: int = 0
    place: Place = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Everything about a run.

    name: a word; title: for people. warmup_ns: what metrics leave out at the beginning. sample_ns: between two samples
    of the time series, 0 for none. packet_bytes: of a full packet, of which header_bytes are no payload: flow sizes,
    application rates and goodput are of payload, links and windows of packets. metrics: what is worked out.
    """

    name: str
    duration_ns: int
    topology: TopologyConfig
    title: str = ""
    description: str = ""
    warmup_ns: int = 0
    seed: int = 1
    sample_ns: int = 10_000_000
    packet_bytes: int = 1500
    header_bytes: int = 0
    metrics: tuple[str, ...] = ()
    flows: tuple[FlowConfig, ...] = ()
    traffic: tuple[TrafficConfig, ...] = ()
    workloads: tuple[WorkloadConfig, ...] = ()


BIT_NS_PER_BYTE_S = 8_000_000_000
