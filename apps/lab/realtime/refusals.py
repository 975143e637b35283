"""What real time cannot do of an experiment, each with its place, before anything starts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from apps.lab.realtime.options import as_words
from stacks.congestion import Delivery, Flow, controller_factory
from stacks.lab.experiment.conflicts import path_rtt_ns
from stacks.lab.experiment.values import Experiment, FlowConfig, LinkConfig, TrafficConfig
from stacks.lab.quic.refusals import quic_refusals
from stacks.lab.running.flows import NO_RATE_BPS
from stacks.lab.running.plan import planned_flows
from stacks.runtime.toml_places import Place
from transports.errors import TransportError
from transports.link.disciplines import read_queue
from transports.link.elements import read_element
from transports.link.linkspec import RATES
from transports.link.parameters import read_spec

Found = Iterator[tuple[Place, str]]


def refusals(experiment: Experiment) -> Found:
    """(place, what it is and what to do) pairs."""
    topology = experiment.topology
    if topology.kind != "dumbbell":
        yield ("topology", "kind"), f'real time has one link, topology.kind = "dumbbell", and no {topology.kind}'
        return
    if not PACKET_MIN <= experiment.packet_bytes <= PACKET_MAX:
        yield ("packet",), f"packets have {PACKET_MIN} to {PACKET_MAX} bytes in real time"
    if "harm" in experiment.metrics:
        yield ("metrics",), "harm runs the experiment again for each group, which only virtual time does"
    for link in (topology.hops[0].forward, topology.hops[0].backward):
        yield from _link(link)
    for flow in experiment.flows:
        yield from _flow(experiment, flow)
    for traffic in experiment.traffic:
        yield from _traffic(experiment, traffic)
    yield from quic_refusals(experiment)
    count = sum(1 for _ in planned_flows(experiment))
    if count > FLOWS_MAX:
        yield (), f"these are {count} flows, and real time has room for {FLOWS_MAX}"


def _link(link: LinkConfig) -> Found:
    for name, value in link.elements:
        if name in NOT_REAL:
            yield (*link.place, name), f"{name} is for packets of models, which real time has not: leave it out"
        elif isinstance(value, dict) and "flow" in value:
            yield (*link.place, name), "flows have no numbers on a real link: say it without flow"
        elif not _is_same(partial(read_element, name), value):
            yield (*link.place, name), f"{name} cannot be said on a command line like this, as real time has to"
    if not _is_same(read_queue, link.queue):
        yield (*link.place, "queue"), "this queue cannot be said on a command line, as real time has to"
    if isinstance(link.rate, dict) and not _is_same(_read_rate, link.rate):
        yield (*link.place, "rate"), "this rate cannot be said on a command line, as real time has to"


def _read_rate(value: object) -> object:
    return read_spec("rate", value, RATES, short="constant")


def _is_same(read: Callable[[object], object], value: object) -> bool:
    """Whether a value is the same as what `link tun` will read."""
    try:
        return bool(read(value) == read(as_words(value)))
    except TransportError:
        return False


def _flow(experiment: Experiment, flow: FlowConfig) -> Found:
    if flow.rtt_ns not in (None, path_rtt_ns(experiment, flow)):
        yield (*flow.place, "rtt"), "all flows have the link's rtt in real time: leave it out"
    if flow.sender.partition(":")[1]:
        own = (("initial_window", flow.initial_window_packets, 10), ("ack_every", flow.ack_packets, 2))
        for key, value, plain in own:
            if value != plain:
                yield (*flow.place, key), f"{key} is the kernel's own business for {flow.sender}: leave it out"
    yield from _sender(experiment, flow)


def _traffic(experiment: Experiment, traffic: TrafficConfig) -> Found:
    if traffic.kind == "web":
        yield from _sender(experiment, traffic)
    elif traffic.packet_bytes is not None and not 28 <= traffic.packet_bytes <= experiment.packet_bytes:
        yield (*traffic.place, "packet"), f"it is 28 to {experiment.packet_bytes} bytes in real time, the link's MTU"


def _sender(experiment: Experiment, each: FlowConfig | TrafficConfig) -> Found:
    word, _, name = each.sender.partition(":")
    if word == "linux":
        available = kernel_congestion_controls()
        if name not in available:
            words = f"this kernel has no {name} (modprobe tcp_{name}?); there are: {', '.join(available)}"
            yield (*each.place, "sender"), words
        return
    if word == "quic":
        return  # `quic_refusals`
    packet_bytes = experiment.packet_bytes
    flow = Flow(
        line_rate_bps=experiment.topology.hops[0].forward.rate_bps or NO_RATE_BPS,
        packet_bytes=packet_bytes,
        rng=random.Random(0),
        delivery=Delivery(10 * packet_bytes),
        base_rtt_ns=experiment.topology.rtt_ns or 1,
    )
    made = controller_factory(each.controller)(flow)
    if made.wants_telemetry or made.cnp_interval_ns:
        needs = "telemetry of switches" if made.wants_telemetry else "notifications (CNPs)"
        yield (*each.place, "controller"), f"{each.controller} needs {needs}, which only virtual time has"


def kernel_congestion_controls() -> list[str]:
    """Those that this kernel has at present."""
    try:
        return Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text(encoding="ascii").split()
    except OSError:
        return []


NOT_REAL = ("thinning", "nat")
PACKET_MIN, PACKET_MAX = 576, 9000
FLOWS_MAX = 256
