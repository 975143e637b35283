"""Results on disk: a folder for each run, with its tables as Parquet and a manifest.

    lab-results/NAME/HASH/manifest.json, flows.parquet, links.parquet, series.parquet, queues.parquet

A folder is made under another name and renamed when it is whole, so that whatever ends a process, what has its own name
is complete. What an ended process left half-made is removed when its place is needed next.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stacks.lab.experiment.values import Experiment
from stacks.lab.results.files import naming
from stacks.lab.results.fingerprint import as_plain, experiment_hash, run_hash, sources_hash
from stacks.lab.results.parquet import decode, encode
from stacks.lab.results.record import Record, Table
from stacks.runtime.errors import LocalError


@dataclass(frozen=True, slots=True)
class Kept:
    """A result. folder: where it is, None for one that is not kept; manifest: what is told of it beside the tables."""

    record: Record
    manifest: Mapping[str, object]
    folder: Path | None = None

    @property
    def title(self) -> str:
        """For people."""
        title = str(self.manifest.get("title") or self.manifest.get("name"))
        return title if self.record.is_valid else f"{title} (NOT VALID)"

    @property
    def warmup_ns(self) -> int:
        """What tables of flows and links, and metrics, leave out at the beginning."""
        experiment = self.manifest.get("experiment")
        found = experiment.get("warmup_ns") if isinstance(experiment, dict) else None
        return found if isinstance(found, int) else 0


@dataclass(frozen=True, slots=True)
class Store:
    """Where results are kept. root: the folder of all of them; versions: of the programs, for the manifests."""

    root: Path
    versions: Mapping[str, str] = field(default_factory=dict)

    def folder(self, experiment: Experiment, runner: str) -> Path:
        """Where the result of an experiment is, or will be."""
        return self.root / experiment.name / run_hash(experiment, runner)

    def has(self, experiment: Experiment, runner: str) -> bool:
        """Whether there is a whole result of exactly this experiment, by exactly these sources."""
        return is_whole(self.folder(experiment, runner))

    def keep(self, experiment: Experiment, runner: str, record: Record) -> Path:
        """Write a result; OSError when that fails, and then nothing of it stays."""
        return self.keep_files(experiment, runner, files_of(experiment, runner, record, self.versions))

    def keep_files(self, experiment: Experiment, runner: str, files: Mapping[str, bytes]) -> Path:
        """The same of what `files_of` made, perhaps elsewhere."""
        place = self.folder(experiment, runner)
        place.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(place.parent)
        part = place.parent / f".{place.name}.{os.getpid()}.part"
        try:
            with naming(place):
                part.mkdir()
                for name, content in files.items():
                    (part / name).write_bytes(content)
                if place.exists():
                    shutil.rmtree(place)
                part.rename(place)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            if is_whole(place):
                return place  # another process was faster
            raise
        return place


def files_of(experiment: Experiment, runner: str, record: Record, versions: Mapping[str, str]) -> dict[str, bytes]:
    """The files of a result, by name."""
    files = {f"{name}.parquet": encode(table) for name, table in record.tables.items()}
    manifest = manifest_of(experiment, runner, record, versions)
    manifest["files"] = {name: len(content) for name, content in files.items()}
    files[MANIFEST] = (json.dumps(manifest, indent=2) + "\n").encode()
    return files


def manifest_of(
    experiment: Experiment, runner: str, record: Record, versions: Mapping[str, str]
) -> dict[str, object]:
    """What is told of a result beside its tables."""
    manifest: dict[str, object] = {
        "format": FORMAT,
        "name": experiment.name,
        "title": experiment.title,
        "description": experiment.description,
        "runner": runner,
        "seed": experiment.seed,
        "hash": run_hash(experiment, runner),
        "experiment_hash": experiment_hash(experiment),
        "sources_hash": sources_hash(),
        "versions": dict(versions),
        "digest": record.digest(),
        "events": record.events,
        "states": list(record.states),
        "metrics": dict(record.metrics),
        "experiment": as_plain(experiment),
    }
    return {**manifest, runner: dict(record.facts)} if record.facts else manifest


def load(folder: Path) -> Kept:
    """A kept result; LocalError when there is no whole one."""
    manifest = load_manifest(folder)
    tables: dict[str, Table] = {}
    files = manifest["files"]
    assert isinstance(files, dict)
    for name in files:
        try:
            tables[name.removesuffix(".parquet")] = decode((folder / name).read_bytes())
        except LocalError as error:
            raise LocalError(f"{folder / name}: {error}") from error
    states, metrics, events = manifest.get("states"), manifest.get("metrics"), manifest.get("events")
    facts = manifest.get(str(manifest.get("runner")))
    record = Record(
        tables,
        tuple(map(str, states)) if isinstance(states, list) else (),
        metrics if isinstance(metrics, dict) else {},
        events if isinstance(events, int) else 0,
        facts if isinstance(facts, dict) else {},
    )
    return Kept(record, manifest, folder)


def load_manifest(folder: Path) -> dict[str, object]:
    """What is told of a kept result beside its tables; LocalError when there is no whole one."""
    manifest = _manifest(folder)
    if manifest is None:
        raise LocalError(f"{folder} holds no whole result of `baremetal lab run`")
    return manifest


def is_whole(folder: Path) -> bool:
    """Whether a folder holds all that its manifest says, as far as sizes tell."""
    return _manifest(folder) is not None


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that are no more left half-made."""
    for part in folder.glob(".*.part"):
        words = part.name.split(".")
        if not words[-2].isdigit() or not _is_alive(int(words[-2])):
            shutil.rmtree(part, ignore_errors=True)


def _manifest(folder: Path) -> dict[str, object] | None:
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        if manifest["format"] != FORMAT:
            return None
        is_complete = all((folder / name).stat().st_size == size for name, size in manifest["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return manifest if is_complete else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


MANIFEST = "manifest.json"
FORMAT = 1
