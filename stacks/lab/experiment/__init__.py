"""An experiment as values, and its TOML document.

    document -> read_experiment(text, name) -> Experiment, or ExperimentError with every mistake and its line
    document -> vary(...) -> one document for each point of a sweep

`values` says what there is, `reading` and `topology` which keys say it, `conflicts` what cannot go together; `units`
are rates, times, sizes and buffers as people write them. Nothing runs here, and no file is opened but by `loading`.
"""

from stacks.lab.experiment.loading import LoadedExperiment, load_experiment
from stacks.lab.experiment.reading import read_experiment
from stacks.lab.experiment.values import (
    Buffer,
    Experiment,
    FlowConfig,
    HopConfig,
    LinkConfig,
    TopologyConfig,
    TrafficConfig,
)

__all__ = [
    "Buffer",
    "Experiment",
    "FlowConfig",
    "HopConfig",
    "LinkConfig",
    "LoadedExperiment",
    "TopologyConfig",
    "TrafficConfig",
    "load_experiment",
    "read_experiment",
]
