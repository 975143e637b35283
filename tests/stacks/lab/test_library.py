"""The ready experiments run: briefly, as they stand, twice the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stacks.lab.experiment.loading import find_document
from stacks.lab.experiment.sweeping import read_base, read_points
from stacks.lab.library import ready_names
from stacks.lab.runners.catalogue import runner_for
from stacks.runtime import LocalError

BRIEF_NS = 1_500_000_000
REAL = {"kernel-beside-ours"}
"""Those that need real time."""


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in ready_names() if name not in REAL])
def test_a_ready_experiment_runs_and_twice_the_same(name: str) -> None:
    document = find_document(name)
    experiment = read_base(document, ["warmup=0s"]).experiment
    if experiment.topology.fabric is None:
        experiment = replace(experiment, duration_ns=BRIEF_NS)
    else:
        experiment = read_base(document, ["workload.0.flows=50"]).experiment
    runner = runner_for(experiment, document.origin)
    first = runner.run(experiment, lambda _: None)
    assert first.events > 0
    assert first.metrics
    assert runner.run(experiment, lambda _: None).digest() == first.digest()


def test_every_point_of_every_ready_experiment_has_a_runner() -> None:
    for name in [each for each in ready_names() if each not in REAL]:
        document = find_document(name)
        for point in read_points(document):
            assert runner_for(point.experiment, document.origin).name == "virtual"


def test_virtual_time_refuses_those_that_need_real_time() -> None:
    for name in REAL:
        document = find_document(name)
        with pytest.raises(LocalError, match=rf"{name}\.toml:\d+: kernel has the sender linux:cubic"):
            runner_for(read_base(document).experiment, document.origin)


def test_a_name_that_is_nearly_one_is_suggested() -> None:
    with pytest.raises(LocalError, match="is it bbr-vs-cubic"):
        find_document("bbr-cubic")
    with pytest.raises(LocalError, match="lab list"):
        find_document("zzz")
