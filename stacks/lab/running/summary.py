"""The metrics of a run that is over: one value each, for the whole of it."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

from stacks.lab.metrics.fairness import convergence_ns, jain
from stacks.lab.metrics.latency import Spread, power, spread, under_load
from stacks.lab.metrics.order import mean
from stacks.lab.metrics.throughput import goodput_bps, loss_share, utilisation
from stacks.lab.network.seen import SeenLink
from stacks.lab.results.record import Table, Value
from stacks.lab.running.seen import Seen, SeenFlow


def summary(world: Seen, tables: Mapping[str, Table]) -> dict[str, Value]:
    """What the experiment's `metrics` ask for, by name; None for what did not come about."""
    wanted = set(world.experiment.metrics)
    metrics: dict[str, Value] = {}
    goodputs = _long_goodputs(world, tables)
    if "goodput" in wanted:
        new_bytes = sum(_numbers(tables["flows"], "goodput_bytes"))
        metrics["goodput_bps"] = goodput_bps(new_bytes, world.experiment.duration_ns - world.experiment.warmup_ns)
    if (link := _bottleneck(world)) is not None:
        metrics |= _link_metrics(world, link, wanted)
    if len(goodputs) > 1:
        if "fairness" in wanted:
            metrics["jain"] = jain(goodputs)
        if "convergence" in wanted and world.samples is not None:
            metrics["convergence_ns"] = _convergence(world)
    delays = array("q")
    for flow in world.flows:
        delays.extend(flow.delays or ())
    delay = spread(delays)
    if delay is not None:
        metrics |= _delay_metrics(world, delay, wanted, sum(goodputs))
    if "completion" in wanted:
        metrics |= _completion_metrics(tables)
    return metrics | _group_metrics(world, tables, wanted)


def _link_metrics(world: Seen, link: SeenLink, wanted: set[str]) -> dict[str, Value]:
    metrics: dict[str, Value] = {}
    measured_ns = world.experiment.duration_ns - world.experiment.warmup_ns
    sent_packets, sent_bytes, dropped, _, lost = link.watched
    if "utilisation" in wanted and link.is_constant:
        metrics["utilisation"] = utilisation(sent_bytes, link.rate_bps, measured_ns)
    if "loss" in wanted:
        metrics["loss"] = loss_share(dropped + lost, sent_packets + dropped + lost)
    return metrics


def _delay_metrics(world: Seen, delay: Spread, wanted: set[str], total_bps: int) -> dict[str, Value]:
    metrics: dict[str, Value] = {}
    if "delay" in wanted:
        metrics |= {"delay_mean_ns": delay.mean, "delay_p50_ns": delay.p50}
        metrics |= {"delay_p95_ns": delay.p95, "delay_p99_ns": delay.p99}
    if "power" in wanted:
        metrics["power"] = power(total_bps, delay.mean)
    if "latency_under_load" in wanted:
        over = [
            under_load(each, flow.empty_delay_ns)
            for flow in world.flows
            if flow.delays is not None and (each := spread(flow.delays)) is not None
        ]
        metrics["latency_under_load_p50_ns"] = mean([each.p50 for each in over])
        metrics["latency_under_load_p95_ns"] = mean([each.p95 for each in over])
    return metrics


def _group_metrics(world: Seen, tables: Mapping[str, Table], wanted: set[str]) -> dict[str, Value]:
    """Of each group of flows by its name, where there are several."""
    groups: dict[str, list[SeenFlow]] = {}
    for flow in world.flows:
        groups.setdefault(flow.config.name, []).append(flow)
    metrics: dict[str, Value] = {}
    if not 1 < len(groups) <= GROUPS_MAX:
        return metrics
    goodputs, delays = _numbers(tables["flows"], "goodput_bps"), _numbers(tables["flows"], "delay_p95_ns")
    long = [flow.number for flow in world.flows if flow.config.size_bytes is None]
    total = sum(goodputs[number] for number in long)
    for name, flows in groups.items():
        if flows[0].config.size_bytes is None:
            own = sum(goodputs[flow.number] for flow in flows)
            if "goodput" in wanted:
                metrics[f"{name}.goodput_bps"] = own // len(flows)
            if "fairness" in wanted and len(long) > 1:
                # 1 for a flow that has what it would if all that never end had the same.
                metrics[f"{name}.share"] = own * len(long) / (len(flows) * total) if total else 0.0
        elif "completion" in wanted:
            times = spread([flow.completed_ns - flow.start_ns for flow in flows if flow.completed_ns >= 0])
            metrics[f"{name}.completion_p50_ns"] = times.p50 if times else None
            metrics[f"{name}.completion_p95_ns"] = times.p95 if times else None
        found = [delays[flow.number] for flow in flows if delays[flow.number] >= 0]
        if "delay" in wanted and found:
            metrics[f"{name}.delay_p95_ns"] = mean(found)
    return metrics


def _completion_metrics(tables: Mapping[str, Table]) -> dict[str, Value]:
    slow = spread([value for value in _numbers(tables["flows"], "slowdown_milli") if value >= 0])
    times = spread([value for value in _numbers(tables["flows"], "completion_ns") if value >= 0])
    if slow is None or times is None:
        return {}
    return {
        "completed_flows": len([1 for value in _numbers(tables["flows"], "completion_ns") if value >= 0]),
        "completion_mean_ns": times.mean,
        "completion_p50_ns": times.p50,
        "completion_p99_ns": times.p99,
        "slowdown_p50": slow.p50 / 1000,
        "slowdown_p99": slow.p99 / 1000,
    }


def _long_goodputs(world: Seen, tables: Mapping[str, Table]) -> list[int]:
    goodputs = _numbers(tables["flows"], "goodput_bps")
    return [goodputs[flow.number] for flow in world.flows if flow.config.size_bytes is None]


def _bottleneck(world: Seen) -> SeenLink | None:
    """The narrowest link that the first flow's data crosses; where there is no flow, the first traffic's."""
    ways = [flow.way for flow in world.flows[:1]] or [traffic.way for traffic in world.traffic[:1]]
    return min((link for way in ways for link in way.links), key=lambda link: link.rate_bps, default=None)


def _convergence(world: Seen) -> int | None:
    """Shares are those of windows of so many round trips, since no flow is even within one."""
    assert world.samples is not None
    long = [flow for flow in world.flows if flow.config.size_bytes is None and flow.config.stop_ns is None]
    if len(long) < 2:
        return None
    window_ns = WINDOW_RTTS * max(flow.way.rtt_ns for flow in long) or world.experiment.sample_ns
    numbers = {flow.number: index for index, flow in enumerate(long)}
    series = world.samples.series
    times: list[int] = []
    shares: list[list[int]] = []
    latest, before = [0] * len(long), [0] * len(long)
    end_ns = window_ns
    for time_ns, flow, goodput in zip(series["time_ns"], series["flow"], series["goodput_bytes"], strict=True):
        while time_ns > end_ns:
            times.append(end_ns)
            shares.append([now - then for now, then in zip(latest, before, strict=True)])
            before = list(latest)
            end_ns += window_ns
        if flow in numbers:
            latest[numbers[flow]] = goodput
    return convergence_ns(times, shares, start_ns=max(flow.start_ns for flow in long))


def _numbers(table: Table, key: str) -> list[int]:
    return [int(value) for value in table[key]]


WINDOW_RTTS = 10
GROUPS_MAX = 8
