"""Size against bandwidth and latency, as a picture; drawn by matplotlib, which the extra `plot` installs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

from apps.errors import CommandError
from apps.perf.report import Measurement


class Axes(Protocol):
    """What is used of matplotlib's class of that name."""

    def plot(self, x: Sequence[float], y: Sequence[float], style: str, /, *, label: str) -> object:
        """Draw a line."""

    def set_xscale(self, kind: str, /, *, base: int) -> object:
        """Choose the scale across."""

    def set_yscale(self, kind: str, /) -> object:
        """Choose the scale upwards."""

    def set_xlabel(self, text: str, /) -> object:
        """Say what is across."""

    def set_ylabel(self, text: str, /) -> object:
        """Say what is upwards."""

    def grid(self, visible: bool, /) -> object:
        """Draw lines behind."""

    def legend(self) -> object:
        """Name the lines."""


class Figure(Protocol):
    """What is used of matplotlib's class of that name."""

    def subplots(self, rows: int, columns: int, /, *, sharex: bool) -> Sequence[Axes]:
        """Make room for several drawings."""

    def suptitle(self, text: str, /) -> object:
        """Give it a title."""

    def savefig(self, target: Path | io.StringIO, /, *, format: str) -> object:  # noqa: A002 - as it is there
        """Write it."""


def new_figure(path: Path) -> Figure:
    """An empty figure for a file. CommandError when it is no .png or .html in a directory, or matplotlib is missing."""
    if path.suffix not in (".png", ".html") or not path.parent.is_dir():
        raise CommandError(f"{path} cannot be drawn", "name a .png or .html file in a directory that exists", status=2)
    try:
        module = import_module("matplotlib.figure")
    except ImportError as error:
        raise CommandError(
            "--plot needs matplotlib, which is missing", "pip install 'baremetal-emulator[plot]'", status=2
        ) from error
    figure: Figure = module.Figure(figsize=(8, 8), layout="constrained")
    return figure


def draw(figure: Figure, measurements: Sequence[Measurement], path: Path, title: str) -> None:
    """Draw bandwidth above and latency below, over the size, and write the file."""
    sizes = [each.block_bytes for each in measurements]
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(sizes, [each.megabytes_per_second for each in measurements], "o-", label="bandwidth")
    above.set_ylabel("MB/s")
    for percent in (50, 99):
        microseconds = [each.latency.percentile(percent) / 1e3 for each in measurements]
        below.plot(sizes, microseconds, "o-", label=f"latency, {percent} %")
    below.set_ylabel("us")
    below.set_xlabel("bytes of one operation")
    for axes in (above, below):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.grid(True)
        axes.legend()
    figure.suptitle(title)
    if path.suffix == ".png":
        figure.savefig(path, format="png")
        return
    drawing = io.StringIO()
    figure.savefig(drawing, format="svg")
    page = f'<!doctype html>\n<meta charset="utf-8">\n<title>{title}</title>\n'
    path.write_text(page + drawing.getvalue().partition("<!DOCTYPE")[2].partition(">")[2], encoding="utf-8")
