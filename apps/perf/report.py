"""What a run measured, and how it is shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from apps.perf.latency import LatencyHistogram
from apps.sizes import format_duration, format_size

PERCENTILES = (50, 90, 99, 99.9)
Json = dict[str, object]


@dataclass(slots=True)
class Measurement:
    """One workload's result.

    name: what ran. block_bytes: payload of one operation. operations, duration_ns: how many in how long.
    latency: of single operations, from posting to completion. errors, mismatches: operations that failed or whose data
    was wrong. cpu_ns: this process's processor time; peer_cpu_ns: the other's, None when unknown.
    peer_operations: those of `operations` that the peer did, in a run in both directions. more: what else the JSON has.
    qp_bytes, peer_qp_bytes: memory that each queue pair took here and there, None when it is not known.
    """

    name: str
    block_bytes: int
    operations: int = 0
    duration_ns: int = 0
    latency: LatencyHistogram = field(default_factory=LatencyHistogram)
    errors: int = 0
    mismatches: int = 0
    cpu_ns: int = 0
    peer_cpu_ns: int | None = None
    peer_operations: int | None = None
    qp_bytes: int | None = None
    peer_qp_bytes: int | None = None
    more: Mapping[str, object] = field(default_factory=dict)

    @property
    def operations_per_second(self) -> float:
        """IOPS, or messages a second."""
        return 1e9 * self.operations / max(1, self.duration_ns)

    @property
    def megabytes_per_second(self) -> float:
        """Payload in units of 10^6 bytes."""
        return self.operations_per_second * self.block_bytes / 1e6

    def as_json(self) -> Json:
        """Everything, under names that carry their unit."""
        latency = self.latency
        percentiles = {f"p{percent}": latency.percentile(percent) for percent in PERCENTILES}
        return {
            "name": self.name,
            "block_bytes": self.block_bytes,
            "operations": self.operations,
            "duration_ns": self.duration_ns,
            "iops": round(self.operations_per_second, 1),
            "mb_per_s": round(self.megabytes_per_second, 3),
            "latency_ns": {
                "min": latency.lowest_ns,
                "mean": round(latency.mean_ns),
                **percentiles,
                "max": latency.highest_ns,
            },
            "histogram_ns": [list(octave) for octave in latency.octaves()],
            "errors": self.errors,
            "mismatches": self.mismatches,
            "cpu_ns": self.cpu_ns,
            "peer_cpu_ns": self.peer_cpu_ns,
            "peer_operations": self.peer_operations,
            "qp_bytes": self.qp_bytes,
            "peer_qp_bytes": self.peer_qp_bytes,
            **self.more,
        }


def show(measurement: Measurement, console: Console, *, as_json: bool) -> None:
    """Print a measurement, as one JSON object or for people."""
    if as_json:
        console.print_json(json.dumps(measurement.as_json()))
        return
    console.print(
        f"[bold]{measurement.name}[/]: {measurement.operations_per_second:,.0f} operations/s, "
        f"{measurement.megabytes_per_second:,.1f} MB/s over {format_duration(measurement.duration_ns)}",
        markup=True,
    )
    latency = measurement.latency
    if latency.count:
        points = [("min", latency.lowest_ns), ("mean", latency.mean_ns)]
        points += [(f"{percent} %", latency.percentile(percent)) for percent in PERCENTILES]
        points += [("max", latency.highest_ns)]
        words = "  ".join(f"{name} {format_duration(value)}" for name, value in points)
        console.print(f"latency  {words}", soft_wrap=True)
        console.print(histogram_table(latency))
    for where, size in (("here", measurement.qp_bytes), ("at the peer", measurement.peer_qp_bytes)):
        if size is not None:
            console.print(f"memory   {format_size(size)} for a queue pair {where}")
    if measurement.errors or measurement.mismatches:
        words = f"{measurement.errors} operations failed, {measurement.mismatches} had wrong data"
        console.print(words, style="red")


def histogram_table(latency: LatencyHistogram) -> Table:
    """A bar for each power of two."""
    table = Table(box=None, show_header=False, pad_edge=False)
    octaves = latency.octaves()
    most = max(count for _, count in octaves)
    for end, count in octaves:
        bar = "█" * round(40 * count / most) or "▏"
        table.add_row(f"< {format_duration(end)}", bar, f"{100 * count / latency.count:.2f} %")
    return table
