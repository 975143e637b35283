"""The network of an experiment from its document."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stacks.lab.experiment import units
from stacks.lab.experiment.fabric import read_fabric
from stacks.lab.experiment.links import read_link
from stacks.lab.experiment.values import HopConfig, LinkConfig, TopologyConfig
from stacks.runtime.toml_table import Table


def read_topology(top: Table, folder: Path) -> TopologyConfig:
    """The table `[topology]`."""
    table = top.table("topology", "topology")
    if table is None:
        top.note("the experiment needs a network: [topology] with kind, rate and rtt")
        return TopologyConfig(kind="dumbbell", hops=())
    kind = table.need("kind", units.word(KINDS), "dumbbell", example='"dumbbell"')
    if kind == "leaf-spine":
        topology = TopologyConfig(kind=kind, fabric=read_fabric(table), place=table.place)
    else:
        topology = TopologyConfig(kind=kind, hops=tuple(_hops(table, kind, folder)), place=table.place)
    table.finish()
    return topology


def _hops(table: Table, kind: str, folder: Path) -> Iterator[HopConfig]:
    if kind == "chain":
        for index, each in enumerate(table.tables("hop", "hop")):
            name = each.read("name", units.name, f"hop{index}")
            yield _hop(each, name, folder)
            each.finish()
        if not table.has("hop"):
            table.note("a chain needs hops: [[topology.hop]] with rate and delay for each")
    elif kind == "parking-lot":
        count = table.need("hops", units.whole(2, 64), 2, example="3")
        hop = _hop(table, "hop0", folder)
        for index in range(count):
            yield HopConfig(name=f"hop{index}", forward=hop.forward, backward=hop.backward)
    else:
        yield _hop(table, "bottleneck", folder)


def _hop(table: Table, name: str, folder: Path) -> HopConfig:
    has_rtt = table.has("rtt")
    if has_rtt and table.has("delay"):
        table.note("rtt and delay say the same thing; keep one", "rtt")
    rtt_ns = table.read("rtt", units.duration, 0)
    forward = read_link(table, folder, delay_ns=rtt_ns // 2 if has_rtt else None)
    back_ns = rtt_ns - rtt_ns // 2 if has_rtt else forward.delay_ns
    back = table.table("back", "way back")
    if back is None:
        return HopConfig(name=name, forward=forward, backward=LinkConfig(delay_ns=back_ns))
    backward = read_link(back, folder, delay_ns=back_ns, needs_rate=False)
    back.finish()
    return HopConfig(name=name, forward=forward, backward=backward)


KINDS = dict.fromkeys(("dumbbell", "chain", "parking-lot", "leaf-spine"))
