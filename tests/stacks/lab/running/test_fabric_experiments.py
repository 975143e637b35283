"""Experiments on a leaf-spine: their tables, their bins, and what is refused."""

from __future__ import annotations

import pytest

from stacks.lab.runners.virtual import VirtualRunner
from stacks.runtime.toml_problems import ConfigurationError
from tests.stacks.lab.documents import experiment

FABRIC = """\
name = "fabric"
duration = "1s"
sample = "50us"

[topology]
kind = "leaf-spine"
hosts = 8
leaves = 2
spines = 2

[[workload]]
kind = "poisson"
controller = "dctcp"
sizes = "fb-hadoop"
divisor = 16
load = "30%"
flows = 60

[[workload]]
kind = "incast"
controller = "dctcp"
sizes = "20kB"
fan_in = 4
load = "1%"
"""


def test_every_flow_completes_and_has_a_slowdown_by_its_size() -> None:
    record = VirtualRunner().run(experiment(FABRIC), lambda _: None)
    flows, slowdowns = record.tables["flows"], record.tables["slowdowns"]
    assert list(flows["group"]).count("poisson") == 60
    incasts = list(flows["group"]).count("incast")
    assert incasts % 4 == 0
    assert record.metrics["flows"] == record.metrics["completed_flows"] == 60 + incasts
    assert min(map(int, flows["slowdown_milli"])) >= 1000
    assert sum(map(int, slowdowns["flows"])) == 60 + incasts
    # Sizes are told as they were before they were divided, and bins are in order.
    rows = [row for row, group in enumerate(slowdowns["group"]) if group == "poisson"]
    highs = [int(slowdowns["high_bytes"][row]) for row in rows]
    assert highs == sorted(highs)
    assert record.digest() == VirtualRunner().run(experiment(FABRIC), lambda _: None).digest()


BAD = [
    ("hosts = 8", "hosts = 9", 7, "9 hosts do not spread evenly under 2 leaves"),
    ('controller = "dctcp"', 'controller = "reno"', 13, "controller is not 'reno'; there are: dcqcn"),
    ('controller = "dctcp"', 'controller = "hpcc"', 21, "all workloads have one controller, hpcc"),
    ('load = "30%"', 'load = "130%"', 16, "load is a share"),
    ('load = "30%"', "", 11, "workload needs load"),
    ("flows = 60", "fan_in = 3", 17, "fan_in says nothing of poisson"),
    ("fan_in = 4", "fan_in = 8", 23, "an incast of 8 needs more hosts than 8"),
    ('sizes = "20kB"', 'sizes = "web-search"', 22, "every flow of an incast has the same size"),
    ('load = "1%"', 'load = "1%"\n[[flow]]\ncontroller = "reno"', 25, "neither [[flow]]"),
    ('kind = "leaf-spine"', 'kind = "dumbbell"\nrate = "1Mbit/s"\nrtt = "9ms"', 9, "unknown key 'hosts'"),
]


@pytest.mark.parametrize(("old", "new", "line", "reason"), BAD)
def test_it_is_refused_with_line_and_reason(old: str, new: str, line: int, reason: str) -> None:
    assert old in FABRIC
    with pytest.raises(ConfigurationError) as caught:
        experiment(FABRIC.replace(old, new, 1))
    lines = caught.value.lines
    assert any(text.startswith(f"e.toml:{line}: ") and reason in text for text in lines), lines


def test_a_workload_needs_a_leaf_spine() -> None:
    keys = 'kind = "dumbbell"\nrate = "9Mbit/s"\nrtt = "9ms"'
    text = FABRIC.replace('kind = "leaf-spine"\nhosts = 8\nleaves = 2\nspines = 2', keys)
    with pytest.raises(ConfigurationError, match=r"e\.toml:10: a \[\[workload\]\] is for topology"):
        experiment(text)
