"""Window, flight, threshold, rates and states of the congestion controller over time."""

from __future__ import annotations

from array import array

from apps.pictures.canvas import Axes, Figure, clip_peaks, label, legend, panels
from apps.pictures.colours import state_colour
from apps.quic.plot.pictures.view import LOST, View
from apps.quic.plot.trace import Direction


def congestion_figure(view: View) -> Figure | None:
    """None where the log has neither recovery metrics nor states."""
    metrics = view.trace.metrics
    if not metrics and not view.trace.states:
        return None
    has_states = bool(view.trace.states)
    figure, axes = panels((3.2, 2.2, 1.8, *((0.6,) if has_states else ())), title=view.title("congestion"))
    _draw_window(axes[0], view)
    _draw_rates(axes[1], view)
    draw_rtt(axes[2], view)
    if has_states:
        _draw_states(axes[3], view)
    view.finish(axes)
    return figure


def draw_rtt(axes: Axes, view: View) -> None:
    """The latest, the smoothed and the least round-trip time."""
    label(axes, "round-trip time, ms")
    drawn: list[float] = []
    for name, shade, width, text in RTTS:
        metric = view.trace.metrics.get(name)
        if metric is not None:
            x, y = view.line(metric, 1.0)
            axes.plot(x, y, color=shade, linewidth=width, drawstyle="steps-post", label=text)
            drawn += y
    if drawn:
        legend(axes, columns=len(RTTS))
        axes.set_ylim(bottom=0)
        clip_peaks(axes, drawn)


def data_rate(way: Direction, view: View) -> tuple[list[float], list[float]]:
    """Stream data in Mbit/s, in intervals; what went again counts again."""
    width_s = (view.end_s - view.start_s) / INTERVALS
    if width_s <= 0:
        return [], []
    sums = [0] * INTERVALS
    frames = way.streams
    part = view.part(frames.x)
    for x, length in zip(frames.x[part], frames.length[part], strict=True):
        sums[min(int((x - view.start_s) / width_s), INTERVALS - 1)] += length
    middles = [view.start_s + (index + 0.5) * width_s for index in range(INTERVALS)]
    return middles, [each * 8e-6 / width_s for each in sums]


def _draw_window(axes: Axes, view: View) -> None:
    label(axes, "congestion window and bytes in flight, kB")
    metrics = view.trace.metrics
    drawn: list[float] = []
    if "bytes_in_flight" in metrics:
        x, y = view.line(metrics["bytes_in_flight"], 1e3)
        axes.fill_between(x, y, step="post", color="#8fc1e3", linewidth=0, alpha=0.75, label="in flight")
        drawn += y
    if "congestion_window" in metrics:
        x, y = view.line(metrics["congestion_window"], 1e3)
        axes.plot(x, y, color="#0072b2", linewidth=1.5, drawstyle="steps-post", label="window")
        drawn += y
    top = max(drawn, default=0.0)
    threshold = metrics.get("ssthresh")
    if threshold is not None:
        x, y = view.line(threshold, 1e3)
        # A threshold that was not met yet is far above all: it would press the rest to the ground.
        kept = [(each_x, each_y) for each_x, each_y in zip(x, y, strict=True) if each_y <= 2 * top]
        axes.plot(
            [each for each, _ in kept], [each for _, each in kept], "--", color="#7f4fc9", linewidth=1.1,
            drawstyle="steps-post", label="ssthresh",
        )  # fmt: skip
    lost = view.trace.sent.lost
    part = view.part(lost.x)
    times = array("d", sorted(set(lost.x[part])))
    if times:
        shown, _ = view.dots(times, array("d", [0.0]) * len(times))
        axes.plot(shown, [0.0] * len(shown), "|", color=LOST, markersize=9, label="loss", clip_on=False, zorder=4)
    axes.set_ylim(bottom=0)
    if drawn or times:
        legend(axes, columns=4)


def _draw_rates(axes: Axes, view: View) -> None:
    words = "sent" if view.is_sender else "received"
    pacing = view.trace.metrics.get("pacing_rate")
    label(axes, f"stream data {words}{'' if pacing is None else ', and pacing rate'}, Mbit/s")
    x, y = data_rate(view.data, view)
    axes.plot(x, y, color="#009e73", linewidth=1.4, label=f"data {words}")
    rates = list(y)
    if pacing is not None:
        x, y = view.line(pacing, 1e6)
        axes.plot(x, y, color="#e69f00", linewidth=1.1, drawstyle="steps-post", label="pacing rate")
        rates += y
    axes.set_ylim(bottom=0)
    if rates:
        clip_peaks(axes, rates)
        legend(axes, columns=2)


def _draw_states(axes: Axes, view: View) -> None:
    label(axes, "state of the controller")
    states = view.trace.states
    words = list(dict.fromkeys(word for _, word in states))
    ends = [time_s for time_s, _ in states[1:]] + [view.end_s]
    for word in words:
        spans = [
            (max(start, view.start_s), min(end, view.end_s) - max(start, view.start_s))
            for (start, state), end in zip(states, ends, strict=True)
            if state == word and end >= view.start_s and start <= view.end_s
        ]
        axes.broken_barh(spans, (0, 1), facecolors=state_colour(word.replace("_", " ")), linewidth=0, label=word)
    axes.set_yticks([])
    axes.grid(False)
    legend(axes, columns=min(len(words), 6))


RTTS = (
    ("latest_rtt", "#9cc7e0", 0.9, "latest"),
    ("smoothed_rtt", "#0072b2", 1.5, "smoothed"),
    ("min_rtt", "#30343a", 1.0, "least"),
)
INTERVALS = 150
