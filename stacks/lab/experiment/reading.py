"""An experiment from its document: which keys there are, and what each one says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stacks.lab.experiment import units
from stacks.lab.experiment.conflicts import conflicts
from stacks.lab.experiment.fabric import read_workload
from stacks.lab.experiment.flows import read_flow, read_traffic
from stacks.lab.experiment.topology import read_topology
from stacks.lab.experiment.values import Experiment
from stacks.lab.metrics.catalogue import COSTLY, METRICS
from stacks.runtime.toml_lines import TomlError, parse_toml
from stacks.runtime.toml_places import Place, toml_places
from stacks.runtime.toml_problems import ConfigurationError, Origin, Problem
from stacks.runtime.toml_table import Table


def parse_document(text: str, name: str) -> tuple[dict[str, object], Origin]:
    """What a TOML document says, and its lines; name: what messages call it. ConfigurationError when it is none."""
    try:
        values = parse_toml(text, name)
    except TomlError as error:
        raise ConfigurationError([Problem(error.line, error.what)], name) from error
    return values, Origin(name, toml_places(text))


def read_experiment(values: Mapping[str, object], origin: Origin, *, folder: str | Path = "") -> Experiment:
    """The experiment in a document. folder: where paths in it begin.

    ConfigurationError with everything that is wrong. Controllers in files of their own are loaded, to see that they can
    be.
    """
    problems: list[tuple[Place, str]] = []
    top = Table("the experiment", (), dict(values), problems=problems)
    packet_bytes = top.read("packet", units.whole(64, 65_535), 1500)
    metrics = top.read_each("metrics", units.word(METRICS))
    experiment = Experiment(
        name=top.need("name", units.name, "unnamed", example='"my-experiment"'),
        title=top.read("title", units.text, ""),
        description=top.read("description", units.text, ""),
        duration_ns=top.need("duration", units.span, 1, example='"30s"'),
        warmup_ns=top.read("warmup", units.duration, 0),
        seed=top.read("seed", units.whole(0, (1 << 63) - 1), 1),
        sample_ns=top.read("sample", units.duration, SAMPLE_NS),
        packet_bytes=packet_bytes,
        header_bytes=top.read("headers", units.whole(0, packet_bytes - 1), min(HEADER_BYTES, packet_bytes - 1)),
        metrics=tuple(name for name in METRICS if name not in COSTLY) if metrics is None else metrics,
        topology=read_topology(top, Path(folder)),
        flows=tuple(filter(None, (read_flow(each, Path(folder)) for each in top.tables("flow", "flow")))),
        workloads=tuple(read_workload(each) for each in top.tables("workload", "workload")),
        traffic=tuple(
            filter(None, (read_traffic(each, Path(folder)) for each in top.tables("traffic", "cross traffic")))
        ),
    )
    top.table("sweep", "sweep")
    top.tables("case", "case")
    top.finish()
    # What is not right yet would only bring complaints that nobody needs.
    problems += () if problems else conflicts(experiment)
    if problems:
        raise origin.error(problems)
    return experiment


SAMPLE_NS = 10_000_000
HEADER_BYTES = 52
"""IPv4 and TCP with timestamps: 1,448 of 1,500 bytes are payload, as the kernel's."""
