"""Round-trip times over time and as a distribution, and how long acknowledgements waited at the peer."""

from __future__ import annotations

from apps.pictures.canvas import Axes, Figure, label, legend, panels
from apps.pictures.points import distribution
from apps.quic.plot.pictures.congestion import draw_rtt
from apps.quic.plot.pictures.view import View


def rtt_figure(view: View) -> Figure | None:
    """None where the log has no round-trip times."""
    latest = view.trace.metrics.get("latest_rtt")
    if latest is None or not len(latest.x):
        return None
    figure, axes = panels((3.0, 1.8, 2.4), title=view.title("round-trip times"), share=False)
    draw_rtt(axes[0], view)
    _draw_delays(axes[1], view)
    _draw_distribution(axes[2], view)
    for each in axes[:2]:
        each.set_xlim(view.start_s, view.end_s or 1e-3)
        view.mark(each, has_names=each is axes[0])
    axes[1].set_xlabel("seconds", fontsize=9)
    return figure


def _draw_delays(axes: Axes, view: View) -> None:
    label(axes, "how long the peer says that it kept acknowledgements back, ms")
    delays = view.trace.received.ack_delays
    axes.plot(*view.dots(delays.x, delays.y), ".", color="#cc79a7", markersize=2.4)
    axes.set_ylim(bottom=0)


def _draw_distribution(axes: Axes, view: View) -> None:
    latest = view.trace.metrics["latest_rtt"]
    label(axes, "part of the samples that is not above")
    values = latest.y[view.part(latest.x)] or latest.y
    axes.plot(*distribution(values), color="#0072b2", linewidth=1.5, label="latest")
    least = view.trace.metrics.get("min_rtt")
    if least is not None and len(least.y):
        axes.axvline(least.y[-1], color="#30343a", linewidth=1.0, label="least")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("ms", fontsize=9)
    legend(axes)
