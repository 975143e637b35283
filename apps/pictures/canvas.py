"""Figures, colours and files; everything of matplotlib that pictures use goes through here."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from apps.errors import CommandError

Figure = Any
"""matplotlib.figure.Figure, which is not there when the extra is not installed."""
Axes = Any
"""matplotlib.axes.Axes."""
Image = Any
"""matplotlib.image.AxesImage."""


def check_canvas(extra: str = "lab") -> None:
    """CommandError, which says what to install, when there is no matplotlib. extra: of ours, that brings it."""
    _matplotlib(extra)


def panels(heights: Sequence[float], *, title: str, share: bool = True) -> tuple[Figure, list[Axes]]:
    """A figure with panels one below the other, of so many inches each."""
    figure = new_figure(WIDTH, sum(heights) + 0.5)
    ratios = {"height_ratios": list(heights)}
    axes = figure.subplots(len(heights), 1, sharex=share, squeeze=False, gridspec_kw=ratios)[:, 0]
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    for each in axes:
        tidy(each)
    return figure, list(axes)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    matplotlib = _matplotlib()
    with matplotlib.rc_context(STYLE):
        return import_module("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")


def tidy(axes: Axes) -> None:
    """A quiet frame and grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#8a8f98")
    axes.tick_params(colors="#4a4f57", labelsize=8)
    axes.grid(True, color="#e6e8eb", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)


def label(axes: Axes, text: str) -> None:
    """What is upwards, told above the panel, where it can be read."""
    axes.set_title(text, loc="left", fontsize=9, color="#30343a", pad=4)


def legend(axes: Axes, *, columns: int = 0, scale: float = 1.0) -> None:
    """Names of what is drawn: in so many columns above the panel, or (0) inside it, at the lower right.

    scale: how much larger markers are than where they are drawn.
    """
    if columns:
        place = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": columns, "borderaxespad": 0.1}
    else:
        place = {"loc": "lower right"}
    axes.legend(frameon=False, fontsize=8.5, markerscale=scale, **place)


def legend_below(axes: Axes, *, columns: int) -> None:
    """The same below the panel, for many names."""
    axes.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(0.0, -0.42), ncols=columns)


def clip_peaks(axes: Axes, values: Sequence[float]) -> None:
    """Let a few values far above all others not press the rest to the ground: they leave the panel at its top."""
    ordered = sorted(values)
    usual = ordered[len(ordered) * 99 // 100]
    if usual > 0 and ordered[-1] > 2.5 * usual:
        axes.set_ylim(top=1.4 * usual)
        axes.text(0.995, 0.97, f"highest {ordered[-1]:,.4g}", transform=axes.transAxes, **CORNER)


def to_file(figure: Figure, suffix: str) -> bytes:
    """A figure as the file that an ending of PICTURES stands for."""
    file = io.BytesIO()
    with _matplotlib().rc_context(STYLE):
        figure.savefig(file, format=suffix[1:], dpi=110, metadata=dict.fromkeys(PICTURES[suffix]))
    return file.getvalue()


def to_svg(figure: Figure) -> str:
    """A figure as an SVG element, to stand inside a page."""
    file = io.StringIO()
    with _matplotlib().rc_context(STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue().partition("<!DOCTYPE")[2].partition(">")[2].strip()


def check_file(path: Path, suffixes: Collection[str]) -> None:
    """CommandError for a file that could not be written in the end, or has none of the endings."""
    if path.suffix not in suffixes:
        remedy = f"name a file that ends with {' or '.join(suffixes)}"
        raise CommandError(f"{path} is of no kind that is made here", remedy, status=2)
    if not path.parent.is_dir():
        raise CommandError(f"{path} cannot be written", f"there is no folder {path.parent}", status=2)
    if path.is_dir():
        raise CommandError(f"{path} is a folder", "name a file", status=2)


def _matplotlib(extra: str = "lab") -> Any:
    try:
        return import_module("matplotlib")
    except ImportError as error:
        raise CommandError(
            "pictures need matplotlib, which is missing", f"pip install 'baremetal-emulator[{extra}]'", status=2
        ) from error


PICTURES = {".png": ("Software",), ".svg": ("Date", "Creator"), ".pdf": ("CreationDate", "Creator", "Producer")}
"""Endings of pictures, with what a file would say of the day and the program that made it, and does not."""
CORNER = {"ha": "right", "va": "top", "fontsize": 7.5, "color": "#5f6b73"}
WIDTH = 10.0
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "baremetal",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial"],
    "font.size": 9,
    "path.simplify_threshold": 0.3,
}
