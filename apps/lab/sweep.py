"""`baremetal lab sweep`: many runs, and the table of what came out."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from apps.errors import INTERRUPTED, CommandError
from apps.lab.figures import short_word, show_value
from apps.lab.obtaining import progress
from apps.lab.sweep_file import SweepResult, SweepRow, is_valid, save_sweep
from stacks.lab.experiment.loading import find_document
from stacks.lab.experiment.sweeping import Point, read_points
from stacks.lab.results.fingerprint import run_hash
from stacks.lab.results.keeping import Store, load_manifest, remove_leftovers
from stacks.lab.results.parquet import check_parquet
from stacks.lab.runners.catalogue import runner_for
from stacks.lab.sweeping.jobs import Job, Pool


def run_sweep(
    name: str, settings: Sequence[str], store: Store, pool: Pool, *, real: bool = False, fresh: bool = False
) -> SweepResult:
    """Run whatever of a sweep is not there yet. CommandError, which says how to go on, when Ctrl-C ends it."""
    check_parquet()
    document = find_document(name)
    points = read_points(document, settings)
    jobs = []
    runner_name = ""
    for number, point in enumerate(points):
        runner_name = runner_for(point.experiment, document.origin, is_real=real).name
        if fresh or not _is_kept(point, store, runner_name):
            jobs.append(Job(number, point.experiment, runner_name, run_hash(point.experiment, runner_name)))
    reused = len(points) - len(jobs)
    done = 0
    try:
        with progress(f"{len(jobs)} runs of {points[0].experiment.name}") as tell:
            for _ in pool.run(jobs, store) if jobs else ():
                done += 1
                tell(done / len(jobs))
    except KeyboardInterrupt:
        remove_leftovers(store.root / points[0].experiment.name)
        raise CommandError(
            f"interrupted; {reused + done} of {len(points)} runs are kept", "the same command goes on from there",
            status=INTERRUPTED,
        ) from None  # fmt: skip
    rows = [_row(point, store, runner_name) for point in points]
    experiment = points[0].experiment
    result = SweepResult(
        experiment.name, experiment.title or experiment.name, experiment.description, rows, reused
    )
    save_sweep(store.root / experiment.name, result)
    return result


def show_sweep(result: SweepResult, out: Console, metrics: Sequence[str]) -> None:
    """A line for each point. metrics: which columns; all of them when none are named."""
    chosen = chosen_metrics(result, metrics)
    parameters = list(result.rows[0].parameters)
    table = Table(*(each.rpartition(".")[2] if parameters.count(each) == 1 else each for each in parameters))
    for name in chosen:
        table.add_column(show_value(name, None)[0], justify="right")
    for row in result.rows:
        shown = [short_word(str(row.parameters[each])) for each in parameters]
        table.add_row(*shown, *(show_value(name, row.metrics.get(name))[1] for name in chosen))
    out.print(result.title, style="bold")
    out.print(table)


def chosen_metrics(result: SweepResult, metrics: Sequence[str]) -> list[str]:
    """The metrics that are asked for, or those that most want to see; CommandError for one that no run has."""
    names = list(dict.fromkeys(name for row in result.rows for name in row.metrics))
    if unknown := [each for each in metrics if each not in names]:
        raise CommandError(f"these runs have no {', '.join(unknown)}", f"there are {', '.join(names)}", status=2)
    return list(metrics) or [name for name in SHOWN if name in names]


def sweep_json(result: SweepResult) -> list[dict[str, object]]:
    """The same for programs."""
    return [
        {
            "parameters": dict(row.parameters),
            "metrics": dict(row.metrics),
            "digest": row.digest,
            "folder": str(row.folder),
            **({} if row.is_valid else {"valid": False}),
        }
        for row in result.rows
    ]


def _row(point: Point, store: Store, runner: str) -> SweepRow:
    folder = store.folder(point.experiment, runner)
    manifest = load_manifest(folder)
    metrics = manifest["metrics"]
    assert isinstance(metrics, dict)
    return SweepRow(dict(point.parameters), metrics, str(manifest["digest"]), folder, is_valid(manifest, runner))


def _is_kept(point: Point, store: Store, runner: str) -> bool:
    """Whether there is a result that counts."""
    if not store.has(point.experiment, runner):
        return False
    return is_valid(load_manifest(store.folder(point.experiment, runner)), runner)


SHOWN = (
    "goodput_bps", "utilisation", "loss", "jain", "convergence_ns", "delay_p50_ns", "delay_p95_ns", "completion_p50_ns",
    "slowdown_p50", "slowdown_p99",
)  # fmt: skip
