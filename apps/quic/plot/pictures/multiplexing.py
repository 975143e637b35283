"""Which stream's data went when."""

from __future__ import annotations

from apps.pictures.canvas import Axes, Figure, label, legend, panels
from apps.pictures.colours import colour
from apps.quic.plot.pictures.view import View


def multiplexing_figure(view: View) -> Figure | None:
    """Streams as rows with what went in them, and their shares of the rate; None where no stream had data."""
    spans = stream_spans(view)
    if not spans:
        return None
    rows = min(len(spans), ROWS_MAX)
    figure, axes = panels((0.7 + 0.24 * rows, 2.4, 0.7), title=view.title("multiplexing"), share=False)
    _draw_rows(axes[0], view, spans)
    _draw_shares(axes[1], view, list(spans))
    _draw_order(axes[2], view, list(spans))
    for each in axes[:2]:
        view.finish([each])
    return figure


def stream_spans(view: View) -> dict[int, list[tuple[float, float]]]:
    """Of each stream, in the order of their first data: from when to when frames of it went.

    Pauses that are too short for a picture end no span.
    """
    frames = view.data.streams
    part = view.part(frames.x)
    gap_s = (view.end_s - view.start_s) / PIXELS
    found: dict[int, list[tuple[float, float]]] = {}
    for x, stream in zip(frames.x[part], frames.stream[part], strict=True):
        spans = found.setdefault(stream, [])
        if spans and x - spans[-1][1] <= gap_s:
            spans[-1] = (spans[-1][0], x)
        else:
            spans.append((x, x))
    return found


def stream_shares(view: View, streams: list[int]) -> tuple[list[float], list[list[float]]]:
    """Middles of intervals in seconds, and for each of `streams` and then all others its Mbit/s in each."""
    width_s = (view.end_s - view.start_s) / INTERVALS
    rows = {stream: [0] * INTERVALS for stream in streams}
    others = [0] * INTERVALS
    frames = view.data.streams
    part = view.part(frames.x)
    for x, stream, length in zip(frames.x[part], frames.stream[part], frames.length[part], strict=True):
        index = min(int((x - view.start_s) / width_s), INTERVALS - 1) if width_s > 0 else 0
        rows.get(stream, others)[index] += length
    middles = [view.start_s + (index + 0.5) * width_s for index in range(INTERVALS)]
    scale = 8e-6 / (width_s or 1.0)
    return middles, [[each * scale for each in row] for row in (*rows.values(), others)]


def _draw_rows(axes: Axes, view: View, spans: dict[int, list[tuple[float, float]]]) -> None:
    shown = list(spans)[:ROWS_MAX]
    more = f", the first {ROWS_MAX} of {len(spans)}" if len(spans) > ROWS_MAX else ""
    label(axes, f"streams in the order of their first data{more}")
    least_s = (view.end_s - view.start_s) / PIXELS
    for row, stream in enumerate(shown):
        bars = [(start, max(end - start, least_s)) for start, end in spans[stream]]
        axes.broken_barh(bars, (row - 0.36, 0.72), facecolors=colour(row), linewidth=0)
    axes.set_yticks(range(len(shown)), [str(stream) for stream in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)


def _draw_shares(axes: Axes, view: View, streams: list[int]) -> None:
    word = "sent" if view.is_sender else "received"
    label(axes, f"data {word}, Mbit/s, one stream's on the other's")
    named = streams[:SHARES_MAX]
    middles, rows = stream_shares(view, named)
    names = [f"stream {stream}" for stream in named]
    shades = [colour(index) for index in range(len(named))]
    if any(rows[-1]):
        names.append("others")
        shades.append("#d5d9dd")
    axes.stackplot(middles, rows[: len(names)], labels=names, colors=shades, linewidth=0)
    axes.set_ylim(bottom=0)
    legend(axes, columns=5)


def _draw_order(axes: Axes, view: View, streams: list[int]) -> None:
    """One block a frame, since shares do not tell taking turns from going one after the other in a hurry."""
    frames = view.data.streams
    start = view.part(frames.x).start
    shown = frames.stream[start : start + ORDER_MAX]
    label(axes, f"the first {len(shown)} frames, one block each, in the order in which they went")
    for row, stream in enumerate(streams):
        blocks = [(index, 1) for index, each in enumerate(shown) if each == stream]
        if blocks:
            axes.broken_barh(blocks, (0, 1), facecolors=colour(row), linewidth=0)
    axes.set_yticks([])
    axes.set_xlim(0, max(len(shown), 1))
    axes.grid(False)


ORDER_MAX = 300
ROWS_MAX = 40
SHARES_MAX = 8
INTERVALS = 150
PIXELS = 900
