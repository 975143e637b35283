"""What groups of flows do to each other: each runs once more without the others, and what it lost is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from stacks.lab.experiment.values import Experiment
from stacks.lab.metrics.harm import harm_of_less, harm_of_more
from stacks.lab.results.record import Record, Table, Value


def harm_metrics(experiment: Experiment, record: Record, run: Callable[[Experiment], Record]) -> dict[str, Value]:
    """By group: of goodput, and of the 95th percentile of one-way delay. Cross traffic stays. run: runs a part."""
    metrics: dict[str, Value] = {}
    if len(experiment.flows) < 2:
        return metrics
    for flow in experiment.flows:
        alone = run(replace(experiment, flows=(flow,), metrics=("goodput", "delay"), sample_ns=0))
        together, solo = record.tables["flows"], alone.tables["flows"]
        name = flow.name
        metrics[f"{name}.harm_of_goodput"] = harm_of_less(
            _mean(solo, name, "goodput_bps"), _mean(together, name, "goodput_bps")
        )
        delays = _mean(solo, name, "delay_p95_ns"), _mean(together, name, "delay_p95_ns")
        if min(delays) > 0:
            metrics[f"{name}.harm_of_delay"] = harm_of_more(*delays)
    return metrics


def _mean(flows: Table, group: str, key: str) -> int:
    values = [int(value) for each, value in zip(flows["group"], flows[key], strict=True) if each == group]
    return sum(values) // len(values)
