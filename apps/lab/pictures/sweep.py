"""A sweep as figures: a heat map where two things are varied, lines where it is one."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from apps.lab.figures import short_word, show_value
from apps.lab.sweep_file import SweepResult, SweepRow
from apps.pictures.canvas import Axes, Figure, Image, label, new_figure, tidy
from apps.pictures.colours import colour, controller_colour

Number = int | float


def sweep_figure(result: SweepResult, metrics: Sequence[str]) -> Figure:
    """Metrics, one below the other, over what is varied most; of what is varied besides, one map or line each.

    Of seeds, the mean.
    """
    columns, lines = _shape(result)
    figure = new_figure(10.0 if columns > 1 else 7.6, (1.1 + 3.0 * lines) * len(metrics))
    parts = figure.subfigures(len(metrics), 1, squeeze=False)[:, 0] if len(metrics) > 1 else [figure]
    for part, metric in zip(parts, metrics, strict=True):
        _draw(part, result, metric)
    return figure


def _shape(result: SweepResult) -> tuple[int, int]:
    """Columns and lines of maps."""
    count = len({tuple(str(row.parameters[each]) for each in varied(result)[2:]) for row in result.rows})
    columns = min(count, COLUMNS_MAX)
    return columns, -(-count // columns)


def _draw(figure: Figure, result: SweepResult, metric: str) -> None:
    dimensions = varied(result)
    across = dimensions[0] if dimensions else "seed"
    upwards = dimensions[1] if len(dimensions) > 1 else None
    rest = dimensions[2:]
    facets = list(dict.fromkeys(tuple(str(row.parameters[each]) for each in rest) for row in result.rows))
    columns, lines = _shape(result)
    figure.suptitle(f"{result.title}\n{_name(metric)}", x=0.01, ha="left", fontsize=12, fontweight="bold")
    grid = figure.subplots(lines, columns, squeeze=False)
    values = [value for row in result.rows if (value := _number(row, metric)) is not None]
    scale = (min(values, default=0), max(values, default=1))
    image = None
    for index, facet in enumerate(facets):
        axes = grid[index // columns][index % columns]
        rows = [row for row in result.rows if tuple(str(row.parameters[each]) for each in rest) == facet]
        text = ", ".join(f"{_short(name)} {value}" for name, value in zip(rest, facet, strict=True))
        if upwards is not None:
            image = _heat_map(axes, rows, metric, (across, upwards), scale)
        else:
            _lines(axes, rows, metric, across)
        label(axes, text)
    for spare in range(len(facets), lines * columns):
        grid[spare // columns][spare % columns].set_visible(False)
    if image is not None:
        bar = figure.colorbar(image, ax=list(grid.flat), shrink=0.8, pad=0.01, aspect=30)
        bar.ax.yaxis.set_major_formatter(lambda value, _: show_value(metric, value)[1])
        bar.ax.tick_params(labelsize=7.5, length=2)
        bar.outline.set_visible(False)


def varied(result: SweepResult) -> list[str]:
    """The dimensions that have more than one value, without the seed, those with the most values first."""
    names = [name for name in result.rows[0].parameters if name != "seed"]
    counts = {name: len({str(row.parameters[name]) for row in result.rows}) for name in names}
    return sorted((name for name in names if counts[name] > 1), key=lambda name: -counts[name])


def _heat_map(
    axes: Axes, rows: Sequence[SweepRow], metric: str, dimensions: tuple[str, str], scale: tuple[Number, Number]
) -> Image:
    across, upwards = (list(dict.fromkeys(str(row.parameters[each]) for row in rows)) for each in dimensions)
    table = []
    for high in upwards:
        cells = []
        for wide in across:
            here = [row for row in rows if [str(row.parameters[each]) for each in dimensions] == [wide, high]]
            mean = _mean(here, metric)
            cells.append(float("nan") if mean is None else mean)
        table.append(cells)
    image = axes.imshow(table, aspect="auto", cmap="viridis", vmin=scale[0], vmax=scale[1], origin="lower")
    middle = (scale[0] + scale[1]) / 2
    for row, cells in enumerate(table):
        for column, value in enumerate(cells):
            shown = "none" if math.isnan(value) else show_value(metric, value)[1]
            shade = "#8a8f98" if math.isnan(value) else "white" if value < middle else "black"
            axes.text(column, row, shown, ha="center", va="center", fontsize=7.5, color=shade)
    axes.set_xticks(range(len(across)), [textwrap.fill(short_word(each), LABEL_COLUMNS) for each in across])
    axes.set_yticks(range(len(upwards)), [short_word(each) for each in upwards])
    axes.set_xlabel(_short(dimensions[0]), fontsize=9)
    axes.set_ylabel(_short(dimensions[1]), fontsize=9)
    axes.tick_params(labelsize=8, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image


def _lines(axes: Axes, rows: Sequence[SweepRow], metric: str, across: str) -> None:
    """Means over what is varied: a line where it is a quantity, bars where it is one of several words."""
    tidy(axes)
    words = list(dict.fromkeys(str(row.parameters.get(across)) for row in rows))
    means = [_mean([row for row in rows if str(row.parameters.get(across)) == word], metric) for word in words]
    unit, name = next(((scale, text) for end, scale, text in UNITS if metric.endswith(end)), (1, ""))
    points = [(index, mean / unit) for index, mean in enumerate(means) if mean is not None]
    x, y = [index for index, _ in points], [value for _, value in points]
    if all(word[:1].isdigit() for word in words):
        for row in rows:
            value = _number(row, metric)
            if value is not None:
                axes.plot([words.index(str(row.parameters.get(across)))], [value / unit], ".", color="#a5adb6")
        axes.plot(x, y, "o-", color=colour(0), linewidth=1.4, markersize=4)
    else:
        bars = axes.bar(x, y, width=0.55, color=[_shade(across, words[index]) for index in x])
        axes.bar_label(bars, [show_value(metric, value * unit)[1] for value in y], fontsize=8, padding=2)
    axes.set_xticks(range(len(words)), [short_word(word) for word in words])
    axes.set_xlabel(_short(across), fontsize=9)
    axes.set_ylabel(name, fontsize=9)
    axes.margins(y=0.1)
    axes.set_ylim(bottom=0)


def _mean(rows: Sequence[SweepRow], metric: str) -> float | None:
    values = [value for row in rows if (value := _number(row, metric)) is not None]
    total: float = 0
    for value in values:
        total += value
    return total / len(values) if values else None


def _number(row: SweepRow, metric: str) -> Number | None:
    value = row.metrics.get(metric)
    return value if isinstance(value, int | float) else None


def _shade(across: str, word: str) -> str:
    return controller_colour(short_word(word)) if across.endswith("controller") else colour(0)


def _short(path: str) -> str:
    short = path.removeprefix("topology.")
    return short.rpartition(".")[2] if short.endswith((".controller", ".queue")) else short


def _name(metric: str) -> str:
    return show_value(metric, None)[0].replace(".", ": ").replace(" p50", ", median").replace(" p95", ", 95 %")


LABEL_COLUMNS = 15
COLUMNS_MAX = 3
UNITS = (("_bps", 1e6, "Mbit/s"), ("_ns", 1e6, "ms"), ("_bytes", 1e3, "kB"))
