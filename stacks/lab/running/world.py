"""An experiment on one timeline, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable

from stacks.congestion import controller_factory
from stacks.lab.experiment.values import Experiment, FlowConfig, TrafficConfig
from stacks.lab.network.line import Line
from stacks.lab.running.flows import FlowRun
from stacks.lab.running.samples import Samples
from stacks.lab.running.traffic import TrafficRun, web_flows
from transports.timeline import Timeline


class World:
    """Everything that an experiment has. flows, traffic: in the order of the document; samples: None without any."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.timeline = Timeline()
        packet_bytes, seed = experiment.packet_bytes, experiment.seed
        self.network = Line(self.timeline, experiment.topology, packet_bytes=packet_bytes, seed=seed)
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
        for config in self.experiment.flows:
            for index in range(config.count):
                name = config.name if config.count == 1 else f"{config.name}-{index}"
                jitter_ns = int(self._rng.random() * config.jitter_ns)
                self._add_flow(config, name, config.start_ns + index * config.spacing_ns + jitter_ns)

    def _add_flow(self, config: FlowConfig, name: str, start_ns: int, *, is_sampled: bool = True) -> None:
        experiment = self.experiment
        flow = FlowRun(
            self.timeline,
            config,
            self.network.way(config.source, config.target, rtt_ns=config.rtt_ns),
            factory=controller_factory(config.controller),
            number=len(self.flows),
            name=name,
            start_ns=start_ns,
            packet_bytes=experiment.packet_bytes,
            header_bytes=experiment.header_bytes,
            seed=experiment.seed,
            is_sampled=is_sampled,
        )
        self.flows.append(flow)
        measure_from_ns = experiment.warmup_ns if DELAY_METRICS & set(experiment.metrics) else None
        self.timeline.at(start_ns, flow.start, measure_from_ns)
        if config.stop_ns is not None:
            self.timeline.at(config.stop_ns, _stop, flow)

    def _add_traffic(self) -> None:
        experiment = self.experiment
        for number, config in enumerate(experiment.traffic):
            if config.kind == "web":
                self._add_web(config, number)
                continue
            traffic = TrafficRun(
                self.timeline,
                config,
                self.network.way(config.source, config.target),
                number=TRAFFIC_NUMBERS + number,
                packet_bytes=experiment.packet_bytes,
                seed=experiment.seed,
            )
            self.traffic.append(traffic)
            self.timeline.at(config.start_ns, _start, traffic)

    def _add_web(self, config: TrafficConfig, number: int) -> None:
        for index, (start_ns, size_bytes) in enumerate(web_flows(self.experiment, config, number)):
            flow = FlowConfig(
                name=config.name,
                controller=config.controller,
                size_bytes=size_bytes,
                source=config.source,
                target=config.target,
                initial_window_packets=config.initial_window_packets,
            )
            self._add_flow(flow, f"{config.name}-{index}", start_ns, is_sampled=False)

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
