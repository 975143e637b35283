"""What a run of a link came to."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from apps.sizes import format_duration
from transports.control import Json


def show(report: Mapping[str, Json], out: Console) -> None:
    """A row for each way, the lateness, and whether the run counts."""
    duration_ns = number(report, "duration_ns")
    table = Table("way", "in", "out", "rate out", "lost", "dropped", "marked", "in queue")
    for way in ("forward", "back"):
        counts = part(report, way)
        rate = 8e3 * number(counts, "left_bytes") / max(1, duration_ns)
        names = ("entered_packets", "left_packets")
        table.add_row(
            way,
            *(str(number(counts, name)) for name in names),
            f"{rate:.4g} Mbit/s",
            *(str(number(counts, name)) for name in ("lost_packets", "dropped_packets", "marked_packets")),
            f"{number(counts, 'queue_packets')} ({number(counts, 'queue_bytes')} bytes)",
        )
    out.print(table)
    out.print(lateness_line(part(report, "lateness")), soft_wrap=True)


def lateness_line(lateness: Mapping[str, Json]) -> str:
    """One line: how late, and the verdict."""
    figures = []
    for what, name in (("departures", "departure"), ("arrivals", "arrival")):
        found = part(lateness, name)
        times = ", ".join(f"{short} {format_duration(number(found, f'{short}_ns'))}" for short in ("p50", "p99", "max"))
        figures.append(f"{what} late by {times}")
    verdict = "valid" if lateness.get("valid") else f"NOT VALID: {lateness.get('reason')}"
    return f"{'; '.join(figures)}: {verdict}"


def between(report: Mapping[str, Json]) -> str:
    """The two ends of the link: `left/bm0 - right/bm0`."""
    ends = report.get("between")
    return " - ".join(map(str, ends)) if isinstance(ends, list) else "of another version"


def part(report: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    """The object of that name, empty where it is missing."""
    found = report.get(name)
    return found if isinstance(found, dict) else {}


def number(report: Mapping[str, Json], name: str) -> int:
    """The number of that name, 0 where it is missing."""
    found = report.get(name)
    return found if isinstance(found, int) else 0


INVALID = 3
"""Exit status of a run that was too late."""
