"""A sink that writes down what arrives, and traffic to put through an element."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from transports.link import LinkPacket, Sink
from transports.timeline import Timeline

PutBuilder = Callable[[Timeline], Sink]


class Collector:
    """arrivals: (time, packet) in the order of arrival."""

    def __init__(self, timeline: Timeline) -> None:
        self.arrivals: list[tuple[int, LinkPacket]] = []
        self._timeline = timeline

    def put(self, packet: LinkPacket) -> None:
        self.arrivals.append((self._timeline.now, packet))

    @property
    def packets(self) -> list[LinkPacket]:
        return [packet for _, packet in self.arrivals]

    @property
    def numbers(self) -> list[int]:
        """What senders wrote into `payload`."""
        return [packet.payload for _, packet in self.arrivals]


def send(
    timeline: Timeline, sinks: Sequence[Sink], arrivals: Iterable[tuple[int, int]], *, flows: int = 1
) -> Collector:
    """Put packets of (time, size) through `sinks`, with their numbers from 0 as payloads, and run to the end of it."""
    collector = Collector(timeline)
    route = (*sinks, collector.put)
    for number, (time_ns, size_bytes) in enumerate(arrivals):
        packet = LinkPacket(size_bytes, route, flow=number % flows, payload=number)
        timeline.at(time_ns, LinkPacket.forward, packet)
    timeline.run(1 << 50)
    return collector


def traffic(
    seed: int, packets: int, *, mean_gap_ns: int, sizes: Sequence[int] = (60, 576, 1500)
) -> list[tuple[int, int]]:
    """Random arrivals, several of them at the same instant now and then."""
    draw = random.Random(seed).random
    now, arrivals = 0, []
    for _ in range(packets):
        if draw() < 0.8:
            now += int(2 * draw() * mean_gap_ns)
        arrivals.append((now, sizes[int(draw() * len(sizes))]))
    return arrivals
