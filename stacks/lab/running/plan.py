"""Which flows an experiment has, each with its start: the same in every runner, and the same draws for a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from stacks.lab.experiment.values import Experiment, FlowConfig, TrafficConfig
from stacks.lab.running.traffic import web_flows


@dataclass(frozen=True, slots=True)
class PlannedFlow:
    """A flow that is going to be. is_sampled: whether the time series has it, which short flows of a mix are not."""

    config: FlowConfig
    name: str
    start_ns: int
    is_sampled: bool = True


def planned_flows(experiment: Experiment) -> Iterator[PlannedFlow]:
    """Those of `[[flow]]`, in the order of the document; then those of each web mix."""
    rng = random.Random(experiment.seed)
    for config in experiment.flows:
        for index in range(config.count):
            name = config.name if config.count == 1 else f"{config.name}-{index}"
            jitter_ns = int(rng.random() * config.jitter_ns)
            yield PlannedFlow(config, name, config.start_ns + index * config.spacing_ns + jitter_ns)
    for number, traffic in enumerate(experiment.traffic):
        if traffic.kind == "web":
            for index, (start_ns, size_bytes) in enumerate(web_flows(experiment, traffic, number)):
                yield PlannedFlow(_web_flow(traffic, size_bytes), f"{traffic.name}-{index}", start_ns, False)


def _web_flow(config: TrafficConfig, size_bytes: int) -> FlowConfig:
    return FlowConfig(
        name=config.name,
        controller=config.controller,
        sender=config.sender,
        size_bytes=size_bytes,
        source=config.source,
        target=config.target,
        initial_window_packets=config.initial_window_packets,
    )
