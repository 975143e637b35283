"""The runner in real time."""

from __future__ import annotations

import contextlib
import gc
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace

from apps.lab.realtime.bottleneck import require_namespaces, running
from apps.lab.realtime.end import FlowEnd, Place
from apps.lab.realtime.kernel_end import KernelEnd
from apps.lab.realtime.loop import Loop
from apps.lab.realtime.measured import MeasuredLink, links_of, merge
from apps.lab.realtime.model_end import ModelEnd
from apps.lab.realtime.packets import PacketEnds
from apps.lab.realtime.refusals import refusals
from apps.lab.realtime.samples import RealSamples
from apps.punctual import going_first
from stacks.lab.experiment.values import Experiment, FlowConfig, TrafficConfig
from stacks.lab.network.line import Way
from stacks.lab.results.record import Record
from stacks.lab.runners.catalogue import RUNNERS
from stacks.lab.runners.runner import Progress
from stacks.lab.running.collect import collect
from stacks.lab.running.plan import PlannedFlow, planned_flows
from stacks.runtime.toml_places import Place as DocumentPlace
from transports.clock import RealClock
from transports.relay.lateness import DEFAULT_BUDGET_NS, Lateness
from transports.tcp_info import kernel_release


class RealRunner:
    """Model senders and our QUIC over UDP, and the kernel's TCP, over a link between two network namespaces."""

    name = "real"
    senders = ("model", "linux", "quic")

    def check(self, experiment: Experiment) -> Iterable[tuple[DocumentPlace, str]]:
        """What real time cannot do."""
        return refusals(experiment)

    def run(self, experiment: Experiment, progress: Progress) -> Record:
        """Run all of it, which takes its duration. CommandError when this machine or user cannot."""
        require_namespaces()
        with told_to_end(), running(experiment) as link, contextlib.closing(Ends(experiment, link.nodes)) as ends:
            start_ns = ends.run(progress)
            report, record = link.finish()
            measured = merge(
                experiment,
                record,
                start_ns=start_ns,
                flows=ends.flows,
                traffic=[each.run for each in ends.traffic],
                samples=ends.samples,
                links=ends.links,
            )
            found = collect(measured)
        lateness = report["lateness"]
        assert isinstance(lateness, dict)
        return replace(found, facts=facts(lateness, ends.loop.lateness))


