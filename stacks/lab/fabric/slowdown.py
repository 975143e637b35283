"""Slowdown by flow size: flows sorted by size in bins of equal counts, and percentiles of each (HPCC, figure 11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stacks.lab.fabric.run import FlowRecord
from stacks.runtime import LocalError


@dataclass(frozen=True, slots=True)
class SlowdownBin:
    """Flows between two sizes. largest_bytes: of them. flows: how many. The slowdowns are in thousandths."""

    largest_bytes: int
    flows: int
    p50_1000: int
    p95_1000: int
    p99_1000: int


def slowdown_bins(records: Sequence[FlowRecord], bins: int = 20) -> list[SlowdownBin]:
    """By size; flows of one size in the order of their arrival. LocalError for fewer flows than bins."""
    if bins < 1 or len(records) < bins:
        raise LocalError(f"{len(records)} flows are too few for {bins} bins")
    ordered = sorted(records, key=_by_size)
    made = []
    for index in range(bins):
        part = ordered[index * len(ordered) // bins : (index + 1) * len(ordered) // bins]
        values = sorted([record.slowdown_1000 for record in part])
        made.append(
            SlowdownBin(
                part[-1].arrival.size_bytes, len(part), percentile(values, 50), percentile(values, 95),
                percentile(values, 99),
            )
        )  # fmt: skip
    return made


def percentile(ordered: Sequence[int], percent: int) -> int:
    """Of values in order: the one that so many percent of them lie before, as the HPCC authors take it."""
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def _by_size(record: FlowRecord) -> tuple[int, int, int]:
    arrival = record.arrival
    return arrival.size_bytes, arrival.start_ns, arrival.source
