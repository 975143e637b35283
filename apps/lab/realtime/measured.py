"""What a run in real time came to, as tables and metrics are made of it: the ends' counts, and the link's record.

One-way delays and queues are those of the link, which are exact whatever the ends were doing.
"""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from apps.lab.realtime.end import FlowEnd
from apps.lab.realtime.samples import RealSamples
from stacks.lab.experiment.values import Experiment, HopConfig, LinkConfig
from stacks.lab.network.seen import SeenLink
from stacks.lab.running.seen import SeenFlow, SeenTraffic
from stacks.lab.running.world import DELAY_METRICS
from transports.relay.ledger import LinkRecord


class MeasuredLink:
    """One way of the bottleneck; see `stacks.lab.network.link.Link`. way: 0 forward, 1 back."""

    def __init__(self, name: str, config: LinkConfig, *, way: int, rtt_ns: int, packet_bytes: int) -> None:
        self.name = name
        self.way = way
        self.rate_bps = config.rate_bps or 0
        self.is_constant = not isinstance(config.rate, dict)
        self.limit_bytes = config.buffer.size_bytes(self.rate_bps, rtt_ns, packet_bytes) if self.rate_bps else 0
        self.watched = (0, 0, 0, 0, 0)
        self.sent_packets = 0

    def count(self, queues: Mapping[str, array[int]], from_ns: int, end_ns: int) -> None:
        """Fill in what it sent and lost between two times of the link's record."""
        rows = [row for row, way in enumerate(queues["way"]) if way == self.way]
        times = [queues["time_ns"][row] for row in rows]
        names = ("sent_packets", "sent_bytes", "dropped_packets", "marked_packets", "lost_packets")
        counts = [[queues[name][row] for row in rows] for name in names]
        sent, sent_bytes, dropped, marked, lost = (
            value_at(times, each, end_ns) - value_at(times, each, from_ns) for each in counts
        )
        self.watched = sent, sent_bytes, dropped, marked, lost
        self.sent_packets = value_at(times, counts[0], end_ns)


def value_at(times: Sequence[int], values: Sequence[int], time_ns: int) -> int:
    """A counter at a time, as if it had moved evenly between the two samples around it."""
    after = bisect.bisect_right(times, time_ns)
    if after in (0, len(times)):
        return values[0 if after == 0 else -1]
    first, last = values[after - 1], values[after]
    return first + (last - first) * (time_ns - times[after - 1]) // (times[after] - times[after - 1])


def links_of(hop: HopConfig, *, rtt_ns: int, packet_bytes: int) -> list[MeasuredLink]:
    """Those of a hop that have a queue."""
    both = ((hop.name, hop.forward), (f"{hop.name}-back", hop.backward))
    return [
        MeasuredLink(name, config, way=way, rtt_ns=rtt_ns, packet_bytes=packet_bytes)
        for way, (name, config) in enumerate(both)
        if config.rate_bps is not None
    ]


@dataclass(frozen=True, slots=True)
class Measured:
    """A run that is over: `stacks.lab.running.seen.Seen`."""

    experiment: Experiment
    flows: Sequence[SeenFlow]
    traffic: Sequence[SeenTraffic]
    samples: RealSamples | None
    links: Sequence[SeenLink]
    events: int


def merge(
    experiment: Experiment,
    record: LinkRecord,
    *,
    start_ns: int,
    flows: Sequence[FlowEnd],
    traffic: Sequence[SeenTraffic],
    samples: RealSamples | None,
    links: Sequence[MeasuredLink],
) -> Measured:
    """Put what the link recorded beside what the ends know. start_ns: of the run, by the clock of the link's record."""
    offset_ns = start_ns - record.epoch_ns
    end_ns = offset_ns + experiment.duration_ns
    for link in links:
        link.count(record.queues, offset_ns + experiment.warmup_ns, end_ns)
    if samples is not None:
        _queue_series(samples, record.queues, links, (offset_ns, end_ns))
    if DELAY_METRICS & set(experiment.metrics):
        _delays(record, flows, offset_ns + experiment.warmup_ns, end_ns)
    events = sum(link.sent_packets for link in links)
    return Measured(experiment, flows, traffic, samples, links, events)


def _delays(record: LinkRecord, flows: Sequence[FlowEnd], from_ns: int, end_ns: int) -> None:
    of_name = {flow.link_name: flow for flow in flows}
    delays: list[array[int] | None] = []
    for _, name in record.flows:
        flow = of_name.get(name)
        found = None
        if flow is not None:
            found = flow.delays = array("q")
        delays.append(found)
    packets = record.packets
    for time_ns, number, delay_ns in zip(packets["time_ns"], packets["flow"], packets["delay_ns"], strict=True):
        found = delays[number]
        if found is not None and from_ns <= time_ns <= end_ns:
            found.append(delay_ns)


def _queue_series(
    samples: RealSamples, queues: Mapping[str, array[int]], links: Sequence[MeasuredLink], span: tuple[int, int]
) -> None:
    """What the link looked at while the run lasted."""
    numbers = {link.way: number for number, link in enumerate(links)}
    for row, (time_ns, way) in enumerate(zip(queues["time_ns"], queues["way"], strict=True)):
        if way in numbers and span[0] <= time_ns <= span[1]:
            for name, column in samples.queues.items():
                if name == "time_ns":
                    column.append(time_ns - span[0])
                else:
                    column.append(numbers[way] if name == "link" else queues[name][row])
