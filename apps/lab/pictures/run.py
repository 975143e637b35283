"""A run as a figure: one panel below the other over the same time, and the distributions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from apps.lab.pictures.lines import (
    Bands,
    Line,
    end_s,
    fairness_line,
    flow_lines,
    goodput_lines,
    queue_lines,
    state_bands,
)
from apps.pictures.canvas import (
    Axes,
    Figure,
    clip_peaks,
    label,
    legend,
    legend_below,
    new_figure,
    panels,
    tidy,
)
from apps.pictures.colours import colour, state_colour
from apps.pictures.points import distribution
from stacks.lab.results.record import Record

Panel = tuple[str, float, Callable[[Axes], object]]
"""What is upwards, how many inches, and what draws it."""


def over_time(record: Record, title: str, *, warmup_ns: int = 0) -> Figure | None:
    """Everything over time, the warm-up shaded; None for a run without samples."""
    if "series" not in record.tables or not len(record.tables["series"]["time_ns"]):
        return None
    chosen = _panels(record)
    figure, axes = panels([height for _, height, _ in chosen], title=title)
    for each, (text, _, draw) in zip(axes, chosen, strict=True):
        label(each, text)
        draw(each)
        if warmup_ns:
            each.axvspan(0, warmup_ns / 1e9, color="#eceff2", zorder=0, linewidth=0)
    axes[-1].set_xlabel("seconds; tables and metrics leave out what is shaded" if warmup_ns else "seconds", fontsize=9)
    axes[0].set_xlim(left=0, right=end_s(record))
    return figure


def distributions(record: Record, title: str) -> Figure | None:
    """Cumulative distributions: round-trip times of the samples, and completion times where flows end; None of none."""
    drawings = [each for each in (_rtt_distributions(record), _slowdowns(record)) if each[1]]
    if not drawings:
        return None
    figure = new_figure(10.0, 3.4)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    for axes, (text, lines, is_log) in zip(
        figure.subplots(1, len(drawings), squeeze=False)[0], drawings, strict=True
    ):
        tidy(axes)
        label(axes, text)
        for line in lines:
            axes.plot(line.x, line.y, color=colour(line.group), label=line.name, linewidth=1.4)
        axes.set_ylim(0, 1.01)
        if is_log:
            axes.set_xscale("log")
        legend(axes)
    return figure


def _panels(record: Record) -> list[Panel]:
    chosen: list[Panel] = [("goodput, Mbit/s", 2.0, _drawing(goodput_lines(record), has_legend=True))]
    for column, scale, text in SAMPLED:
        lines = flow_lines(record, column, scale)
        if lines and not all(value == lines[0].y[0] for line in lines for value in line.y):
            chosen.append((text, 1.45, _drawing(lines)))
    queues = [line for line in queue_lines(record) if any(line.y)]
    if queues:
        chosen.append(("queue, ms", 1.45, _drawing(queues, has_legend=len(queues) > 1, is_filled=len(queues) == 1)))
    fairness = fairness_line(record)
    if len(fairness.x) > 1:
        chosen.append(("Jain's fairness index", 0.9, lambda axes: _draw_fairness(axes, fairness)))
    bands = state_bands(record)
    if bands and len(bands) <= BANDS_MAX:
        chosen.append(("states of the controllers", 0.45 + 0.28 * len(bands), lambda axes: _draw_bands(axes, bands)))
    return chosen


def _drawing(lines: list[Line], *, has_legend: bool = False, is_filled: bool = False) -> Callable[[Axes], object]:
    def draw(axes: Axes) -> None:
        if len(lines) > LINES_MAX:
            _draw_groups(axes, lines, has_legend=has_legend)
            return
        for index, line in enumerate(lines):
            shade = colour(index)
            if is_filled:
                axes.fill_between(line.x, line.y, color="#8a96a3", alpha=0.55, linewidth=0)
            else:
                # Later lines are thinner: one that lies on another leaves its edges to be seen.
                width = max(0.8, 1.8 - 0.5 * index)
                axes.plot(line.x, line.y, color=shade, linewidth=width, label=line.name)
        if has_legend:
            legend(axes, columns=min(len(lines), 6))
        axes.set_ylim(bottom=0)
        clip_peaks(axes, [value for line in lines for value in line.y])

    return draw


def _draw_groups(axes: Axes, lines: Sequence[Line], *, has_legend: bool) -> None:
    """Of many flows, each group's lines faintly."""
    for line in lines:
        axes.plot(line.x, line.y, color=colour(line.group), linewidth=0.6, alpha=max(0.06, min(0.6, 12 / len(lines))))
    if has_legend:
        names = {line.group: line.name.rpartition("-")[0] or line.name for line in lines}
        for group, name in sorted(names.items()):
            axes.plot([], [], color=colour(group), label=name)
        legend(axes, columns=min(len(names), 6))
    axes.set_ylim(bottom=0)


def _draw_fairness(axes: Axes, line: Line) -> None:
    axes.plot(line.x, line.y, color="#30343a", linewidth=1.2)
    axes.set_ylim(0, 1.05)


def _draw_bands(axes: Axes, bands: Sequence[Bands]) -> None:
    words = list(dict.fromkeys(word for each in bands for _, _, word in each.spans))
    shades = {word: state_colour(word) for word in words}
    for row, each in enumerate(bands):
        for word in words:
            spans = [(start, end - start) for start, end, state in each.spans if state == word]
            axes.broken_barh(spans, (row - 0.36, 0.72), facecolors=shades[word], linewidth=0)
    for word in words:
        axes.broken_barh([], (0, 0), facecolors=shades[word], label=word)
    axes.set_yticks(range(len(bands)), [each.name for each in bands])
    axes.set_ylim(len(bands) - 0.5, -0.5)
    axes.grid(False)
    if len(words) > 5:
        legend_below(axes, columns=5)
    else:
        legend(axes, columns=len(words))


def _rtt_distributions(record: Record) -> tuple[str, list[Line], bool]:
    lines = flow_lines(record, "rtt_ns", 1e6) if "series" in record.tables else []
    groups = sorted({line.group for line in lines})
    found = []
    for group in groups:
        members = [line for line in lines if line.group == group]
        values = [value for line in members for value in line.y]
        name = members[0].name if len(members) == 1 else members[0].name.rpartition("-")[0]
        found.append(Line(name, *distribution(values), group))
    return "round-trip times of the samples, ms", found, False


def _slowdowns(record: Record) -> tuple[str, list[Line], bool]:
    flows = record.tables["flows"]
    groups = list(dict.fromkeys(str(group) for group in flows["group"]))
    found = []
    for index, group in enumerate(groups):
        values = [
            int(slow) / 1000
            for each, slow in zip(flows["group"], flows["slowdown_milli"], strict=True)
            if each == group and int(slow) >= 0
        ]
        if len(values) > 1:
            found.append(Line(group, *distribution(values), index))
    return "completion time over that of an idle path", found, True


SAMPLED = (
    ("window_bytes", 1e3, "congestion window, kB"),
    ("inflight_bytes", 1e3, "in flight, kB"),
    ("pacing_bps", 1e6, "pacing rate, Mbit/s"),
    ("rtt_ns", 1e6, "round-trip time, ms"),
)
LINES_MAX = 10
BANDS_MAX = 10
