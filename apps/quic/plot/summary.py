"""What a trace says in numbers: for the terminal, the page and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from apps.pictures.numbers import show_number
from apps.quic.plot.pictures.view import View
from apps.quic.plot.trace import Direction

Value = int | float | str


def summary(view: View) -> dict[str, Value]:
    """The main figures, by names that end with their unit; of the whole trace."""
    trace = view.trace
    found: dict[str, Value] = {"vantage_point": trace.vantage or "unknown", **trace.facts}
    found["duration_ns"] = round(trace.end_s * 1e9)
    for word, way in (("sent", trace.sent), ("received", trace.received)):
        found[f"packets_{word}"] = way.packets
        if way.bytes:
            found[f"{word}_bytes"] = way.bytes
        found[f"stream_data_{word}_bytes"] = sum(way.streams.length)
    found["packets_lost"] = sum(trace.losses.values())
    rate = goodput_bps(trace.data)
    if rate:
        found["goodput_bps"] = rate
    for name, metric in trace.metrics.items():
        if name == "min_rtt":
            found["least_rtt_ns"] = round(min(metric.y) * 1e6)
        elif name == "latest_rtt":
            found["median_rtt_ns"] = round(sorted(metric.y)[len(metric.y) // 2] * 1e6)
        elif name == "congestion_window":
            found["largest_window_bytes"] = round(max(metric.y))
    return found


def goodput_bps(way: Direction) -> int:
    """Bits of stream data a second, without what came twice, from the first frame with data to the last."""
    frames = way.streams
    ends: dict[int, int] = {}
    first_s = last_s = -1.0
    for x, stream, offset, length in zip(frames.x, frames.stream, frames.offset, frames.length, strict=True):
        if length:
            first_s = x if first_s < 0 else first_s
            last_s = x
            ends[stream] = max(ends.get(stream, 0), offset + length)
    total = 0
    for end in ends.values():
        total += end
    return round(total * 8 / (last_s - first_s)) if last_s > first_s else 0


def shown(values: Mapping[str, Value]) -> Iterable[tuple[str, str]]:
    """The same with labels and units, as people read them."""
    for name, value in values.items():
        unit = next((unit for unit in ("bps", "ns", "bytes") if name.endswith(f"_{unit}")), "")
        label = name.removesuffix(f"_{unit}") if unit else name
        yield label.replace("_", " "), show_number(unit, value)


def stream_rows(view: View) -> list[dict[str, str]]:
    """A row a stream of the direction that is looked at, those with the most data first."""
    frames = view.data.streams
    rows: dict[int, list[float]] = {}
    for x, stream, offset, length in zip(frames.x, frames.stream, frames.offset, frames.length, strict=True):
        row = rows.setdefault(stream, [x, x, 0, 0, 0])
        row[1] = x
        row[2] += 1
        row[3] += length
        row[4] = max(row[4], offset + length)
    ordered = sorted(rows.items(), key=lambda item: -item[1][4])[:ROWS_MAX]
    return [
        {
            "stream": str(stream),
            "data": show_number("bytes", int(end)),
            "frames": f"{count:,}",
            "twice": show_number("bytes", int(max(0, carried - end))),
            "first": f"{first:.4f} s",
            "last": f"{last:.4f} s",
            "rate": show_number("bps", round(end * 8 / (last - first))) if last > first else "-",
        }
        for stream, (first, last, count, carried, end) in ordered
    ]


ROWS_MAX = 100
