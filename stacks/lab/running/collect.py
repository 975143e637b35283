"""Tables of a run that is over."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from stacks.lab.metrics.completion import ideal_ns, slowdown
from stacks.lab.metrics.latency import spread
from stacks.lab.metrics.throughput import goodput_bps
from stacks.lab.results.record import Record, Table
from stacks.lab.running.seen import Seen, SeenFlow
from stacks.lab.running.summary import summary


def collect(world: Seen) -> Record:
    """Everything that a run recorded."""
    tables: dict[str, Table] = {"flows": _flows(world), "links": _links(world)}
    if world.traffic:
        tables["traffic"] = _traffic(world)
    states: Sequence[str] = ()
    if world.samples is not None:
        tables["series"] = world.samples.series
        tables["queues"] = world.samples.queues
        states = world.samples.states
    return Record(tables, states, summary(world, tables), world.events)


def _flows(world: Seen) -> Table:
    columns: dict[str, array[int]] = {name: array("q") for name in FLOW_COLUMNS}
    names, groups, controllers = [], [], []
    for flow in world.flows:
        names.append(flow.name)
        groups.append(flow.config.name)
        controllers.append(flow.config.controller)
        for key, value in zip(FLOW_COLUMNS, _flow(world, flow), strict=True):
            columns[key].append(value)
    return {"name": names, "group": groups, "controller": controllers, **columns}


def _flow(world: Seen, flow: SeenFlow) -> tuple[int, ...]:
    experiment, counts = world.experiment, flow.counts.since(flow.warm_counts)
    end_ns = flow.completed_ns if flow.completed_ns >= 0 else experiment.duration_ns
    if flow.completed_ns < 0 and flow.config.stop_ns is not None:
        end_ns = min(end_ns, flow.config.stop_ns)
    from_ns = max(flow.start_ns, experiment.warmup_ns)
    goodput_bytes = flow.goodput_bytes - flow.warm_bytes
    delay = spread(flow.delays) if flow.delays is not None else None
    rates = [link.rate_bps for link in flow.way.links]
    ideal = -1
    if flow.config.size_bytes is not None:
        ideal = ideal_ns(
            flow.config.size_bytes,
            one_way_ns=flow.way.forward_ns,
            rates_bps=rates,
            packet_bytes=experiment.packet_bytes,
            header_bytes=experiment.header_bytes,
        )
    completion = flow.completed_ns - flow.start_ns if flow.completed_ns >= 0 else -1
    return (
        flow.number,
        flow.start_ns,
        end_ns,
        -1 if flow.config.size_bytes is None else flow.config.size_bytes,
        goodput_bytes,
        goodput_bps(goodput_bytes, end_ns - from_ns),
        completion,
        ideal,
        round(slowdown(completion, ideal) * 1000) if completion >= 0 else -1,
        flow.way.rtt_ns,
        flow.empty_delay_ns,
        *((delay.mean, delay.p50, delay.p95, delay.p99, delay.largest) if delay else (-1,) * 5),
        counts.sent_packets,
        counts.lost_packets,
        counts.retransmitted_packets,
        counts.timeouts,
        counts.spurious_losses,
        counts.ce_packets,
    )


def _links(world: Seen) -> Table:
    names: list[str] = []
    columns: dict[str, array[int]] = {name: array("q") for name in LINK_COLUMNS}
    for index, link in enumerate(world.links):
        names.append(link.name)
        sent_packets, sent_bytes, dropped, marked, lost = link.watched
        backlog = spread(_backlog(world, index))
        values = (
            link.rate_bps,
            link.limit_bytes,
            sent_packets,
            sent_bytes,
            dropped,
            marked,
            lost,
            *((backlog.mean, backlog.p50, backlog.p95, backlog.p99, backlog.largest) if backlog else (-1,) * 5),
        )
        for key, value in zip(LINK_COLUMNS, values, strict=True):
            columns[key].append(value)
    return {"name": names, **columns}


def _traffic(world: Seen) -> Table:
    counts = ("sent_packets", "arrived_packets", "arrived_bytes")
    return {
        "name": [traffic.config.name for traffic in world.traffic],
        **{key: array("q", [getattr(traffic, key) for traffic in world.traffic]) for key in counts},
    }


def _backlog(world: Seen, index: int) -> list[int]:
    if world.samples is None:
        return []
    queues, warmup_ns = world.samples.queues, world.experiment.warmup_ns
    rows = zip(queues["time_ns"], queues["link"], queues["backlog_bytes"], strict=True)
    return [backlog for time_ns, link, backlog in rows if link == index and time_ns >= warmup_ns]


FLOW_COLUMNS = (
    "flow", "start_ns", "end_ns", "size_bytes", "goodput_bytes", "goodput_bps", "completion_ns", "ideal_ns",
    "slowdown_milli", "rtt_ns", "empty_delay_ns", "delay_mean_ns", "delay_p50_ns", "delay_p95_ns", "delay_p99_ns",
    "delay_max_ns", "sent_packets", "lost_packets", "retransmitted_packets", "timeouts", "spurious_losses",
    "ce_packets",
)  # fmt: skip
LINK_COLUMNS = (
    "rate_bps", "limit_bytes", "sent_packets", "sent_bytes", "dropped_packets", "marked_packets", "lost_packets",
    "backlog_mean_bytes", "backlog_p50_bytes", "backlog_p95_bytes", "backlog_p99_bytes", "backlog_max_bytes",
)  # fmt: skip
