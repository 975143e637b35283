"""One switch between simulated devices: output queues that mark ECN, and ports that pause whoever fills them (PFC).

    host -- Link --> Switch: counted for the port it came in by, queued for the port it leaves by -- Link --> host
            <-- pause, resume ----

When the bytes that came in by one port and are still in the switch reach `xoff_bytes`, that port's host is told to
pause, and to go on when they have fallen to `xon_bytes`: nothing is lost, and who sends elsewhere waits too (IEEE
802.1Qbb). Without PFC a full `buffer_bytes` drops.

Left out: priorities (a pause stops everything that a host sends), pause quanta (a pause lasts until it is taken back),
a buffer shared by ports, several switches, and so deadlock. A host's own queue has no limit, as its window bounds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from transports.datagram import ECN_CE, ECN_NOT_ECT
from transports.packets import Packet
from transports.simulation.events import Simulation
from transports.simulation.link import Link, wire_bytes
from transports.simulation.marking import EcnRamp
from transports.simulation.network import Deliver, Network


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchConfig:
    """A switch and the links to it.

    rate_bps: of every link. delay_ns: of each link's wire. buffer_bytes: of each output queue, 0 for no limit.
    marking: when output queues mark, None for never. xoff_bytes, xon_bytes: when a port pauses its host and lets it
    go on; an xoff of 0 means no PFC. ValueError for thresholds out of order.
    """

    rate_bps: int = 10_000_000_000
    delay_ns: int = 1_000
    buffer_bytes: int = 0
    marking: EcnRamp | None = None
    xoff_bytes: int = 0
    xon_bytes: int = 0

    def __post_init__(self) -> None:
        is_ordered = 0 <= self.xon_bytes <= self.xoff_bytes
        if self.rate_bps < 1 or self.delay_ns < 0 or self.buffer_bytes < 0 or not is_ordered:
            raise ValueError("a switch needs a rate above 0, no negative delay or buffer, and 0 <= xon <= xoff")


class Port:
    """One port: the link from its host, the link to it, and what came in by it and is still inside.

    pause_frames, resume_frames: sent to its host.
    """

    def __init__(self, uplink: Link, downlink: Link) -> None:
        self.uplink = uplink
        self.downlink = downlink
        self.ingress_bytes = 0
        self.pause_frames = 0
        self.resume_frames = 0
        self.is_pausing = False


class Switch:
    """Joins the hosts of a `Network`; every path between them leads through it.

    hosts: addresses, numeric text. marked, dropped: packets. rng: of the marks, forked from the simulation's.
    """

    def __init__(self, network: Network, config: SwitchConfig, hosts: Sequence[str]) -> None:
        self.config = config
        self.marked = 0
        self.dropped = 0
        self._simulation = network.simulation
        self._rng = network.simulation.fork_rng()
        self._deliver: Deliver | None = None
        self.ports = {host: self._make_port(host) for host in hosts}
        for source in hosts:
            for destination in hosts:
                if source != destination:
                    network.set_path(source, destination, self)

    @property
    def pause_frames(self) -> int:
        """Sent by all ports."""
        return sum([port.pause_frames for port in self.ports.values()])

    def carry(self, packets: Sequence[Packet], simulation: Simulation, deliver: Deliver) -> None:  # noqa: ARG002  # has it
        """Take what a host sends: it waits for the host's link."""
        self._deliver = deliver
        for packet in packets:
            self.ports[packet.source[0]].uplink.put(packet)

    def _make_port(self, host: str) -> Port:
        config, simulation = self.config, self._simulation
        uplink = Link(simulation, config.rate_bps, config.delay_ns, partial(self._arrive, host))
        downlink = Link(simulation, config.rate_bps, config.delay_ns, self._hand_over)
        downlink.on_departure = self._left
        return Port(uplink, downlink)

    def _arrive(self, host: str, packet: Packet) -> None:
        config, size = self.config, wire_bytes(packet)
        output = self.ports[packet.destination[0]].downlink
        if config.buffer_bytes and output.queued_bytes + size > config.buffer_bytes:
            self.dropped += 1
            return
        marking = config.marking
        if marking is not None and packet.ecn != ECN_NOT_ECT and marking.marks(output.queued_bytes, self._rng):
            packet.ecn = ECN_CE
            self.marked += 1
        port = self.ports[host]
        port.ingress_bytes += size
        if config.xoff_bytes and not port.is_pausing and port.ingress_bytes >= config.xoff_bytes:
            port.is_pausing = True
            port.pause_frames += 1
            self._simulation.schedule(self._simulation.now + config.delay_ns, port.uplink.pause)
        output.put(packet)

    def _left(self, packet: Packet) -> None:
        """A packet is out of the buffer."""
        port = self.ports[packet.source[0]]
        port.ingress_bytes -= wire_bytes(packet)
        if port.is_pausing and port.ingress_bytes <= self.config.xon_bytes:
            port.is_pausing = False
            port.resume_frames += 1
            self._simulation.schedule(self._simulation.now + self.config.delay_ns, port.uplink.resume)

    def _hand_over(self, packet: Packet) -> None:
        assert self._deliver is not None
        self._deliver([packet])
