"""Which stream's data went when."""

from __future__ import annotations

from apps.pictures.canvas import Axes, Figure, label, legend, panels
from apps.quic.plot.pictures.view import LEAST_PART, View, stream_colours


def multiplexing_figure(view: View) -> Figure | None:
    """Streams as rows with what went in them, and their shares of the rate; None where no stream had data."""
    spans = stream_spans(view)
    if not spans:
        return None
    rows = min(len(spans), ROWS_MAX)
    figure, axes = panels((0.7 + 0.24 * rows, 2.4, 0.7), title=view.title("multiplexing"), share=False)
    _draw_rows(axes[0], view, spans)
    _draw_shares(axes[1], view, list(spans))
    _draw_order(axes[2], view)
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
    shades = stream_colours(view.data.streams)
    for row, stream in enumerate(shown):
        bars = [(start, max(end - start, least_s)) for start, end in spans[stream]]
        axes.broken_barh(bars, (row - 0.36, 0.72), facecolors=shades[stream], linewidth=0)
    axes.set_yticks(range(len(shown)), [str(stream) for stream in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)


def _draw_shares(axes: Axes, view: View, streams: list[int]) -> None:
    word = "sent" if view.is_sender else "received"
    label(axes, f"data {word}, Mbit/s, one stream's on the other's")
    colours = stream_colours(view.data.streams)
    named = [stream for stream in colours if stream in streams][:SHARES_MAX]
    middles, rows = stream_shares(view, named)
    names = [f"stream {stream}" for stream in named]
    shades = [colours[stream] for stream in named]
    if any(rows[-1]):
        names.append("others")
        shades.append("#d5d9dd")
    axes.stackplot(middles, rows[: len(names)], labels=names, colors=shades, linewidth=0)
    axes.set_ylim(bottom=0)
    legend(axes, columns=5)


def _draw_order(axes: Axes, view: View) -> None:
    """One block a frame, since shares do not tell taking turns from going one after the other in a hurry."""
    frames = view.data.streams
    start = first_change(view)
    shown = frames.stream[start : start + ORDER_MAX]
    shades = stream_colours(frames)
    label(axes, f"{len(shown)} frames from {frames.x[start]:.4g} s on in the order in which they went, one block each")
    for stream in dict.fromkeys(shown):
        blocks = [(index, 1) for index, each in enumerate(shown) if each == stream]
        axes.broken_barh(blocks, (0, 1), facecolors=shades[stream], linewidth=0)
    axes.set_yticks([])
    axes.set_xlim(0, len(shown))
    axes.grid(False)


def first_change(view: View) -> int:
    """The frame a little before the first of another stream that has much data; the first that is shown without one."""
    frames = view.data.streams
    sizes = frames.sizes()
    least = max(sizes.values()) // LEAST_PART
    part = view.part(frames.x)
    first, end = int(part.start), int(part.stop)
    former = -1
    for index in range(first, end):
        stream = frames.stream[index]
        if sizes[stream] < least:
            continue
        if former not in (-1, stream):
            return max(first, min(index - ORDER_BEFORE, end - ORDER_MAX))
        former = stream
    return first


ORDER_BEFORE = 30
ORDER_MAX = 300
ROWS_MAX = 40
SHARES_MAX = 8
INTERVALS = 150
PIXELS = 900
