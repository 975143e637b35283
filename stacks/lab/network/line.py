"""Nodes in a line: a dumbbell is two of them, a chain or a parking lot more."""

from __future__ import annotations

from dataclasses import dataclass

from stacks.lab.experiment.values import LinkConfig, TopologyConfig
from stacks.lab.network.link import Link
from stacks.lab.network.seen import SeenLink
from transports.link import Delay, Sink
from transports.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Way:
    """How a flow gets there and back.

    forward_ns, rtt_ns: without queues. rate_bps: of the narrowest link, 0 where there is none. links: those with a
    queue on the way there.
    """

    forward: tuple[Sink, ...]
    backward: tuple[Sink, ...]
    forward_ns: int
    rtt_ns: int
    rate_bps: int
    links: tuple[SeenLink, ...]


class Line:
    """The hops of a topology.

    links: those that have a queue, in the order of the nodes. seed: of what draws on them.
    """

    def __init__(self, timeline: Timeline, topology: TopologyConfig, *, packet_bytes: int, seed: int) -> None:
        self._timeline = timeline
        self._topology = topology
        self._packet_bytes = packet_bytes
        self._seed = seed
        self._ways: dict[tuple[int, int, int | None], Way] = {}
        self._links: dict[tuple[int, bool], Link] = {}
        for index, hop in enumerate(topology.hops):
            self._add(index, hop.name, hop.forward, is_forward=True)
            self._add(index, f"{hop.name}-back", hop.backward, is_forward=False)
        self.links = [link for link in self._links.values() if link.port is not None]

    def way(self, source: int, target: int, *, rtt_ns: int | None = None) -> Way:
        """From one node to another; target -1: the last. rtt_ns: what the way is to take, if more than its own."""
        target = len(self._topology.hops) if target < 0 else target
        key = (source, target, rtt_ns)
        if key not in self._ways:
            self._ways[key] = self._make_way(source, target, rtt_ns)
        return self._ways[key]

    def _make_way(self, source: int, target: int, rtt_ns: int | None) -> Way:
        there, there_ns, links = self._direction(source, target)
        back, back_ns, _ = self._direction(target, source)
        own_ns = there_ns + back_ns
        extra_ns = max(0, (rtt_ns or own_ns) - own_ns)
        near_ns = extra_ns // 2
        forward = self._with_delay(there, near_ns)
        backward = self._with_delay(back, extra_ns - near_ns)
        rates = [link.rate_bps for link in links if link.rate_bps]
        return Way(forward, backward, there_ns + near_ns, own_ns + extra_ns, min(rates, default=0), tuple(links))

    def _add(self, index: int, name: str, config: LinkConfig, *, is_forward: bool) -> None:
        if config.rate_bps is not None or config.elements:
            self._links[index, is_forward] = Link(
                self._timeline,
                name,
                config,
                rtt_ns=self._topology.rtt_ns,
                packet_bytes=self._packet_bytes,
                seed=(self._seed << 16) + 2 * index + is_forward,
            )

    def _direction(self, source: int, target: int) -> tuple[list[Sink | int], int, list[Link]]:
        # Sinks, with numbers for wires that have no rate; wires in a row become one.
        is_forward = source < target
        indices = range(source, target) if is_forward else range(source - 1, target - 1, -1)
        steps: list[Sink | int] = []
        links: list[Link] = []
        total_ns = 0
        for index in indices:
            hop = self._topology.hops[index]
            config = hop.forward if is_forward else hop.backward
            total_ns += config.delay_ns
            link = self._links.get((index, is_forward))
            if link is None:
                steps.append(config.delay_ns)
            else:
                steps += link.sinks
                if link.port is not None:
                    links.append(link)
        return steps, total_ns, links

    def _with_delay(self, steps: list[Sink | int], extra_ns: int) -> tuple[Sink, ...]:
        sinks: list[Sink] = []
        wire_ns = extra_ns
        for step in (*steps, None):
            if isinstance(step, int):
                wire_ns += step
                continue
            if wire_ns:
                sinks.append(Delay(self._timeline, wire_ns).put)
                wire_ns = 0
            if step is not None:
                sinks.append(step)
        return tuple(sinks)
