"""Packet numbers and stream offsets over time."""

from __future__ import annotations

from dataclasses import dataclass, field

from apps.pictures.canvas import Axes, Figure, label, legend, panels
from apps.pictures.colours import colour
from apps.quic.plot.pictures.view import ACKED, LOST, SENT, View
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
    """Of each stream, in the order of their bytes: when its data reached how far, and when data came again."""
    sizes: dict[int, int] = {}
    for stream, length in zip(frames.stream, frames.length, strict=True):
        sizes[stream] = sizes.get(stream, 0) + length
    wanted = sorted((stream for stream in sizes if sizes[stream]), key=lambda stream: -sizes[stream])[:STREAMS_MAX]
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
    legend(axes, columns=3, scale=3)


def _draw_offsets(axes: Axes, view: View, offsets: dict[int, Offsets]) -> None:
    again = "sent again" if view.is_sender else "late"
    label(axes, f"offset in streams, MB (crosses: {again})")
    has_crosses = False
    for index, (stream, row) in enumerate(offsets.items()):
        shade = colour(index)
        shown_x, shown_y = view.dots(row.first.x, row.first.y)
        axes.plot(shown_x, [each / 1e6 for each in shown_y], ".", color=shade, markersize=2.2, label=f"stream {stream}")
        crosses_x, crosses_y = view.dots(row.again.x, row.again.y)
        if crosses_x:
            has_crosses = True
            axes.plot(
                crosses_x, [each / 1e6 for each in crosses_y], "x", color=shade, markersize=4, markeredgewidth=0.9
            )
    if len(offsets) > 1 or has_crosses:
        legend(axes, columns=4, scale=3)
    axes.set_ylim(bottom=0)


STREAMS_MAX = 8
