"""A sweep that was run, and the file beside its results that says which of them it was.

    lab-results/NAME/sweep.json   the last sweep of the experiment: the parameters and the folder of each run
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from apps.errors import CommandError
from stacks.lab.results.files import write_whole
from stacks.lab.results.keeping import is_whole, load_manifest


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One point with its metrics. folder: of its whole result. is_valid: see `Record`."""

    parameters: Mapping[str, object]
    metrics: Mapping[str, object]
    digest: str
    folder: Path
    is_valid: bool = True


@dataclass(frozen=True, slots=True)
class SweepResult:
    """All points, in the order of the grid. reused: how many were there already."""

    name: str
    title: str
    description: str
    rows: Sequence[SweepRow]
    reused: int


def is_valid(manifest: Mapping[str, object], runner: str) -> bool:
    """Whether a result counts."""
    facts = manifest.get(runner)
    return not isinstance(facts, dict) or facts.get("valid") is not False


def is_sweep(folder: Path) -> bool:
    """Whether a folder is that of a sweep."""
    return (folder / SWEEP).is_file()


def save_sweep(folder: Path, result: SweepResult) -> None:
    """Say beside the results which they are; OSError when that cannot be written."""
    rows = [{"parameters": dict(row.parameters), "result": row.folder.name} for row in result.rows]
    document = {"format": FORMAT, "title": result.title, "description": result.description, "runs": rows}
    write_whole(folder / SWEEP, (json.dumps(document, indent=2) + "\n").encode())


def load_sweep(folder: Path) -> SweepResult:
    """The last sweep in a folder; CommandError when it cannot be read, or results of it are gone."""
    path = folder / SWEEP
    try:
        document = json.loads(path.read_bytes())
        runs = [(dict(each["parameters"]), folder / str(each["result"])) for each in document["runs"]]
        title, description = str(document["title"]), str(document["description"])
        if not runs or document["format"] != FORMAT:
            raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{path} says nothing of a sweep", AGAIN) from error
    if missing := [place.name for _, place in runs if not is_whole(place)]:
        raise CommandError(f"{len(missing)} of {len(runs)} results of the sweep in {folder} are not there", AGAIN)
    return SweepResult(folder.resolve().name, title, description, [_row(*run) for run in runs], len(runs))


def _row(parameters: Mapping[str, object], folder: Path) -> SweepRow:
    manifest = load_manifest(folder)
    metrics = manifest["metrics"]
    assert isinstance(metrics, dict)
    counts = is_valid(manifest, str(manifest.get("runner")))
    return SweepRow(parameters, metrics, str(manifest["digest"]), folder, counts)


SWEEP = "sweep.json"
FORMAT = 1
AGAIN = "the command `baremetal lab sweep` that made it makes it again"
