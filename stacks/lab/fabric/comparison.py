"""Schemes side by side on the same flows: slowdowns of each size bin as ratios to one of them, over seeds.

    Comparison(config, schemes, ...) -> run() -> bins of each scheme and seed -> ratios(), table()

Every scheme of a seed meets exactly the same flows. A ratio is taken within a seed; over seeds the median, the least
and the greatest are told.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stacks.lab.fabric.config import FabricConfig
from stacks.lab.fabric.run import FabricResult, FabricRun, FlowRecord
from stacks.lab.fabric.schemes import scheme
from stacks.lab.fabric.slowdown import SlowdownBin, slowdown_bins
from stacks.lab.workloads import FlowArrival, SizeDistribution, incast_arrivals, poisson_arrivals
from stacks.runtime import LocalError


@dataclass(frozen=True, slots=True, kw_only=True)
class Incast:
    """Beside the flows of a workload: each of `fan_in` hosts sends `size_bytes` to one host, which is not counted.

    load_1000: of all hosts' links together, in thousandths.
    """

    fan_in: int
    size_bytes: int
    load_1000: int


@dataclass(frozen=True, slots=True)
class Ratio:
    """Of a percentile in a bin to that of the reference, in thousandths, over seeds."""

    median_1000: int
    least_1000: int
    greatest_1000: int


@dataclass(slots=True)
class Comparison:
    """schemes: names; the first is the reference. flows: of the workload, in each run. bins: of equal counts.

    results: by scheme and seed, once `run` has been called; bins_of: the bins of each.
    """

    config: FabricConfig
    schemes: Sequence[str]
    sizes: SizeDistribution
    load_1000: int
    flows: int
    seeds: Sequence[int]
    bins: int = 20
    incast: Incast | None = None
    results: dict[tuple[str, int], FabricResult] = field(default_factory=dict)
    bins_of: dict[tuple[str, int], list[SlowdownBin]] = field(default_factory=dict)

    def run(self, on_result: Callable[[str, int, FabricResult], object] | None = None) -> None:
        """Every scheme with every seed; `on_result` is told of each. LocalError when flows do not complete."""
        for seed in self.seeds:
            arrivals, is_counted = self._arrivals(seed)
            for name in self.schemes:
                run = FabricRun(self.config, scheme(name, self.config), arrivals, seed=seed, sample_ns=SAMPLE_NS)
                result = run.run(END_NS)
                if len(result.records) < len(arrivals):
                    raise LocalError(f"{name} completed {len(result.records)} of {len(arrivals)} flows in 10 s")
                counted = [record for record in result.records if is_counted(record)]
                self.results[name, seed] = result
                self.bins_of[name, seed] = slowdown_bins(counted, self.bins)
                result.records.clear()
                if on_result is not None:
                    on_result(name, seed, result)

    def ratio(self, name: str, index: int, percentile: str) -> Ratio:
        """Of one bin. percentile: "p50_1000", "p95_1000" or "p99_1000"."""
        reference = self.schemes[0]
        ratios = []
        for seed in self.seeds:
            mine = getattr(self.bins_of[name, seed][index], percentile)
            ratios.append(mine * 1000 // getattr(self.bins_of[reference, seed][index], percentile))
        ratios.sort()
        return Ratio(ratios[len(ratios) // 2], ratios[0], ratios[-1])

    def value_1000(self, name: str, index: int, percentile: str) -> int:
        """The median over seeds of a bin's percentile."""
        values = sorted([getattr(self.bins_of[name, seed][index], percentile) for seed in self.seeds])
        return int(values[len(values) // 2])

    def largest_bytes(self, index: int) -> int:
        """The largest flow of a bin, before sizes were scaled, with the first seed."""
        return self.bins_of[self.schemes[0], self.seeds[0]][index].largest_bytes * self.sizes.divisor

    def table(self, percentile: str) -> str:
        """Markdown: the reference's slowdown in each bin, and the others' ratios to it, median (least to greatest)."""
        reference, others = self.schemes[0], self.schemes[1:]
        lines = [f"| flows up to | {reference} | {' | '.join(f'{name} / {reference}' for name in others)} |"]
        lines.append("|---" * (len(others) + 2) + "|")
        for index in range(self.bins):
            cells = [_size(self.largest_bytes(index)), _thousandths(self.value_1000(reference, index, percentile))]
            for name in others:
                ratio = self.ratio(name, index, percentile)
                spread = f"{_thousandths(ratio.least_1000)} to {_thousandths(ratio.greatest_1000)}"
                cells.append(f"{_thousandths(ratio.median_1000)} ({spread})")
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines)

    def _arrivals(self, seed: int) -> tuple[list[FlowArrival], Callable[[FlowRecord], bool]]:
        config, rng = self.config, random.Random(seed)
        arrivals = poisson_arrivals(
            self.sizes, hosts=config.hosts, host_rate_bps=config.host_rate_bps, load_1000=self.load_1000,
            flows=self.flows, rng=rng,
        )  # fmt: skip
        incast = self.incast
        if incast is None:
            return arrivals, _always
        bits = incast.fan_in * incast.size_bytes * 8 * 1_000_000_000 * 1000
        period_ns = bits // (config.hosts * config.host_rate_bps * incast.load_1000)
        bursts = incast_arrivals(
            hosts=config.hosts, fan_in=incast.fan_in, size_bytes=incast.size_bytes, period_ns=period_ns,
            end_ns=arrivals[-1].start_ns, rng=rng,
        )  # fmt: skip
        # By identity: a flow of the workload may have the size of the incast's.
        uncounted = {id(arrival) for arrival in bursts}
        return sorted([*arrivals, *bursts], key=_start), lambda record: id(record.arrival) not in uncounted


def _start(arrival: FlowArrival) -> int:
    return arrival.start_ns


def _always(_: FlowRecord) -> bool:
    return True


def _size(size_bytes: int) -> str:
    if size_bytes >= 1_000_000:
        return f"{size_bytes // 100_000 / 10:g} MB"
    return f"{size_bytes // 100 / 10:g} kB" if size_bytes >= 1000 else f"{size_bytes} B"


def _thousandths(value: int) -> str:
    return f"{value / 1000:.2f}"


SAMPLE_NS = 50_000
END_NS = 10_000_000_000
