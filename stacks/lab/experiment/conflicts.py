"""What cannot go together in an experiment, although each value could be by itself."""

from __future__ import annotations

from collections.abc import Iterator

from stacks.lab.experiment.fabric import fabric_conflicts
from stacks.lab.experiment.values import Experiment, FlowConfig, LinkConfig, TrafficConfig
from stacks.lab.workloads import mean_bytes
from stacks.runtime.toml_places import Place

Found = Iterator[tuple[Place, str]]


def conflicts(experiment: Experiment) -> Found:
    """(place, what is wrong and what to do) pairs."""
    yield from fabric_conflicts(experiment)
    senders = len(experiment.flows) + len(experiment.traffic) + len(experiment.workloads)
    if experiment.topology.fabric is None and not senders:
        yield (), "nobody sends anything; add a [[flow]] with a controller"
    if experiment.warmup_ns >= experiment.duration_ns:
        yield ("warmup",), "warmup ends before the experiment does, or nothing is left to measure"
    if experiment.sample_ns > 0 and experiment.duration_ns // experiment.sample_ns > SAMPLES_MAX:
        remedy = 'say sample = "1s", or shorten duration'
        yield ("sample",), f"sample would make over {SAMPLES_MAX} samples of each flow; {remedy}"
    yield from _links(experiment)
    if experiment.topology.fabric is not None:
        return
    names: set[str] = set()
    everyone: list[FlowConfig | TrafficConfig] = [*experiment.flows, *experiment.traffic]
    for each in everyone:
        if each.name in names:
            yield (*each.place, "name"), f"{each.name} is the name of another already; give each a name of its own"
        names.add(each.name)
        yield from _path(experiment, each)
    for flow in experiment.flows:
        yield from _flow(experiment, flow)
    for traffic in experiment.traffic:
        if traffic.kind == "web":
            yield from _web(experiment, traffic)


def _links(experiment: Experiment) -> Found:
    topology = experiment.topology
    for hop in topology.hops:
        for link in (hop.forward, hop.backward):
            if link.rate_bps is not None:
                yield from _buffer(link, link.rate_bps, topology.rtt_ns, experiment.packet_bytes)


def _buffer(link: LinkConfig, rate_bps: int, rtt_ns: int, packet_bytes: int) -> Found:
    size_bytes = link.buffer.size_bytes(rate_bps, rtt_ns, packet_bytes)
    if size_bytes < packet_bytes:
        yield (
            (*link.place, "buffer"),
            f"buffer is {size_bytes} bytes here, less than one packet of {packet_bytes}; give it more",
        )


def _path(experiment: Experiment, each: FlowConfig | TrafficConfig) -> Found:
    nodes = len(experiment.topology.hops)
    target = nodes if each.target < 0 else each.target
    for key, node in (("from", each.source), ("to", target)):
        if node > nodes:
            yield (*each.place, key), f"there is no node {node}: this topology has 0 to {nodes}"
            return
    if each.source == target:
        yield (*each.place, "to"), f"{each.name} has no path: it goes from node {each.source} to itself"
    if each.start_ns >= experiment.duration_ns:
        yield (*each.place, "start"), f"{each.name} would start when the experiment is over"
    if each.stop_ns is not None and each.stop_ns <= each.start_ns:
        yield (*each.place, "stop"), f"{each.name} would stop before it starts"


def _flow(experiment: Experiment, flow: FlowConfig) -> Found:
    last_ns = flow.start_ns + (flow.count - 1) * flow.spacing_ns + flow.jitter_ns
    if last_ns >= experiment.duration_ns > flow.start_ns:
        key = "jitter" if flow.jitter_ns else "spacing"
        yield (*flow.place, key), f"the last {flow.name} might start when the experiment is over"
    if flow.write_rate_bps is not None and flow.size_bytes is not None:
        yield (*flow.place, "rate"), "a flow has a size or a rate at which its application writes, not both"
    if flow.rtt_ns is not None:
        own_ns = path_rtt_ns(experiment, flow)
        if flow.rtt_ns < own_ns:
            yield (*flow.place, "rtt"), f"rtt is less than the {own_ns / 1e6:g} ms that its path has by itself"


def _web(experiment: Experiment, traffic: TrafficConfig) -> Found:
    end_ns = min(traffic.stop_ns or experiment.duration_ns, experiment.duration_ns)
    size_bytes = mean_bytes(traffic.sizes)
    flows = traffic.rate_bps * (end_ns - traffic.start_ns) // (size_bytes * BIT_NS_PER_BYTE_S)
    if flows > FLOWS_MAX:
        words = f"{traffic.name} would be about {flows:,} flows of {size_bytes} bytes; there are at most {FLOWS_MAX:,}"
        yield (*traffic.place, "rate"), words


def path_rtt_ns(experiment: Experiment, each: FlowConfig | TrafficConfig) -> int:
    """There and back over the hops that a flow crosses."""
    hops = experiment.topology.hops
    target = len(hops) if each.target < 0 else each.target
    first, last = min(each.source, target), max(each.source, target)
    return sum(hop.forward.delay_ns + hop.backward.delay_ns for hop in hops[first:last])


SAMPLES_MAX = 1_000_000
FLOWS_MAX = 200_000
BIT_NS_PER_BYTE_S = 8_000_000_000
