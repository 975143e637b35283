"""Each metric on values worked out by hand."""

from __future__ import annotations

import pytest

from stacks.lab.metrics.completion import SizeBin, ideal_ns, size_bins, slowdown
from stacks.lab.metrics.fairness import convergence_ns, jain
from stacks.lab.metrics.harm import harm_of_less, harm_of_more
from stacks.lab.metrics.latency import Spread, power, spread, under_load
from stacks.lab.metrics.order import mean, percentile
from stacks.lab.metrics.throughput import goodput_bps, loss_share, utilisation

SECOND = 1_000_000_000
MS = 1_000_000


@pytest.mark.parametrize(
    ("shares", "index"),
    [([5, 5, 5, 5], 1.0), ([10, 0, 0, 0], 0.25), ([1, 3], 0.8), ([1, 2, 3], 36 / 42), ([], 1.0), ([0, 0], 1.0)],
)
def test_jains_index(shares: list[int], index: float) -> None:
    assert jain(shares) == index


@pytest.mark.parametrize(
    ("percent", "value"), [(0, 15), (5, 15), (30, 20), (40, 20), (50, 35), (100, 50)]
)
def test_percentiles_are_nearest_ranks(percent: int, value: int) -> None:
    assert percentile([15, 20, 35, 40, 50], percent) == value


def test_the_mean_is_rounded_down() -> None:
    assert mean([1, 2, 4]) == 2


def test_goodput_and_utilisation() -> None:
    assert goodput_bps(1_250_000, SECOND) == 10_000_000
    assert goodput_bps(100, 0) == 0
    assert utilisation(1_250_000, 20_000_000, SECOND) == 0.5
    assert loss_share(1, 4) == 0.25
    assert loss_share(0, 0) == 0


def test_convergence_is_when_every_share_stays_near_the_fair_one() -> None:
    times = [1, 2, 3, 4, 5, 6]
    shares = [[9, 1], [5, 5], [8, 2], [6, 5], [5, 5], [4, 5]]
    assert convergence_ns(times, shares, start_ns=1) == 3  # from 4 on; at 3 it was lost once more
    assert convergence_ns(times, [*shares[:5], [9, 1]], start_ns=1) is None
    assert convergence_ns(times, shares, start_ns=4) == 1
    assert convergence_ns(times, [[0, 0]] * 6, start_ns=0) is None


def test_a_share_at_the_limit_is_still_near() -> None:
    assert convergence_ns([1], [[12, 8]], start_ns=0, percent=20) == 1
    assert convergence_ns([1], [[13, 7]], start_ns=0, percent=20) is None


def test_harm_of_a_flow_that_keeps_a_quarter_is_three_quarters() -> None:
    assert harm_of_less(20, 5) == 0.75
    assert harm_of_less(20, 20) == 0
    assert harm_of_less(0, 5) == 0
    assert harm_of_more(10, 40) == 0.75
    assert harm_of_more(0, 0) == 0


def test_power_is_throughput_over_delay() -> None:
    assert power(10_000_000, 20 * MS) == 500_000_000
    assert power(10, 0) == 0


def test_spreads_and_latency_under_load() -> None:
    values = list(range(1, 101))
    assert spread(values) == Spread(50, 50, 95, 99, 100)
    assert spread([]) is None
    assert under_load(Spread(50, 50, 95, 99, 100), 60) == Spread(0, 0, 35, 39, 40)


def test_an_ideal_completion_crosses_the_narrowest_link_once_and_the_last_packet_the_others() -> None:
    # 3000 bytes in two packets: 2.4 ms at 10 Mbit/s, the second also 120 us at 100 Mbit/s, and 5 ms of wire.
    assert ideal_ns(3000, one_way_ns=5 * MS, rates_bps=[100_000_000, 10_000_000], packet_bytes=1500) == 7_520_000
    # A last packet of 500 bytes takes 40 us there.
    assert ideal_ns(2000, one_way_ns=0, rates_bps=[100_000_000, 10_000_000], packet_bytes=1500) == 1_640_000
    assert ideal_ns(2000, one_way_ns=7, rates_bps=[], packet_bytes=1500) == 7


def test_slowdown_is_at_least_one() -> None:
    assert slowdown(30, 10) == 3
    assert slowdown(9, 10) == 1


def test_size_bins_have_as_many_flows_each() -> None:
    flows = [(size, size * 10) for size in (4, 1, 3, 2)]
    assert size_bins(flows, 2) == [SizeBin(1, 2, 2, 10, 20, 20), SizeBin(3, 4, 2, 30, 40, 40)]
    assert size_bins([], 3) == []
