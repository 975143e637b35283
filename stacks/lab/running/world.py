"""An experiment on one timeline, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stacks.congestion import controller_factory
from stacks.lab.experiment.values import Experiment
from stacks.lab.network.line import Line
from stacks.lab.network.seen import SeenLink
from stacks.lab.running.flows import FlowRun
from stacks.lab.running.plan import PlannedFlow, planned_flows
from stacks.lab.running.samples import Samples
from stacks.lab.running.traffic import TrafficRun
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
        for planned in planned_flows(experiment):
            self._add_flow(planned)
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

    @property
    def links(self) -> Sequence[SeenLink]:
        """Those with a queue."""
        return self.network.links

    @property
    def events(self) -> int:
        """Data packets that crossed a queue."""
        return sum(link.port.sent_packets for link in self.network.links if link.port is not None)

    def _add_flow(self, planned: PlannedFlow) -> None:
        config = planned.config
        experiment = self.experiment
        flow = FlowRun(
            self.timeline,
            config,
            self.network.way(config.source, config.target, rtt_ns=config.rtt_ns),
            factory=controller_factory(config.controller),
            number=len(self.flows),
            name=planned.name,
            start_ns=planned.start_ns,
            packet_bytes=experiment.packet_bytes,
            header_bytes=experiment.header_bytes,
            seed=experiment.seed,
            is_sampled=planned.is_sampled,
        )
        self.flows.append(flow)
        measure_from_ns = experiment.warmup_ns if DELAY_METRICS & set(experiment.metrics) else None
        self.timeline.at(planned.start_ns, flow.start, measure_from_ns)
        if config.stop_ns is not None:
            self.timeline.at(config.stop_ns, _stop, flow)

    def _add_traffic(self) -> None:
        experiment = self.experiment
        for number, config in enumerate(experiment.traffic):
            if config.kind == "web":
                continue  # flows, among the others
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

    def _warm(self, _: object) -> None:
        for flow in self.flows:
            flow.warm_bytes = flow.goodput_bytes
            if self.experiment.warmup_ns:  # what flows send in the very first instant counts
                flow.warm_counts = flow.counts
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
