"""The runner in virtual time: bit-identical for a seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from stacks.congestion.own import blame, own_file
from stacks.lab.experiment.values import Experiment
from stacks.lab.quic.refusals import quic_refusals
from stacks.lab.results.record import Record
from stacks.lab.runners.runner import Progress
from stacks.lab.running.collect import collect
from stacks.lab.running.fabric import run_fabric
from stacks.lab.running.harm import harm_metrics
from stacks.lab.running.world import World
from stacks.lab.storage.refusals import storage_refusals
from stacks.runtime.errors import LocalError, StackError
from stacks.runtime.toml_places import Place


class VirtualRunner:
    """Model senders, the real QUIC stack and storage on one timeline."""

    name = "virtual"
    senders = ("model", "quic", "nvme")

    def check(self, experiment: Experiment) -> Iterable[tuple[Place, str]]:
        """It can do whatever can be said with models."""
        yield from quic_refusals(experiment)
        yield from storage_refusals(experiment)

    def run(self, experiment: Experiment, progress: Progress) -> Record:
        """Run all of it. LocalError, with file and line, when a controller in a file of its own fails."""
        try:
            record = _run(experiment, progress)
            if "harm" in experiment.metrics:
                more = harm_metrics(experiment, record, lambda part: _run(part, lambda _: None))
                record = replace(record, metrics={**record.metrics, **more})
        except StackError:
            raise
        except Exception as error:
            for flow in experiment.flows:
                path = own_file(flow.controller)
                if path is not None and (words := blame(error, path)):
                    raise LocalError(words) from error
            raise
        return record


def _run(experiment: Experiment, progress: Progress) -> Record:
    if experiment.topology.fabric is not None:
        return run_fabric(experiment, experiment.topology.fabric)
    world = World(experiment)
    world.run(progress)
    return collect(world)
