"""An experiment on a leaf-spine: its flows, and the tables and metrics of those that completed."""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence

from stacks.lab.experiment.values import Experiment, WorkloadConfig
from stacks.lab.fabric.config import FabricConfig
from stacks.lab.fabric.run import FabricResult, FabricRun, FlowRecord
from stacks.lab.fabric.schemes import scheme
from stacks.lab.metrics.completion import size_bins
from stacks.lab.metrics.latency import spread
from stacks.lab.results.record import Record, Table, Value
from stacks.lab.workloads import (
    FlowArrival,
    SizeDistribution,
    incast_arrivals,
    poisson_arrivals,
    workload,
)


def run_fabric(experiment: Experiment, fabric: FabricConfig) -> Record:
    """Run until all flows have completed, or the experiment is over."""
    groups = _arrivals(experiment, fabric)
    arrivals = sorted((each for flows in groups for each in flows), key=_start)
    chosen = scheme(experiment.workloads[0].scheme, fabric)
    run = FabricRun(fabric, chosen, arrivals, seed=experiment.seed, sample_ns=experiment.sample_ns)
    result = run.run(experiment.duration_ns)
    # By identity: flows of two workloads may be equal.
    group_of = {id(each): index for index, flows in enumerate(groups) for each in flows}
    records = sorted(result.records, key=lambda record: _start(record.arrival))
    tables: dict[str, Table] = {
        "flows": _flows(experiment, records, group_of),
        "links": {"name": []},
        "slowdowns": _slowdowns(experiment.workloads, records, group_of),
    }
    return Record(tables, (), _metrics(result, len(arrivals)), result.packets)


def _arrivals(experiment: Experiment, fabric: FabricConfig) -> list[list[FlowArrival]]:
    """Of each workload; those that go on and on end with the last flow of those that have a number."""
    found: dict[int, list[FlowArrival]] = {}
    end_ns = experiment.duration_ns
    for index, each in enumerate(experiment.workloads):
        if each.kind == "poisson":
            found[index] = poisson_arrivals(
                _sizes(each),
                hosts=fabric.hosts,
                host_rate_bps=fabric.host_rate_bps,
                load_1000=each.load_1000,
                flows=each.flows,
                rng=_rng(experiment, index),
            )
            end_ns = min(end_ns, found[index][-1].start_ns)
    for index, each in enumerate(experiment.workloads):
        if each.kind == "incast":
            assert isinstance(each.sizes, int)
            size_bytes = max(1, each.sizes // each.divisor)
            bits = each.fan_in * size_bytes * BIT_NS_PER_BYTE_S * 1000
            found[index] = incast_arrivals(
                hosts=fabric.hosts,
                fan_in=each.fan_in,
                size_bytes=size_bytes,
                period_ns=max(1, bits // (fabric.hosts * fabric.host_rate_bps * each.load_1000)),
                end_ns=end_ns,
                rng=_rng(experiment, index),
            )
    return [found[index] for index in range(len(experiment.workloads))]


def _sizes(each: WorkloadConfig) -> SizeDistribution:
    if isinstance(each.sizes, int):
        return SizeDistribution([(each.sizes, 0), (each.sizes, 10_000)], divisor=each.divisor)
    return workload(each.sizes, divisor=each.divisor)


def _rng(experiment: Experiment, index: int) -> random.Random:
    return random.Random((experiment.seed << 24) + index)


def _flows(experiment: Experiment, records: Sequence[FlowRecord], group_of: dict[int, int]) -> Table:
    columns: dict[str, array[int]] = {name: array("q") for name in COLUMNS}
    groups = [experiment.workloads[group_of[id(record.arrival)]] for record in records]
    for number, record in enumerate(records):
        arrival = record.arrival
        values = (
            number,
            arrival.source,
            arrival.destination,
            arrival.start_ns,
            arrival.size_bytes,
            record.completion_ns,
            record.ideal_ns,
            record.slowdown_1000,
        )
        for name, value in zip(COLUMNS, values, strict=True):
            columns[name].append(value)
    return {
        "name": [f"{group.name}-{number}" for number, group in enumerate(groups)],
        "group": [group.name for group in groups],
        "controller": [group.scheme for group in groups],
        **columns,
    }


def _slowdowns(
    workloads: Sequence[WorkloadConfig], records: Sequence[FlowRecord], group_of: dict[int, int]
) -> Table:
    """By size, of each workload; sizes before they were divided."""
    names: list[str] = []
    columns: dict[str, array[int]] = {name: array("q") for name in BIN_COLUMNS}
    for index, each in enumerate(workloads):
        own = [record for record in records if group_of[id(record.arrival)] == index]
        pairs = [(record.arrival.size_bytes * each.divisor, record.slowdown_1000) for record in own]
        for found in size_bins(pairs, BINS if isinstance(each.sizes, str) else 1):
            names.append(each.name)
            values = (found.low, found.high, found.flows, found.p50, found.p95, found.p99)
            for name, value in zip(BIN_COLUMNS, values, strict=True):
                columns[name].append(value)
    return {"group": names, **columns}


def _metrics(result: FabricResult, flows: int) -> dict[str, Value]:
    metrics: dict[str, Value] = {"flows": flows, "completed_flows": len(result.records)}
    slow = spread([record.slowdown_1000 for record in result.records])
    times = spread([record.completion_ns for record in result.records])
    if slow is not None and times is not None:
        metrics |= {"completion_p50_ns": times.p50, "completion_p99_ns": times.p99}
        metrics |= {"slowdown_p50": slow.p50 / 1000, "slowdown_p95": slow.p95 / 1000, "slowdown_p99": slow.p99 / 1000}
    queues = spread(result.queues_bytes)
    if queues is not None:
        metrics |= {"queue_p95_bytes": queues.p95, "queue_p99_bytes": queues.p99}
    return metrics | {"queue_max_bytes": result.peak_bytes, "lost_packets": result.lost_packets}


def _start(arrival: FlowArrival) -> int:
    return arrival.start_ns


COLUMNS = (
    "flow", "source", "destination", "start_ns", "size_bytes", "completion_ns", "ideal_ns", "slowdown_milli",
)  # fmt: skip
BIN_COLUMNS = ("low_bytes", "high_bytes", "flows", "p50_milli", "p95_milli", "p99_milli")
BINS = 20
BIT_NS_PER_BYTE_S = 8_000_000_000
