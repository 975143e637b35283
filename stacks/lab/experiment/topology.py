"""The network of an experiment from its document."""

from __future__ import annotations

from collections.abc import Iterator

from stacks.lab.experiment import units
from stacks.lab.experiment.values import Buffer, HopConfig, LinkConfig, TopologyConfig
from stacks.lab.network.queues import QUEUES
from stacks.runtime.toml_table import Table


def read_topology(top: Table) -> TopologyConfig:
    """The table `[topology]`."""
    table = top.table("topology", "topology")
    if table is None:
        top.note("the experiment needs a network: [topology] with kind, rate and rtt")
        return TopologyConfig(kind="dumbbell", hops=())
    kind = table.need("kind", units.word(KINDS), "dumbbell", example='"dumbbell"')
    topology = TopologyConfig(kind=kind, hops=tuple(_hops(table, kind)), place=table.place)
    table.finish()
    return topology


def _hops(table: Table, kind: str) -> Iterator[HopConfig]:
    if kind == "chain":
        for index, each in enumerate(table.tables("hop", "hop")):
            name = each.read("name", units.name, f"hop{index}")
            yield _hop(each, name)
            each.finish()
        if not table.has("hop"):
            table.note("a chain needs hops: [[topology.hop]] with rate and delay for each")
        return
    if kind == "parking-lot":
        count = table.need("hops", units.whole(2, 64), 2, example="3")
        hop = _hop(table, "hop0")
        for index in range(count):
            yield HopConfig(name=f"hop{index}", forward=hop.forward, backward=hop.backward)
        return
    yield _hop(table, "bottleneck")


def _hop(table: Table, name: str) -> HopConfig:
    for_both = table.has("rtt")
    if for_both and table.has("delay"):
        table.note("rtt and delay say the same thing; keep one", "rtt")
    rtt_ns = table.read("rtt", units.duration, 0)
    forward = _link(table, delay_ns=rtt_ns // 2, needs_delay=not for_both)
    back_ns = rtt_ns - rtt_ns // 2 if for_both else forward.delay_ns
    back = table.table("back", "way back")
    if back is None:
        return HopConfig(name=name, forward=forward, backward=LinkConfig(delay_ns=back_ns))
    backward = _link(back, delay_ns=back_ns, needs_delay=False, needs_rate=False)
    back.finish()
    return HopConfig(name=name, forward=forward, backward=backward)


def _link(table: Table, *, delay_ns: int, needs_delay: bool, needs_rate: bool = True) -> LinkConfig:
    if needs_delay:
        delay_ns = table.need("delay", units.duration, 0, example='"20ms"')
    else:
        delay_ns = table.read("delay", units.duration, delay_ns)
    rate_bps: int | None = None
    if needs_rate:
        rate_bps = table.need("rate", units.rate, 1, example='"50Mbit/s"')
    elif table.has("rate"):
        rate_bps = table.read("rate", units.rate, 1)
    return LinkConfig(
        delay_ns=delay_ns,
        rate_bps=rate_bps,
        queue=table.read("queue", units.word(QUEUES), "droptail"),
        buffer=table.read("buffer", units.buffer, Buffer("bdp", 1000)),
        place=table.place,
    )


KINDS = {"dumbbell": 1, "chain": 1, "parking-lot": 1}
