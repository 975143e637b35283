"""Slowdowns over flow size, as data-centre papers draw them."""

from __future__ import annotations

from apps.lab.pictures.sweep import varied
from apps.lab.sweep_file import SweepResult
from apps.pictures.canvas import Axes, Figure, label, legend, new_figure, tidy
from apps.pictures.colours import colour
from stacks.lab.results.keeping import load
from stacks.lab.results.record import Record, Table


def slowdowns(record: Record, title: str) -> Figure | None:
    """Of one run: percentiles over size, a panel for each workload; None of a run without such flows."""
    table = record.tables.get("slowdowns")
    if table is None or len(table["group"]) == 0:
        return None
    groups = _curves(table)
    figure = new_figure(10.0 if len(groups) > 1 else 7.0, 4.0)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    for axes, group in zip(figure.subplots(1, len(groups), squeeze=False)[0], groups, strict=True):
        rows = [row for row, each in enumerate(table["group"]) if each == group]
        for index, (key, name) in enumerate(PERCENTILES):
            _draw(axes, table, rows, key, index, name)
        _finish(axes, f"slowdown of {group}")
    return figure


def sweep_slowdowns(result: SweepResult) -> Figure | None:
    """Of a sweep: the 50th and the 99th percentile of the first workload over size, a line for each point."""
    points = []
    for row in result.rows:
        table = load(row.folder).record.tables.get("slowdowns")
        if table is None:
            return None
        name = ", ".join(str(row.parameters[key]) for key in varied(result)) or "run"
        points.append((name, table))
    figure = new_figure(10.0, 4.2)
    figure.suptitle(result.title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    for axes, (key, name) in zip(figure.subplots(1, 2, squeeze=False)[0], PERCENTILES[::2], strict=True):
        for index, (point, table) in enumerate(points):
            rows = [row for row, each in enumerate(table["group"]) if each == _curves(table)[0]]
            _draw(axes, table, rows, key, index, point)
        _finish(axes, f"slowdown, {name}")
    return figure


def _curves(table: Table) -> list[str]:
    """Workloads with sizes of their own; those of one size are points, and left out where there are others."""
    groups = list(dict.fromkeys(str(each) for each in table["group"]))
    return [group for group in groups if list(table["group"]).count(group) > 1] or groups


def _draw(axes: Axes, table: Table, rows: list[int], key: str, index: int, name: str) -> None:
    x = [int(table["high_bytes"][row]) for row in rows]
    y = [int(table[key][row]) / 1000 for row in rows]
    axes.plot(x, y, "o-", color=colour(index), linewidth=1.3, markersize=3, label=name)


def _finish(axes: Axes, text: str) -> None:
    tidy(axes)
    label(axes, text)
    axes.set_xscale("log")
    low, high = axes.get_ylim()
    if high > 5 * max(low, 1):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
        axes.tick_params(which="minor", labelsize=6, colors="#8a8f98")
    axes.set_xlabel("flows up to, bytes", fontsize=9)
    legend(axes)


PERCENTILES = (("p50_milli", "median"), ("p95_milli", "95 %"), ("p99_milli", "99 %"))
BY_SIZE = "slowdown_by_size"
"""What `--metric` calls the picture."""
