"""Runs on a Dask cluster, whose workers have this package installed; results come back and are kept here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from stacks.lab.results.keeping import MANIFEST, Store
from stacks.lab.sweeping.jobs import Job, run_elsewhere
from stacks.runtime.errors import LocalError


class Cluster:
    """A scheduler at an address such as tcp://10.0.0.1:8786; LocalError when the extra `cluster` is not installed."""

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            self._distributed: Any = import_module("distributed")
        except ImportError as error:
            raise LocalError(
                "--cluster needs Dask, which is missing: pip install 'baremetal-emulator[cluster]'"
            ) from error

    def run(self, jobs: Sequence[Job], store: Store) -> Iterator[int]:
        """Run all of them there, and keep them here; the numbers of those that are done, as they are."""
        try:
            client = self._distributed.Client(self.address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise LocalError(f"no Dask scheduler answers at {self.address}; start one: dask scheduler") from error
        with client:
            futures = [client.submit(run_elsewhere, job, dict(store.versions), pure=False) for job in jobs]
            try:
                for future in self._distributed.as_completed(futures, loop=client.loop):
                    job, files = future.result()
                    _check_sources(job, files)
                    store.keep_files(job.experiment, job.runner, files)
                    yield job.number
            finally:
                client.cancel(futures)


def _check_sources(job: Job, files: Mapping[str, bytes]) -> None:
    if json.loads(files[MANIFEST])["hash"] != job.key:
        raise LocalError(
            "the cluster's workers have another version of baremetal, or of a file that the experiment names; "
            "give them the same"
        )


CONNECT_S = 10
