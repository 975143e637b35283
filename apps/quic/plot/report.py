"""A trace as pictures, and as one HTML page with all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from apps.pictures.canvas import Figure, to_svg
from apps.pictures.html import figure, heading, page, table, tiles
from apps.quic.plot.pictures.congestion import congestion_figure
from apps.quic.plot.pictures.multiplexing import multiplexing_figure
from apps.quic.plot.pictures.rtt import rtt_figure
from apps.quic.plot.pictures.sequence import sequence_figure
from apps.quic.plot.pictures.view import View
from apps.quic.plot.summary import shown, stream_rows, summary

Maker = Callable[[View], Figure | None]


def trace_page(view: View, notes: Sequence[str], makers: Mapping[str, Maker]) -> str:
    """One HTML file. notes: what a person should know of the file that was read."""
    trace = view.trace
    about = f"{trace.vantage or 'unknown end'}, connection {trace.group or 'without a name'}"
    parts = [heading(f"{view.name}: QUIC", ". ".join([about, *notes]))]
    parts.append(tiles(shown(summary(view))))
    for make in makers.values():
        drawn = make(view)
        if drawn is not None:
            parts.append(figure(to_svg(drawn)))
    parts.append(table("Streams", stream_rows(view)))
    losses = [{"losses": word, "packets": f"{count:,}"} for word, count in trace.losses.items()]
    parts.append(table("Losses", losses))
    events = [{"event": name, "times": f"{count:,}"} for name, count in sorted(trace.events.items())]
    parts.append(table("Events", events))
    return page(f"{view.name}: QUIC", parts)


MAKERS: dict[str, Maker] = {
    "sequence": sequence_figure,
    "congestion": congestion_figure,
    "rtt": rtt_figure,
    "multiplexing": multiplexing_figure,
}
