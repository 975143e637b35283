"""What all pictures of a trace share: the time that is shown, moments, and which way the data goes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from apps.pictures.canvas import Axes
from apps.pictures.colours import colour
from apps.pictures.points import cloud, thin
from apps.quic.plot.trace import Direction, Metric, StreamFrames, Trace


@dataclass(frozen=True, slots=True)
class View:
    """A trace from `start_s` to `end_s`. name: of the file, for titles."""

    trace: Trace
    name: str
    start_s: float
    end_s: float

    @property
    def data(self) -> Direction:
        """The direction that is looked at."""
        return self.trace.data

    @property
    def is_sender(self) -> bool:
        """Whether the data goes out from the end that wrote the log."""
        return self.trace.data is self.trace.sent

    def title(self, what: str) -> str:
        """Of a figure."""
        who = f", {self.trace.vantage}" if self.trace.vantage else ""
        return f"{self.name}{who}: {what}"

    def part(self, x: Sequence[float]) -> slice:
        """Which of some times, in order, are shown."""
        return slice(bisect_left(x, self.start_s), bisect_right(x, self.end_s))

    def line(self, metric: Metric, scale: float) -> tuple[list[float], list[float]]:
        """A metric as steps: each value holds until the next, the last one as long as any metric was told."""
        part = self.part(metric.x)
        first = max(0, part.start - 1)
        x = [max(each, self.start_s) for each in metric.x[first : part.stop]]
        y = [each / scale for each in metric.y[first : part.stop]]
        if x:
            last_s = max(other.x[-1] for other in self.trace.metrics.values())
            x.append(max(x[-1], min(self.end_s, last_s)))
            y.append(y[-1])
        return thin(x, y)

    def dots(self, x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
        """Points, without those that lie on others."""
        part = self.part(x)
        shown_x, shown_y = x[part], y[part]
        if not len(shown_y):
            return [], []
        limits = (min(shown_y), max(shown_y))
        return cloud(shown_x, shown_y, x_range=(self.start_s, self.end_s), y_range=limits)

    def mark(self, axes: Axes, *, has_names: bool) -> None:
        """Moments, as lines from the bottom to the top, with their names on the first panel."""
        last_s = -1e9
        room_s = (self.end_s - self.start_s) / 60
        for time_s, word in self.trace.marks[:MARKS_MAX]:
            if not self.start_s <= time_s <= self.end_s:
                continue
            axes.axvline(time_s, color="#9aa3ad", linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)
            if has_names and time_s - last_s > room_s:
                axes.text(time_s, 0.98, f" {word}", transform=axes.get_xaxis_transform(), **NAME)
                last_s = time_s

    def finish(self, panels: Sequence[Axes]) -> None:
        """The time axis, and moments on all panels."""
        for index, axes in enumerate(panels):
            self.mark(axes, has_names=index == 0)
        panels[0].set_xlim(self.start_s, self.end_s or 1e-3)
        panels[-1].set_xlabel("seconds", fontsize=9)


def view_of(trace: Trace, name: str, *, start_s: float = 0.0, end_s: float | None = None) -> View:
    """All of a trace, or a part of it."""
    return View(trace, name, start_s, trace.end_s if end_s is None else min(end_s, trace.end_s))


def stream_colours(frames: StreamFrames) -> dict[int, str]:
    """The same colour for a stream in all pictures: those of the order in which they began, control streams last."""
    sizes = frames.sizes()
    least = max(sizes.values(), default=0) // LEAST_PART
    ordered = sorted(sizes, key=lambda stream: sizes[stream] < least)
    return {stream: colour(index) for index, stream in enumerate(ordered)}


LEAST_PART = 200
"""Streams with less than this part of the largest carry no data worth a colour of the first."""
MARKS_MAX = 60
NAME = {"ha": "left", "va": "top", "fontsize": 7, "color": "#5f6b73", "rotation": 90}
SENT, ACKED, LOST = "#0072b2", "#009e73", "#d55e00"
"""What happened to packets, in every picture."""
