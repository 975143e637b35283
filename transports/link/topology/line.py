"""Nodes in a row with a link between each two: a dumbbell is two of them, chains and parking lots are more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transports.errors import TransportError
from transports.link.checks import check_at_least
from transports.link.delay import Delay
from transports.link.fifo_port import FifoPort
from transports.link.linkspec import BuiltLink
from transports.link.packet import Sink
from transports.link.topology.path import Path
from transports.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Hop:
    """The link between two nodes, both ways, each made with `LinkSpec.build`."""

    forward: BuiltLink
    backward: BuiltLink


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How one flow's ends are joined to their nodes: what differs between flows that share a bottleneck.

    forward_ns, backward_ns: more propagation there and back, need not be equal. rate_bps: of the sender's own link, 0
    for one that is never in the way. TransportError for negative values.
    """

    forward_ns: int = 0
    backward_ns: int = 0
    rate_bps: int = 0

    def __post_init__(self) -> None:
        for name in ("forward_ns", "backward_ns", "rate_bps"):
            check_at_least(name, getattr(self, name), 0)


class Line:
    """Nodes 0, 1, 2, ... with `hops` between them; whoever goes from a higher to a lower node takes the way back.

    TransportError for no hop at all.
    """

    def __init__(self, timeline: Timeline, hops: Sequence[Hop]) -> None:
        if not hops:
            raise TransportError("a line of nodes needs at least one hop")
        self.hops = tuple(hops)
        self._timeline = timeline

    def path(self, source: int, target: int, access: Access | None = None) -> Path:
        """Between two nodes. TransportError when they are the same, or there is no such node."""
        for name, node in (("source", source), ("target", target)):
            if not 0 <= node <= len(self.hops):
                raise TransportError(f"{name} is a node from 0 to {len(self.hops)}, not {node}")
        if source == target:
            raise TransportError(f"source and target are two nodes, not both {source}")
        access = access or NO_ACCESS
        there, back = self._links(source, target), self._links(target, source)
        rates = [link.rate_bps for link in there if link.rate_bps] + ([access.rate_bps] if access.rate_bps else [])
        first = self._access(access.forward_ns, access.rate_bps)
        return Path(
            forward=(*first, *_sinks(there)),
            backward=(*self._access(access.backward_ns, 0), *_sinks(back)),
            forward_ns=access.forward_ns + _delay_ns(there),
            backward_ns=access.backward_ns + _delay_ns(back),
            rate_bps=min(rates, default=0),
            ports=tuple(link.port for link in there if link.port is not None),
        )

    def _links(self, source: int, target: int) -> list[BuiltLink]:
        if source < target:
            return [hop.forward for hop in self.hops[source:target]]
        return [hop.backward for hop in reversed(self.hops[target:source])]

    def _access(self, delay_ns: int, rate_bps: int) -> tuple[Sink, ...]:
        if rate_bps:
            return (FifoPort(self._timeline, rate_bps, delay_ns=delay_ns).put,)
        return (Delay(self._timeline, delay_ns).put,) if delay_ns else ()


def dumbbell(timeline: Timeline, forward: BuiltLink, backward: BuiltLink, flows: Sequence[Access]) -> list[Path]:
    """One bottleneck for all: the path of each flow, in order."""
    line = Line(timeline, [Hop(forward, backward)])
    return [line.path(0, 1, access) for access in flows]


def chain(
    timeline: Timeline, make: Callable[[int], Hop], hops: int, flows: Sequence[tuple[int, int]]
) -> list[Path]:
    """Several hops in a row, made by their numbers from 0 on: the path of each flow between its two nodes."""
    line = Line(timeline, [make(number) for number in range(hops)])
    return [line.path(source, target) for source, target in flows]


def parking_lot(
    timeline: Timeline, make: Callable[[int], Hop], hops: int, *, cross_flows: int = 1
) -> tuple[Path, list[list[Path]]]:
    """One path over all hops, and for each hop those of the flows that cross it alone."""
    check_at_least("cross_flows", cross_flows, 0)
    line = Line(timeline, [make(number) for number in range(hops)])
    crossing = [[line.path(number, number + 1) for _ in range(cross_flows)] for number in range(hops)]
    return line.path(0, hops), crossing


def _sinks(links: Sequence[BuiltLink]) -> tuple[Sink, ...]:
    return tuple(sink for link in links for sink in link.sinks)


def _delay_ns(links: Sequence[BuiltLink]) -> int:
    return sum(link.delay_ns for link in links)


NO_ACCESS = Access()
