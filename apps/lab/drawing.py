"""A result or a sweep as a picture or a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from apps.errors import CommandError
from apps.lab.obtaining import obtain, obtain_point
from apps.lab.pictures.canvas import to_png
from apps.lab.pictures.page import run_page, sweep_page
from apps.lab.pictures.run import distributions, over_time
from apps.lab.pictures.slowdowns import BY_SIZE, slowdowns, sweep_slowdowns
from apps.lab.pictures.sweep import sweep_figure
from apps.lab.sweep import SweepResult, chosen_metrics, run_sweep
from stacks.lab.experiment.loading import find_document
from stacks.lab.experiment.sweeping import read_points
from stacks.lab.results.keeping import Kept, Store
from stacks.lab.sweeping.jobs import Pool

Found = Kept | SweepResult


def obtain_any(name: str, store: Store, settings: Sequence[str], pool: Pool) -> Found:
    """One result or a whole sweep; what is not there yet is run."""
    if Path(name).is_dir():
        return obtain(name, store)
    document = find_document(name)
    points = read_points(document, settings)
    if len(points) == 1:
        return obtain_point(points[0], document, store)
    return run_sweep(name, settings, store, pool)


def short_name(name: str) -> str:
    """What a file about a result is called when nobody says: the experiment's name."""
    path = Path(name)
    return path.resolve().parent.name if path.is_dir() else path.stem


def draw(found: Found, metrics: Sequence[str], *, as_distribution: bool = False) -> bytes:
    """As a PNG file. as_distribution: of a run, cumulative distributions instead of what happened over time."""
    if isinstance(found, SweepResult):
        by_size = sweep_slowdowns(found) if not metrics or BY_SIZE in metrics else None
        return to_png(by_size or sweep_figure(found, chosen_metrics(found, metrics)[0]))
    figure = None if as_distribution else over_time(found.record, found.title)
    figure = figure or slowdowns(found.record, found.title) or distributions(found.record, found.title)
    if figure is None:
        raise CommandError("this result has no samples to draw", 'give the experiment sample = "10ms"')
    return to_png(figure)


def page(found: Found, metrics: Sequence[str]) -> str:
    """As an HTML page."""
    if isinstance(found, SweepResult):
        return sweep_page(found, chosen_metrics(found, metrics))
    return run_page(found)

