"""Experiments with one flow over a lossy link, and what they come to."""

from __future__ import annotations

from stacks.lab.experiment.values import Experiment
from stacks.lab.running.world import World
from tests.stacks.lab.documents import experiment

SECOND_NS = 1_000_000_000


def lossy(
    controller: str,
    sender: str,
    *,
    rate: str = "100Mbit/s",
    loss: str = "1%",
    seconds: int = 60,
    seed: int = 1,
    more: str = "",
) -> Experiment:
    """One flow over 100 ms, with a buffer of one BDP."""
    return experiment(
        f"""
name = "lossy"
duration = "{seconds}s"
seed = {seed}
sample = "1s"

[topology]
kind = "dumbbell"
rate = "{rate}"
rtt = "100ms"
buffer = "1bdp"
loss = "{loss}"

[[flow]]
name = "a"
controller = "{controller}"
sender = "{sender}"
{more}
"""
    )


def run(made: Experiment, *, from_s: int = 0) -> World:
    """The world after it; counters of links and flows begin at `from_s`."""
    world = World(made)
    world.timeline.run(from_s * SECOND_NS)
    for flow in world.flows:
        flow.warm_bytes = flow.goodput_bytes
    for link in world.links:
        link.watch()
    world.run(lambda _: None)
    return world


def link_share(world: World, *, from_s: int = 0) -> float:
    """Bytes that crossed the first link, of what it could carry."""
    link = world.links[0]
    seconds = world.experiment.duration_ns / SECOND_NS - from_s
    return link.watched[1] * 8 / (link.rate_bps * seconds)


def goodput_bps(world: World, *, from_s: int = 0) -> float:
    """Of the first flow."""
    flow = world.flows[0]
    seconds = world.experiment.duration_ns / SECOND_NS - from_s
    return (flow.goodput_bytes - flow.warm_bytes) * 8 / seconds
