"""A leaf-spine and its workloads from an experiment's document."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from stacks.lab.experiment import units
from stacks.lab.experiment.values import Experiment, WorkloadConfig
from stacks.lab.fabric.config import FabricConfig
from stacks.lab.fabric.schemes import SCHEMES
from stacks.lab.workloads import WORKLOADS
from stacks.runtime.errors import LocalError
from stacks.runtime.toml_places import Place
from stacks.runtime.toml_table import Table


def read_fabric(table: Table) -> FabricConfig | None:
    """The keys of a leaf-spine; None when what they say makes none."""
    plain = FabricConfig()
    try:
        return FabricConfig(
            hosts=table.read("hosts", units.whole(2, 4096), plain.hosts),
            leaves=table.read("leaves", units.whole(1, 256), plain.leaves),
            spines=table.read("spines", units.whole(1, 256), plain.spines),
            host_rate_bps=table.read("host_rate", units.rate, plain.host_rate_bps),
            spine_rate_bps=table.read("spine_rate", units.rate, plain.spine_rate_bps),
            delay_ns=table.read("delay", units.duration, plain.delay_ns),
        )
    except LocalError as error:
        table.note(str(error), "hosts")
        return None


def read_workload(table: Table) -> WorkloadConfig:
    """A table `[[workload]]`."""
    kind = table.need("kind", units.word(WORKLOAD_KINDS), "poisson", example='"poisson"')
    is_incast = kind == "incast"
    for key in ("flows", "fan_in"):
        if table.has(key) and key not in WORKLOAD_KINDS.get(kind, ()):
            table.note(f"{key} says nothing of {kind}, which has: {', '.join(WORKLOAD_KINDS[kind])}", key)
    load = table.need("load", units.share, Fraction(1, 2), example='"50%"')
    unknown: str | int = 1
    flows, fan_in = units.whole(1, 10_000_000), units.whole(1, 4096)
    workload = WorkloadConfig(
        name=table.read("name", units.name, kind),
        kind=kind,
        scheme=table.need("controller", units.word(SCHEMES), "hpcc", example='"hpcc"'),
        sizes=table.need("sizes", units.sizes(WORKLOADS), unknown, example='"web-search" or "500kB"'),
        load_1000=int(load * 1000),
        divisor=table.read("divisor", units.whole(1, 1_000_000), 1),
        flows=table.read("flows", flows, 0) if is_incast else table.need("flows", flows, 1, example="2000"),
        fan_in=table.need("fan_in", fan_in, 1, example="16") if is_incast else table.read("fan_in", fan_in, 0),
        place=table.place,
    )
    if is_incast and isinstance(workload.sizes, str):
        table.note('every flow of an incast has the same size: sizes = "500kB"', "sizes")
    table.finish()
    return workload


def fabric_conflicts(experiment: Experiment) -> Iterator[tuple[Place, str]]:
    """(place, what is wrong and what to do) pairs."""
    fabric, workloads = experiment.topology.fabric, experiment.workloads
    if fabric is None:
        if workloads:
            yield workloads[0].place, 'a [[workload]] is for topology.kind = "leaf-spine"; here flows are [[flow]]'
        return
    for place in [each.place for each in experiment.flows] + [each.place for each in experiment.traffic]:
        yield place, "a leaf-spine carries [[workload]]s, and neither [[flow]] nor [[traffic]]"
        return
    if not workloads:
        yield (), "nobody sends anything; add a [[workload]] with a controller"
    for each in workloads:
        if each.scheme != workloads[0].scheme:
            words = f"all workloads have one controller, {workloads[0].scheme}: switches mark for it"
            yield (*each.place, "controller"), words
        if not 0 < each.load_1000 <= 1000:
            yield (*each.place, "load"), "load is more than nothing: at least 0.1%"
        if each.fan_in >= fabric.hosts:
            yield (*each.place, "fan_in"), f"an incast of {each.fan_in} needs more hosts than {fabric.hosts}"


WORKLOAD_KINDS: dict[str, tuple[str, ...]] = {"poisson": ("flows",), "incast": ("fan_in",)}
"""Each kind with the keys that only some kinds have."""