class Ends:
    """Both ends of everything that an experiment sends. nodes: 0 and 1."""

    def __init__(self, experiment: Experiment, nodes: tuple[Place, Place]) -> None:
        self.experiment = experiment
        self.loop = Loop(RealClock())
        self.flows: list[FlowEnd] = []
        self.traffic: list[PacketEnds] = []
        self.samples: RealSamples | None = None
        topology = experiment.topology
        self.links: list[MeasuredLink] = links_of(
            topology.hops[0], rtt_ns=topology.rtt_ns, packet_bytes=experiment.packet_bytes
        )
        self._nodes = nodes
        try:
            for planned in planned_flows(experiment):
                self.flows.append(self._flow(planned))
            self._add_traffic()
            kernel = [flow for flow in self.flows if isinstance(flow, KernelEnd)]
            for flow in kernel:
                flow.connect()
            for flow in kernel:
                flow.accept()
        except BaseException:
            self.close()
            raise
        if experiment.sample_ns:
            self.samples = RealSamples(self.loop, self.flows, interval_ns=experiment.sample_ns)

    def run(self, progress: Progress) -> int:
        """To the end; when it began, by the clock."""
        loop, duration_ns = self.loop, self.experiment.duration_ns
        for flow in self.flows:
            flow.plan()
        for traffic in self.traffic:
            traffic.plan()
        if self.samples is not None:
            self.samples.plan()
        if self.experiment.warmup_ns:
            loop.timeline.at(self.experiment.warmup_ns, self._warm)
        for step in range(1, STEPS + 1):
            loop.timeline.at(duration_ns * step // STEPS, progress, step / STEPS)
        with undisturbed():
            start_ns = loop.clock.now() + SETTLE_NS
            loop.run(duration_ns, start_ns)
        return start_ns

    def close(self) -> None:
        """Every socket."""
        for flow in self.flows:
            flow.close()
        for traffic in self.traffic:
            traffic.close()
        self.loop.close()

    def _flow(self, planned: PlannedFlow) -> FlowEnd:
        config, experiment = planned.config, self.experiment
        way, nodes = self._path(config)
        number, sizes = len(self.flows), (experiment.packet_bytes, experiment.header_bytes)
        if config.sender.partition(":")[1]:
            return KernelEnd(self.loop, planned, way, number=number, sizes=sizes, nodes=nodes)
        if config.sender == "quic":
            from apps.lab.realtime.quic_end import QuicEnd  # it loads the transport, which takes long

            return QuicEnd(self.loop, planned, way, number=number, sizes=sizes, nodes=nodes, seed=experiment.seed)
        return ModelEnd(self.loop, planned, way, number=number, sizes=sizes, nodes=nodes, seed=experiment.seed)

    def _add_traffic(self) -> None:
        experiment = self.experiment
        for number, config in enumerate(experiment.traffic):
            if config.kind == "web":
                continue  # flows, among the others
            way, nodes = self._path(config)
            self.traffic.append(
                PacketEnds(
                    self.loop,
                    config,
                    way,
                    number=TRAFFIC_NUMBERS + number,
                    packet_bytes=experiment.packet_bytes,
                    nodes=nodes,
                    seed=experiment.seed,
                )
            )

    def _path(self, config: FlowConfig | TrafficConfig) -> tuple[Way, tuple[Place, Place]]:
        hop = self.experiment.topology.hops[0]
        is_forward = config.source == 0
        there = hop.forward if is_forward else hop.backward
        links = tuple(link for link in self.links if link.way == (0 if is_forward else 1))
        rtt_ns = hop.forward.delay_ns + hop.backward.delay_ns
        way = Way((), (), there.delay_ns, rtt_ns, min((link.rate_bps for link in links), default=0), links)
        return way, self._nodes if is_forward else (self._nodes[1], self._nodes[0])

    def _warm(self, _: object) -> None:
        for flow in self.flows:
            flow.warm_bytes = flow.goodput_bytes
            flow.warm_counts = flow.counts


def facts(lateness: dict[str, object], ends: Lateness) -> dict[str, object]:
    """What is told of a run beside its tables. lateness: of the link, which judges itself; ends: of what sent."""
    reasons = [str(lateness["reason"])] if not lateness["valid"] else []
    if ends.percentile_ns(99) > DEFAULT_BUDGET_NS:
        late_ms, budget_ms = ends.percentile_ns(99) / 1e6, DEFAULT_BUDGET_NS / 1e6
        reasons.append(f"1 % of what the flows did was {late_ms:.2f} ms late or more (budget: {budget_ms:g} ms)")
    return {
        "valid": not reasons,
        "reason": "; ".join(reasons),
        "link_lateness": lateness,
        "flows_lateness": ends.as_json(),
        "kernel": kernel_release(),
    }


@contextlib.contextmanager
def told_to_end() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP end it as Ctrl-C does, with everything tidied up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    for each, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(each, _end)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _end(number: int, _: object) -> None:
    sys.exit(128 + number)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Within the block this process goes first, collects no garbage, and its threads give way at once."""
    interval = sys.getswitchinterval()
    gc.collect()
    gc.disable()
    sys.setswitchinterval(1e-4)
    try:
        with going_first():
            yield
    finally:
        sys.setswitchinterval(interval)
        gc.enable()


RUNNERS["real"] = RealRunner()
STEPS = 100
SETTLE_NS = 200_000_000
"""Until what a kernel sends by itself when a device comes up has passed."""
TRAFFIC_NUMBERS = 1_000_000
