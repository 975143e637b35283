"""Published flow sizes and Poisson arrivals: means, shares and gaps are what the tables say."""

from __future__ import annotations

import itertools
import random

import pytest

from stacks.lab.workloads import WORKLOADS, SizeDistribution, incast_arrivals, poisson_arrivals, workload
from stacks.runtime import LocalError


@pytest.mark.parametrize(("name", "mean_bytes"), [("web-search", 1_711_250), ("fb-hadoop", 120_376)])
def test_the_means_are_those_that_are_published(name: str, mean_bytes: int) -> None:
    """Of the tables themselves: 1.711 MB and 120.4 kB."""
    assert workload(name).mean_bytes == pytest.approx(mean_bytes, rel=0.001)


@pytest.mark.parametrize("name", WORKLOADS)
def test_draws_follow_the_table(name: str) -> None:
    sizes, rng = workload(name), random.Random(1)
    drawn = sorted([sizes.draw(rng) for _ in range(20_000)])
    for size, share in WORKLOADS[name][1:-1]:
        below = sum([value <= size for value in drawn])
        assert below / 20_000 == pytest.approx(share / 10_000, abs=0.012)
    assert drawn[-1] <= WORKLOADS[name][-1][0]
    assert sum(drawn) / 20_000 == pytest.approx(sizes.mean_bytes, rel=0.05)


def test_a_divisor_scales_every_size() -> None:
    whole, part = workload("fb-hadoop"), workload("fb-hadoop", divisor=4)
    first, second = random.Random(2), random.Random(2)
    for _ in range(100):
        assert part.draw(second) == max(1, whole.draw(first) // 4)
    assert part.mean_bytes == whole.mean_bytes // 4


def test_arrivals_are_poisson_at_the_load() -> None:
    """Gaps of a host are exponential: the mean is the load's, and the deviation is as large as the mean."""
    sizes = workload("fb-hadoop")
    flows = poisson_arrivals(
        sizes, hosts=8, host_rate_bps=10_000_000_000, load_1000=500, flows=20_000, rng=random.Random(3)
    )
    starts = [flow.start_ns for flow in flows if flow.source == 3]
    gaps = [after - before for before, after in itertools.pairwise(starts)]
    mean_ns = sizes.mean_bytes * 8 / 10 / 0.5
    mean = sum(gaps) / len(gaps)
    deviation = (sum([(gap - mean) ** 2 for gap in gaps]) / len(gaps)) ** 0.5
    assert mean == pytest.approx(mean_ns, rel=0.05)
    assert deviation == pytest.approx(mean_ns, rel=0.06)
    assert [flow.start_ns for flow in flows] == sorted(flow.start_ns for flow in flows)
    assert all(flow.source != flow.destination for flow in flows)
    targets = [sum(flow.destination == host for flow in flows) for host in range(8)]
    assert max(targets) < 1.1 * min(targets)


def test_an_incast_comes_from_as_many_hosts_at_once() -> None:
    flows = incast_arrivals(
        hosts=10, fan_in=6, size_bytes=500, period_ns=1000, end_ns=100_000, rng=random.Random(4)
    )
    assert len(flows) == pytest.approx(600, rel=0.25)
    for start_ns in {flow.start_ns for flow in flows}:
        burst = [flow for flow in flows if flow.start_ns == start_ns]
        assert len({flow.source for flow in burst}) == len(burst) == 6
        assert len({flow.destination for flow in burst}) == 1
        assert burst[0].destination not in {flow.source for flow in burst}


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(LocalError, match="no workload is called 'mail'"):
        workload("mail")
    with pytest.raises(LocalError, match="shares that rise"):
        SizeDistribution([(0, 0), (10, 9000)])
    with pytest.raises(LocalError, match="load above 0"):
        poisson_arrivals(workload("fb-hadoop"), hosts=2, host_rate_bps=1, load_1000=0, flows=1, rng=random.Random(1))
    with pytest.raises(LocalError, match="incast of 5"):
        incast_arrivals(hosts=5, fan_in=5, size_bytes=1, period_ns=1, end_ns=1, rng=random.Random(1))
