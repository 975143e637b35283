"""Experiments as text, for tests that change one thing."""

from __future__ import annotations

from pathlib import Path

from stacks.lab.experiment.loading import Document
from stacks.lab.experiment.reading import parse_document, read_experiment
from stacks.lab.experiment.values import Experiment

PLAIN = """\
name = "plain"
duration = "4s"
warmup = "1s"
seed = 1
sample = "20ms"

[topology]
kind = "dumbbell"
rate = "10Mbit/s"
rtt = "20ms"
buffer = "1bdp"

[[flow]]
name = "a"
controller = "reno"

[[flow]]
name = "b"
controller = "cubic"
start = "500ms"
"""


def document(text: str = PLAIN, *, name: str = "e.toml", folder: Path | None = None) -> Document:
    values, origin = parse_document(text, name)
    return Document(values, origin, folder or Path())


def experiment(text: str = PLAIN, *, folder: Path | None = None) -> Experiment:
    made = document(text, folder=folder)
    return read_experiment(made.values, made.origin, folder=made.folder)


def changed(old: str, new: str) -> str:
    assert old in PLAIN
    return PLAIN.replace(old, new, 1)
