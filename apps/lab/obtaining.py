"""A result by its folder, or by its experiment, which is run when there is no result of it yet."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from apps import __version__
from apps.errors import CommandError
from apps.lab.realtime import runner as _real  # noqa: F401 - adds itself to RUNNERS
from apps.lab.sweep_file import is_sweep
from apps.output import complain, console
from stacks.lab.experiment.loading import Document, find_document
from stacks.lab.experiment.sweeping import Point, read_base
from stacks.lab.results.keeping import MANIFEST, Kept, Store, load, manifest_of
from stacks.lab.results.parquet import check_parquet, parquet_version
from stacks.lab.runners.catalogue import runner_for
from stacks.runtime import LocalError


def open_store(folder: Path) -> Store:
    """The store at a folder, which need not be there yet."""
    return Store(folder, {"baremetal": __version__, "python": platform.python_version(), **parquet_version()})


def obtain(name: str, store: Store, settings: Sequence[str] = (), *, real: bool = False, fresh: bool = False) -> Kept:
    """One result: of a folder, or of an experiment as it stands, whatever it would sweep."""
    if (Path(name) / MANIFEST).is_file():
        return load(Path(name))
    check_result(name, has_sweeps=False)
    document = find_document(name)
    return obtain_point(read_base(document, settings), document, store, real=real, fresh=fresh)


def check_result(name: str, *, has_sweeps: bool = True) -> None:
    """CommandError for a folder that is no result, nor, where `has_sweeps`, a sweep's; it says what is in it."""
    folder = Path(name)
    if not folder.is_dir() or (folder / MANIFEST).is_file() or (has_sweeps and is_sweep(folder)):
        return
    kept = sorted(path.parent.name for path in folder.glob(f"[!.]*/{MANIFEST}"))
    if not kept:
        raise CommandError(f"{name} is a folder without {MANIFEST}", "name one that `baremetal lab run` told of")
    more = f" and {len(kept) - NAMED_MAX} more" if len(kept) > NAMED_MAX else ""
    what = "several results, of which one is needed" if is_sweep(folder) else "results, of no sweep as a whole"
    raise CommandError(f"{name} holds {what}", f"name one of those in it: {', '.join(kept[:NAMED_MAX])}{more}")


def obtain_point(
    point: Point, document: Document, store: Store, *, real: bool = False, fresh: bool = False
) -> Kept:
    """The result of one experiment, run when it is not there, or `fresh`."""
    experiment = point.experiment
    runner = runner_for(experiment, document.origin, is_real=real)
    if not fresh and not real and store.has(experiment, runner.name):
        return load(store.folder(experiment, runner.name))
    with progress(experiment.name) as tell:
        record = runner.run(experiment, tell)
    try:
        check_parquet()
    except LocalError as error:
        complain(f"{error} (this result is not kept)")
        return Kept(record, manifest_of(experiment, runner.name, record, store.versions))
    return load(store.keep(experiment, runner.name, record))


def is_swept(name: str) -> bool:
    """Whether an experiment, if the name is of one, says what to vary."""
    return not Path(name).is_dir() and bool({"sweep", "case"} & set(find_document(name).values))


@contextmanager
def progress(what: str) -> Iterator[Callable[[float], object]]:
    """A bar on standard error while the block runs, moved by calling what it is given with 0 to 1."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    err = console(stderr=True)
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bars:
        task = bars.add_task(what, total=1.0)
        yield lambda done: bars.update(task, completed=done)


NAMED_MAX = 5
