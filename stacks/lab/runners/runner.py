"""The seam between an experiment and what runs it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from stacks.lab.experiment.values import Experiment
from stacks.lab.results.record import Record
from stacks.runtime.toml_places import Place

Progress = Callable[[float], object]
"""Called now and then with the part that is done, 0 to 1."""


class Runner(Protocol):
    """name: `virtual` or `real`. senders: words before the colon that it can run (`stacks.lab.senders`)."""

    @property
    def name(self) -> str:
        """As above."""

    @property
    def senders(self) -> Collection[str]:
        """As above."""

    def check(self, experiment: Experiment) -> Iterable[tuple[Place, str]]:
        """What it cannot do of an experiment whose senders it has: (place, what it is and what to do) pairs."""

    def run(self, experiment: Experiment, progress: Progress) -> Record:
        """Run all of it. LocalError when it cannot be."""
