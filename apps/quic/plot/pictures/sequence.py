"""Packet numbers and stream offsets over time."""

from __future__ import annotations

from dataclasses import dataclass, field

from apps.pictures.canvas import Axes, Figure, label, legend, panels
from apps.quic.plot.pictures.view import ACKED, LEAST_PART, LOST, SENT, View, stream_colours
from apps.quic.plot.trace import Numbers, StreamFrames


@dataclass(slots=True)
class Offsets:
    """Of one stream: where frames ended. first: that brought something new; again: that did not."""

    first: Numbers = field(default_factory=Numbers)
    again: Numbers = field(default_factory=Numbers)


def sequence_figure(view: View) -> Figure:
    """When each packet was sent, acknowledged and found lost, and how far each stream has come."""
    offsets = stream_offsets(view.data.streams)
    heights = (3.8, 3.0) if offsets else (4.6,)
    figure, axes = panels(heights, title=view.title("sequence"))
    _draw_numbers(axes[0], view)
    if offsets:
        _draw_offsets(axes[1], view, offsets)
    view.finish(axes)
    return figure


def stream_offsets(frames: StreamFrames) -> dict[int, Offsets]:
    """Of each stream with much data, the most first: when its data reached how far, and when data came again."""
    sizes = frames.sizes()
    least = max(1, max(sizes.values(), default=0) // LEAST_PART)
    wanted = sorted((each for each in sizes if sizes[each] >= least), key=lambda each: -sizes[each])[:STREAMS_MAX]
    found = {stream: Offsets() for stream in wanted}
    highest = dict.fromkeys(wanted, 0)
    for x, stream, offset, length in zip(frames.x, frames.stream, frames.offset, frames.length, strict=True):
        row = found.get(stream)
        if row is None:
            continue
        end = offset + length
        (row.again if end <= highest[stream] and length > 0 else row.first).add(x, end)
        highest[stream] = max(highest[stream], end)
    return found


def _draw_numbers(axes: Axes, view: View) -> None:
    way = view.data
    if view.is_sender:
        label(axes, "number of 0-RTT and 1-RTT packets: sent, acknowledged by the peer, found lost")
    else:
        label(axes, "number of 0-RTT and 1-RTT packets: received, and acknowledged by this end")
    first = "sent" if view.is_sender else "received"
    axes.plot(*view.dots(way.numbers.x, way.numbers.y), ".", color=SENT, markersize=2.2, label=first)
    axes.plot(*view.dots(way.acked.x, way.acked.y), ".", color=ACKED, markersize=1.8, label="acknowledged")
    lost = view.dots(way.lost.x, way.lost.y)
    if lost[0]:
        axes.plot(*lost, "x", color=LOST, markersize=4.5, markeredgewidth=1.1, label="lost")
    legend(axes, columns=3, scale=2)


def _draw_offsets(axes: Axes, view: View, offsets: dict[int, Offsets]) -> None:
    again = "sent again" if view.is_sender else "late"
    label(axes, f"offset in streams, MB (crosses: {again})")
    has_crosses = False
    shades = stream_colours(view.data.streams)
    for stream, row in offsets.items():
        shade = shades[stream]
        shown_x, shown_y = view.dots(row.first.x, row.first.y)
        axes.plot(shown_x, [each / 1e6 for each in shown_y], ".", color=shade, markersize=2.2, label=f"stream {stream}")
        crosses_x, crosses_y = view.dots(row.again.x, row.again.y)
        if crosses_x:
            has_crosses = True
            axes.plot(
                crosses_x, [each / 1e6 for each in crosses_y], "x", color=shade, markersize=4, markeredgewidth=0.9
            )
    if len(offsets) > 1 or has_crosses:
        legend(axes, columns=4, scale=2.5)
    axes.set_ylim(bottom=0)


STREAMS_MAX = 8
