"""One run of a sweep, in whatever process it happens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from stacks.lab.experiment.values import Experiment
from stacks.lab.results.fingerprint import run_hash
from stacks.lab.results.keeping import Store, files_of
from stacks.lab.runners.catalogue import RUNNERS
from stacks.runtime.errors import LocalError


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be run. number: of the point; runner: by name; key: what the result is called, see `run_hash`."""

    number: int
    experiment: Experiment
    runner: str
    key: str


class Pool(Protocol):
    """Where runs happen."""

    def run(self, jobs: Sequence[Job], store: Store) -> Iterator[int]:
        """Run and keep all of them; the numbers of those that are done, as they are."""


def run_here(job: Job, store: Store) -> int:
    """Run a job in this process and keep what comes out. LocalError when the sources are not those of the key."""
    if run_hash(job.experiment, job.runner) != job.key:
        raise LocalError(
            "the sources of baremetal, or a file that the experiment names, changed while the sweep ran; start it again"
        )
    record = RUNNERS[job.runner].run(job.experiment, lambda _: None)
    store.keep(job.experiment, job.runner, record)
    return job.number


def run_elsewhere(job: Job, versions: Mapping[str, str]) -> tuple[Job, dict[str, bytes]]:
    """Run a job where the store is not at hand; the files of its result."""
    record = RUNNERS[job.runner].run(job.experiment, lambda _: None)
    return job, files_of(job.experiment, job.runner, record, versions)
