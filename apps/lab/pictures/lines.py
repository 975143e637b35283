"""What a run's tables say over time: points of lines, ready to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apps.pictures.points import thin
from stacks.lab.metrics.fairness import jain
from stacks.lab.results.record import Record, Table


@dataclass(frozen=True, slots=True)
class Line:
    """name: of a flow, group or link. x: seconds; y: in the panel's unit. group: number of the flow's group."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    group: int = 0


@dataclass(frozen=True, slots=True)
class Bands:
    """A flow's states: (from, to, state) in seconds."""

    name: str
    spans: Sequence[tuple[float, float, str]]


def flow_lines(record: Record, column: str, scale: float) -> list[Line]:
    """One line a flow of a column of the samples, divided by `scale`; what stands for nothing is left out."""
    names, groups = _names(record)
    points: dict[int, tuple[list[float], list[float]]] = {}
    series = record.tables["series"]
    for time_ns, flow, value in zip(*(_whole(series, key) for key in ("time_ns", "flow", column)), strict=True):
        if value >= 0:
            x, y = points.setdefault(flow, ([], []))
            x.append(time_ns / 1e9)
            y.append(value / scale)
    return [Line(names[flow], *thin(x, y), groups[flow]) for flow, (x, y) in sorted(points.items())]


def goodput_lines(record: Record) -> list[Line]:
    """Goodput of each flow in Mbit/s, in intervals that are wide enough to see something."""
    names, groups = _names(record)
    times, shares = share_matrix(record)
    width_s = times[0] if times else 1.0
    lines = []
    for flow in sorted(shares):
        rates = [each * 8e-6 / width_s for each in shares[flow]]
        pairs = [(x - width_s / 2, y) for x, y in zip(times, rates, strict=True) if y >= 0]
        lines.append(Line(names[flow], [x for x, _ in pairs], [y for _, y in pairs], groups[flow]))
    return lines


def fairness_line(record: Record) -> Line:
    """Jain's index over the flows that run, in the same intervals."""
    times, shares = share_matrix(record)
    x, y = [], []
    for index, time_s in enumerate(times):
        present = [int(shares[flow][index]) for flow in sorted(shares) if shares[flow][index] >= 0]
        if len(present) > 1 and any(present):
            x.append(time_s)
            y.append(jain(present))
    return Line("Jain's index", x, y)


def share_matrix(record: Record) -> tuple[list[float], dict[int, list[float]]]:
    """Ends of intervals in seconds, and new bytes of each flow in each; -1 where it did not run all the time."""
    series = record.tables["series"]
    times = sorted(set(_whole(record.tables["queues"], "time_ns")) or {0, *_whole(series, "time_ns")})
    end_ns, step_ns = times[-1], times[1] - times[0] if len(times) > 1 else 1
    # A whole number of samples, or intervals would have one sample more or less in turn.
    width_ns = step_ns * max(1, -(-end_ns // (INTERVALS * step_ns)))
    count = end_ns // width_ns
    shares: dict[int, list[float]] = {}
    last: dict[int, tuple[int, int]] = {}
    for time_ns, flow, value in zip(
        *(_whole(series, key) for key in ("time_ns", "flow", "goodput_bytes")), strict=True
    ):
        row = shares.setdefault(flow, [-1.0] * count)
        before = last.get(flow)
        if before is None:
            last[flow] = (time_ns, value)
            continue
        index, before_index = time_ns // width_ns, before[0] // width_ns
        if index > before_index:
            # What came between two samples in different intervals belongs to those that have ended.
            for each in range(before_index, min(index, count)):
                row[each] = (value - before[1]) / (index - before_index)
            last[flow] = (time_ns, value)
    return [(index + 1) * width_ns / 1e9 for index in range(count)], shares


def queue_lines(record: Record) -> list[Line]:
    """Each link's backlog as the milliseconds that it takes to send."""
    links, queues = record.tables["links"], record.tables["queues"]
    rates = _whole(links, "rate_bps")
    points: dict[int, tuple[list[float], list[float]]] = {}
    for time_ns, link, backlog in zip(
        *(_whole(queues, key) for key in ("time_ns", "link", "backlog_bytes")), strict=True
    ):
        x, y = points.setdefault(link, ([], []))
        x.append(time_ns / 1e9)
        y.append(backlog * 8e3 / rates[link])
    return [Line(str(links["name"][link]), *thin(x, y), link) for link, (x, y) in sorted(points.items())]


def state_bands(record: Record) -> list[Bands]:
    """The states of each flow's controller."""
    names, _ = _names(record)
    series = record.tables["series"]
    found: dict[int, list[tuple[float, float, str]]] = {}
    for time_ns, flow, state in zip(*(_whole(series, key) for key in ("time_ns", "flow", "state")), strict=True):
        spans, time_s, word = found.setdefault(flow, []), time_ns / 1e9, record.states[state]
        if spans:
            spans[-1] = (spans[-1][0], time_s, spans[-1][2])
        if not spans or spans[-1][2] != word:
            spans.append((time_s, time_s, word))
    return [Bands(names[flow], spans) for flow, spans in sorted(found.items()) if any(word for _, _, word in spans)]


def end_s(record: Record) -> float:
    """The time of the last sample, in seconds."""
    return max(_whole(record.tables["series"], "time_ns")) / 1e9


def _names(record: Record) -> tuple[list[str], list[int]]:
    flows = record.tables["flows"]
    groups = list(dict.fromkeys(flows["group"]))
    return [str(name) for name in flows["name"]], [groups.index(group) for group in flows["group"]]


def _whole(table: Table, key: str) -> Sequence[int]:
    return table[key]  # type: ignore[return-value]


INTERVALS = 150
