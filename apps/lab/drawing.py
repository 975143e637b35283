"""A result or a sweep as a picture or a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from apps.errors import CommandError
from apps.lab.obtaining import obtain, obtain_point
from apps.lab.pictures.page import run_page, sweep_page
from apps.lab.pictures.run import distributions, over_time
from apps.lab.pictures.slowdowns import BY_SIZE, slowdowns, sweep_slowdowns
from apps.lab.pictures.sweep import sweep_figure
from apps.lab.sweep import chosen_metrics, run_sweep
from apps.lab.sweep_file import SweepResult, is_sweep, load_sweep
from apps.pictures.canvas import to_file
from stacks.lab.experiment.loading import find_document
from stacks.lab.experiment.sweeping import read_points
from stacks.lab.results.keeping import Kept, Store
from stacks.lab.sweeping.jobs import Pool

Found = Kept | SweepResult


def obtain_any(name: str, store: Store, settings: Sequence[str], pool: Pool) -> Found:
    """One result or a whole sweep; what is not there yet is run."""
    if Path(name).is_dir():
        return load_sweep(Path(name)) if is_sweep(Path(name)) else obtain(name, store)
    document = find_document(name)
    points = read_points(document, settings)
    if len(points) == 1:
        return obtain_point(points[0], document, store)
    return run_sweep(name, settings, store, pool)


def short_name(name: str) -> str:
    """What a file about a result is called when nobody says: the experiment's name."""
    path = Path(name)
    if not path.is_dir():
        return path.stem
    whole = path.resolve()
    return whole.name if is_sweep(path) else whole.parent.name


def draw(found: Found, metrics: Sequence[str], suffix: str = ".png", *, as_distribution: bool = False) -> bytes:
    """As a picture whose name ends with `suffix`.

    metrics: of a sweep, in a panel each; one when none are named. as_distribution: of a run, cumulative distributions
    instead of what happened over time.
    """
    if isinstance(found, SweepResult):
        if BY_SIZE in metrics and len(metrics) > 1:
            raise CommandError(f"{BY_SIZE} is a picture of its own", "leave the other --metric out", status=2)
        by_size = sweep_slowdowns(found) if not metrics or BY_SIZE in metrics else None
        chosen = () if by_size else chosen_metrics(found, metrics)
        return to_file(by_size or sweep_figure(found, chosen if metrics else chosen[:1]), suffix)
    if metrics:
        raise CommandError("--metric chooses of a sweep, and this is one run", "leave it out", status=2)
    figure = None if as_distribution else over_time(found.record, found.title, warmup_ns=found.warmup_ns)
    figure = figure or slowdowns(found.record, found.title) or distributions(found.record, found.title)
    if figure is None:
        raise CommandError("this result has no samples to draw", 'give the experiment sample = "10ms"')
    return to_file(figure, suffix)


def page(found: Found, metrics: Sequence[str]) -> str:
    """As an HTML page."""
    if isinstance(found, SweepResult):
        return sweep_page(found, chosen_metrics(found, metrics))
    return run_page(found)

