"""The leaf-spine fabric: a flow alone takes exactly the ideal time, cards share their link, runs repeat."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from stacks.congestion import Controller, Flow
from stacks.lab.fabric import SCHEMES, FabricConfig, FabricResult, FabricRun, Scheme, scheme, slowdown_bins
from stacks.lab.fabric.run import FlowRecord
from stacks.lab.workloads import FlowArrival, poisson_arrivals, workload
from stacks.runtime import LocalError

CONFIG = FabricConfig()
SECOND_NS = 1_000_000_000


class Unlimited(Controller):
    """Sends as fast as the card."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow


def run(arrivals: list[FlowArrival], plan: Scheme | None = None, **options: int) -> FabricResult:
    result = FabricRun(CONFIG, plan or Scheme(Unlimited), arrivals, **options).run(SECOND_NS)
    assert len(result.records) == len(arrivals)
    return result


def test_times_and_products_are_those_of_hpccs_fabric_at_a_quarter_of_its_rates() -> None:
    """13 us and 100 Gbit/s there; 32 hosts, four leaves, two spines, no oversubscription."""
    assert CONFIG.base_rtt_ns == pytest.approx(13_000, rel=0.01)
    assert CONFIG.bdp_bytes == pytest.approx(162_500 / 4, rel=0.01)
    assert CONFIG.hosts // CONFIG.leaves * CONFIG.host_rate_bps == CONFIG.spines * CONFIG.spine_rate_bps


@pytest.mark.parametrize("size_bytes", [1, 100, 1000, 1001, 1999, 2000, 2300, 10_000, 123_456])
@pytest.mark.parametrize(("source", "destination"), [(0, 1), (0, 31)])
def test_a_flow_alone_takes_the_ideal_time(size_bytes: int, source: int, destination: int) -> None:
    """The formula against the event-driven model; a nanosecond is lost where bits do not divide."""
    (record,) = run([FlowArrival(5_000, source, destination, size_bytes)]).records
    assert record.completion_ns == pytest.approx(record.ideal_ns, abs=6)
    assert record.slowdown_1000 == pytest.approx(1000, abs=2)


def test_flows_of_one_host_take_turns_packet_by_packet() -> None:
    """A short flow behind a long one waits for a packet of the long one for each of its own, not for all of it."""
    long, short = FlowArrival(0, 0, 31, 1_000_000), FlowArrival(10_000, 0, 30, 5_000)
    records = {record.arrival: record for record in run([long, short]).records}
    packet_ns = 1048 * 8 // 25
    waited_ns = records[short].completion_ns - records[short].ideal_ns
    assert 3 * packet_ns < waited_ns < 7 * packet_ns


def test_two_flows_to_one_host_share_its_link() -> None:
    flows = [FlowArrival(0, source, 31, 500_000) for source in (0, 8)]
    for record in run(flows).records:
        assert record.slowdown_1000 == pytest.approx(2000, rel=0.05)


def test_a_flow_keeps_to_one_spine_and_flows_use_both() -> None:
    run_ = FabricRun(CONFIG, Scheme(Unlimited), [FlowArrival(0, 0, 31, 100_000)])
    run_.run(SECOND_NS)
    assert sorted(port.sent_packets for port in run_.network.up[0]) == [0, 100]
    many = FabricRun(CONFIG, Scheme(Unlimited), [FlowArrival(n * 100_000, 0, 31, 1000) for n in range(64)])
    many.run(SECOND_NS)
    assert min(port.sent_packets for port in many.network.up[0]) > 16


def test_shared_buffers_pause_an_incast_and_lose_nothing() -> None:
    """20 hosts send 250 kB each at line rate to one, through buffers of 1 MB: PFC, and not a packet lost."""
    config = replace(CONFIG, buffer_bytes=1 << 20)
    arrivals = [FlowArrival(0, source, 31, 250_000) for source in range(20)]
    simulation = FabricRun(config, Scheme(Unlimited), arrivals)
    result = simulation.run(SECOND_NS)
    assert len(result.records) == len(arrivals)
    assert result.lost_packets == simulation.network.dropped_packets == 0
    assert result.pause_frames > 20
    assert max(switch.buffer.peak_bytes for switch in simulation.network.switches) <= 1 << 20
    # The receiver's link was never idle.
    ideal_ns = config.ideal_ns(20 * 250_000, is_far=True)
    assert max(record.completion_ns for record in result.records) == pytest.approx(ideal_ns, rel=0.01)
    assert FabricRun(CONFIG, Scheme(Unlimited), arrivals).run(SECOND_NS).pause_frames == 0


def test_a_pause_holds_up_bystanders() -> None:
    """What PFC is known for: a flow that shares no congested link waits all the same, behind the pause of its host."""
    burst = [FlowArrival(0, source, 31, 500_000) for source in range(16)]
    bystander = FlowArrival(120_000, 3, 5, 1000)
    slowdowns = []
    for buffer_bytes in (0, 1 << 20):
        config = replace(CONFIG, buffer_bytes=buffer_bytes)
        result = FabricRun(config, Scheme(Unlimited), [*burst, bystander]).run(SECOND_NS)
        (record,) = [record for record in result.records if record.arrival is bystander]
        slowdowns.append(record.slowdown_1000)
    assert slowdowns[0] < 1500
    assert slowdowns[1] > 3 * slowdowns[0]


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_completes_the_same_flows_the_same_way_twice(name: str) -> None:
    arrivals = poisson_arrivals(
        workload("fb-hadoop", divisor=4), hosts=CONFIG.hosts, host_rate_bps=CONFIG.host_rate_bps, load_1000=500,
        flows=60, rng=random.Random(5),
    )  # fmt: skip
    outcomes = []
    for _ in range(2):
        result = run(arrivals, scheme(name, CONFIG), seed=5, sample_ns=20_000)
        assert result.lost_packets == 0
        outcomes.append(([record.completion_ns for record in result.records], result.queues_bytes, result.peak_bytes))
    assert outcomes[0] == outcomes[1]


def test_bins_have_equal_counts_and_the_percentiles_of_their_flows() -> None:
    records = [FlowRecord(FlowArrival(0, 0, 1, size), size * 10, 10) for size in range(1, 201)]
    random.Random(6).shuffle(records)
    bins = slowdown_bins(records, 2)
    assert [(part.largest_bytes, part.flows) for part in bins] == [(100, 100), (200, 100)]
    assert (bins[0].p50_1000, bins[0].p95_1000, bins[1].p99_1000) == (51_000, 96_000, 200_000)
    with pytest.raises(LocalError, match="too few"):
        slowdown_bins(records[:3], 4)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(LocalError, match="evenly"):
        FabricConfig(hosts=30)
    with pytest.raises(LocalError, match="delay_ns"):
        FabricConfig(delay_ns=-1)
    with pytest.raises(LocalError, match="no scheme is called 'vegas'"):
        scheme("vegas", CONFIG)
