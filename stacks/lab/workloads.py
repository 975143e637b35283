"""Published distributions of flow sizes, and Poisson arrivals of flows between hosts.

    workload("fb-hadoop") -> SizeDistribution -> poisson_arrivals(...) -> FlowArrival, FlowArrival, ...

The distributions are those with which data-centre transports are compared: WebSearch (DCTCP, SIGCOMM 2010), FB-Hadoop
(Roy et al., SIGCOMM 2015) and AliStorage, as tables of the HPCC authors' traffic generator; between two lines of a
table sizes are spread evenly. Randomness is a `random.Random` of which only `.random()` is drawn, so that every machine
draws the same flows.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace

from stacks.lab.running.exponential import exponential_ns
from stacks.runtime import LocalError


class SizeDistribution:
    """Sizes of flows, in bytes.

    points: (bytes, cumulative share in units of 1/10000), rising in both, from a share of 0 to one of 10000.
    divisor: all sizes are divided by it (and are one byte at least), for fabrics that are scaled down.

    LocalError for a table that is none.
    """

    def __init__(self, points: Sequence[tuple[int, int]], *, divisor: int = 1) -> None:
        sizes = [size for size, _ in points]
        shares = [share for _, share in points]
        is_table = len(points) > 1 and shares[0] == 0 and shares[-1] == SHARE_ONE and sizes[0] >= 0
        if not is_table or sizes != sorted(sizes) or shares != sorted(shares) or divisor < 1:
            raise LocalError("sizes are a table of bytes and shares that rise from 0 to 10000, the divisor at least 1")
        self.divisor = divisor
        self._sizes = sizes
        self._shares = shares

    @property
    def mean_bytes(self) -> int:
        """The mean, rounded down."""
        doubled = 0
        for index in range(1, len(self._sizes)):
            weight = self._shares[index] - self._shares[index - 1]
            doubled += weight * (self._sizes[index] + self._sizes[index - 1])
        return max(1, doubled // (2 * SHARE_ONE * self.divisor))

    def draw(self, rng: random.Random) -> int:
        """One size; one draw."""
        share = rng.random() * SHARE_ONE
        index = max(1, bisect_left(self._shares, share))
        low, high = self._sizes[index - 1], self._sizes[index]
        below, above = self._shares[index - 1], self._shares[index]
        size = low + (high - low) * (share - below) / (above - below)
        return max(1, int(size) // self.divisor)


@dataclass(frozen=True, slots=True)
class FlowArrival:
    """One flow. start_ns: when it begins. source, destination: hosts. size_bytes: of its data."""

    start_ns: int
    source: int
    destination: int
    size_bytes: int


def workload(name: str, *, divisor: int = 1) -> SizeDistribution:
    """The distribution called `name`; LocalError, naming those that exist, for any other."""
    points = WORKLOADS.get(name)
    if points is None:
        raise LocalError(f"no workload is called {name!r}: there are {', '.join(WORKLOADS)}")
    return SizeDistribution(points, divisor=divisor)


def mean_bytes(sizes: str | int) -> int:
    """The mean of a distribution by its name, or of one size itself."""
    return sizes if isinstance(sizes, int) else workload(sizes).mean_bytes


def poisson_arrivals(
    sizes: SizeDistribution, *, hosts: int, host_rate_bps: int, load_1000: int, flows: int, rng: random.Random
) -> list[FlowArrival]:
    """So many flows, in the order of their starts: each host begins them at random times, to another host at random.

    load_1000: of each host's link, in thousandths; it counts payload. LocalError for a load that is none, or fewer than
    two hosts.
    """
    if hosts < 2 or not 0 < load_1000 <= 1000 or flows < 0:
        raise LocalError("arrivals need two hosts at least, a load above 0 and at most 1000/1000, and a count of flows")
    mean_ns = sizes.mean_bytes * 8 * 1_000_000_000 * 1000 // (host_rate_bps * load_1000)
    upcoming = [(exponential_ns(rng, mean_ns), host) for host in range(hosts)]
    heapify(upcoming)
    arrivals: list[FlowArrival] = []
    while len(arrivals) < flows:
        start_ns, source = upcoming[0]
        destination = int(rng.random() * (hosts - 1))
        destination += destination >= source
        arrivals.append(FlowArrival(start_ns, source, destination, sizes.draw(rng)))
        heapreplace(upcoming, (start_ns + exponential_ns(rng, mean_ns), source))
    return arrivals


def incast_arrivals(
    *, hosts: int, fan_in: int, size_bytes: int, period_ns: int, end_ns: int, rng: random.Random
) -> list[FlowArrival]:
    """Again and again, one host at random is sent `size_bytes` by each of `fan_in` others at once.

    period_ns: mean time between two of them, exponential. end_ns: none begins later. LocalError where there are not so
    many hosts.
    """
    if not 0 < fan_in < hosts:
        raise LocalError(f"an incast of {fan_in} needs more hosts than {hosts}")
    arrivals: list[FlowArrival] = []
    start_ns = exponential_ns(rng, period_ns)
    while start_ns <= end_ns:
        target = int(rng.random() * hosts)
        others = [host for host in range(hosts) if host != target]
        for _ in range(fan_in):
            source = others.pop(int(rng.random() * len(others)))
            arrivals.append(FlowArrival(start_ns, source, target, size_bytes))
        start_ns += exponential_ns(rng, period_ns)
    return arrivals


SHARE_ONE = 10_000
WORKLOADS: Mapping[str, Sequence[tuple[int, int]]] = {
    "web-search": (
        (0, 0), (10_000, 1500), (20_000, 2000), (30_000, 3000), (50_000, 4000), (80_000, 5300), (200_000, 6000),
        (1_000_000, 7000), (2_000_000, 8000), (5_000_000, 9000), (10_000_000, 9700), (30_000_000, 10_000),
    ),
    "fb-hadoop": (
        (0, 0), (100, 100), (200, 200), (300, 500), (350, 1500), (400, 2000), (500, 3000), (600, 4000), (700, 5000),
        (1000, 6000), (2000, 6700), (7000, 7000), (30_000, 7200), (50_000, 8200), (80_000, 8700), (120_000, 9000),
        (300_000, 9500), (1_000_000, 9750), (2_000_000, 9900), (10_000_000, 10_000),
    ),
    "ali-storage": (
        (0, 0), (4000, 2293), (8000, 6921), (16_000, 8061), (32_000, 9047), (64_000, 9353), (128_000, 9677),
        (256_000, 9753), (2_000_000, 10_000),
    ),
}  # fmt: skip
