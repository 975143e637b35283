"""An experiment on one timeline, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable

from stacks.congestion import controller_factory
from stacks.lab.experiment.values import Experiment
from stacks.lab.network.line import Line
from stacks.lab.running.flows import FlowRun
from stacks.lab.running.samples import Samples
from stacks.lab.running.traffic import TrafficRun
from transports.timeline import Timeline


class World:
    """Everything that an experiment has. flows, traffic: in the order of the document; samples: None without any."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.timeline = Timeline()
        self.network = Line(self.timeline, experiment.topology, packet_bytes=experiment.packet_bytes)
        self.flows: list[FlowRun] = []
        self.traffic: list[TrafficRun] = []
        self.samples: Samples | None = None
        self._rng = random.Random(experiment.seed)
        self._add_flows()
        self._add_traffic()
        for link in self.network.links:
            link.watch()
        self.timeline.at(experiment.warmup_ns, self._warm)
        if experiment.sample_ns:
            self.samples = Samples(
                self.timeline, self.flows, self.network.links, interval_ns=experiment.sample_ns
            )
            self.samples.start()

    def run(self, progress: Callable[[float], object]) -> None:
        """Run from beginning to end; progress: called now and then with the part that is done."""
        duration_ns = self.experiment.duration_ns
        for step in range(1, STEPS + 1):
            self.timeline.run(duration_ns * step // STEPS)
            progress(step / STEPS)

    def _add_flows(self) -> None:
        experiment = self.experiment
        measure_from_ns = experiment.warmup_ns if DELAY_METRICS & set(experiment.metrics) else None
        for config in experiment.flows:
            factory = controller_factory(config.controller)
            way = self.network.way(config.source, config.target, rtt_ns=config.rtt_ns)
            for index in range(config.count):
                start_ns = config.start_ns + index * config.spacing_ns + int(self._rng.random() * config.jitter_ns)
                flow = FlowRun(
                    self.timeline,
                    config,
                    way,
                    factory=factory,
                    number=len(self.flows),
                    name=config.name if config.count == 1 else f"{config.name}-{index}",
                    start_ns=start_ns,
                    packet_bytes=experiment.packet_bytes,
                    seed=experiment.seed,
                )
                self.flows.append(flow)
                self.timeline.at(start_ns, flow.start, measure_from_ns)
                if config.stop_ns is not None:
                    self.timeline.at(config.stop_ns, _stop, flow)

    def _add_traffic(self) -> None:
        for config in self.experiment.traffic:
            traffic = TrafficRun(
                self.timeline,
                config,
                self.network.way(config.source, config.target),
                number=TRAFFIC_NUMBERS + len(self.traffic),
                packet_bytes=self.experiment.packet_bytes,
                seed=self.experiment.seed,
            )
            self.traffic.append(traffic)
            self.timeline.at(config.start_ns, _start, traffic)

    def _warm(self, _: object) -> None:
        for flow in self.flows:
            if flow.model is not None:
                flow.warm_bytes = flow.model.receiver.goodput_bytes
        for link in self.network.links:
            link.watch()


def _stop(flow: FlowRun) -> None:
    flow.stop()


def _start(traffic: TrafficRun) -> None:
    traffic.start()


STEPS = 100
TRAFFIC_NUMBERS = 1_000_000
"""Flow numbers from which on cross traffic has its own."""
DELAY_METRICS = {"delay", "latency_under_load", "power"}
