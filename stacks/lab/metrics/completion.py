"""Completion times of flows that end, against what an idle path would take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stacks.lab.metrics.order import percentile


def ideal_ns(
    size_bytes: int, *, one_way_ns: int, rates_bps: Sequence[int], packet_bytes: int, header_bytes: int = 0
) -> int:
    """From the first bit sent to the last received of `size_bytes` on an idle path that stores and forwards.

    size_bytes: of payload, in packets of `packet_bytes` that have `header_bytes` of headers each. The whole, with them,
    crosses the narrowest link once, and its last packet each of the other links.
    """
    if not rates_bps:
        return one_way_ns
    payload_bytes = packet_bytes - header_bytes
    last_bytes = (size_bytes % payload_bytes or payload_bytes) + header_bytes
    size_bytes += -(-size_bytes // payload_bytes) * header_bytes
    whole_ns = -(-size_bytes * BIT_NS_PER_BYTE_S // min(rates_bps))
    others_ns = sum(-(-last_bytes * BIT_NS_PER_BYTE_S // rate) for rate in sorted(rates_bps)[1:])
    return one_way_ns + whole_ns + others_ns


def slowdown(completion_ns: int, ideal: int) -> float:
    """Completion time over the ideal one, at least 1 (Alizadeh et al., pFabric, SIGCOMM 2013, section 5)."""
    return max(1.0, completion_ns / ideal) if ideal > 0 else 1.0


@dataclass(frozen=True, slots=True)
class SizeBin:
    """Flows of like size. low, high: their smallest and largest size; slowdowns in thousandths."""

    low: int
    high: int
    flows: int
    p50: int
    p95: int
    p99: int


def size_bins(flows: Iterable[tuple[int, int]], bins: int) -> list[SizeBin]:
    """(size, slowdown in thousandths) pairs, ordered by size, in bins of (nearly) as many flows each.

    This is how HPCC's figures are made (Li et al., SIGCOMM 2019, figure 11; its analysis script).
    """
    ordered = sorted(flows)
    found = []
    for index in range(bins):
        each = ordered[len(ordered) * index // bins : len(ordered) * (index + 1) // bins]
        if each:
            slow = sorted(value for _, value in each)
            middle, high, highest = (percentile(slow, percent) for percent in (50, 95, 99))
            found.append(SizeBin(each[0][0], each[-1][0], len(each), middle, high, highest))
    return found


BIT_NS_PER_BYTE_S = 8_000_000_000
