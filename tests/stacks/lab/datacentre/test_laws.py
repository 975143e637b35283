"""Queues and shares at one bottleneck against the laws that the algorithms' papers derive."""

from __future__ import annotations

from math import sqrt

import pytest

from stacks.congestion import Dcqcn, Dctcp, Hpcc, HpccParameters, Swift, SwiftParameters, Timely
from tests.stacks.lab.datacentre.bottleneck import GBPS, MS, RATE, Bottleneck, jain

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_queue_of_dctcp_swings_where_its_analysis_says(count: int) -> None:
    """SIGCOMM 2010, section 3.3: Qmax = K + N, Qmin = Qmax - A, A = sqrt(2 N (C RTT + K)) / 2, with K > C RTT/7."""
    delay_ns, threshold = 50_000, 40
    bottleneck = Bottleneck(Dctcp, count, delay_ns=delay_ns, packet_bytes=1500, kmin=threshold, kmax=threshold)
    seen = bottleneck.watch(15 * MS, 35 * MS, 5_000)
    pipe = RATE * 2 * delay_ns / (8 * GBPS) / 1500
    amplitude = sqrt(2 * count * (pipe + threshold)) / 2
    assert threshold > pipe / 7
    assert seen.peak == pytest.approx(threshold + count, abs=1)
    assert min(seen.queues) == pytest.approx(threshold + count - amplitude, abs=2)
    assert seen.used > 0.999


def test_alpha_of_dctcp_is_the_square_root_of_two_by_the_window() -> None:
    """Section 3.3, equation 6: alpha = sqrt(2/W*) with W* = (C RTT + K)/N, for small alpha."""
    bottleneck = Bottleneck(Dctcp, 1, delay_ns=50_000, packet_bytes=1500, kmin=40, kmax=40)
    bottleneck.watch(30 * MS, 31 * MS, MS)
    window = RATE * 100_000 / (8 * GBPS) / 1500 + 40
    alpha = bottleneck.flows[0].sender.controller.variables()["alpha_ppm"] / 1e6
    assert alpha == pytest.approx(sqrt(2 / window), rel=0.15)


@pytest.mark.parametrize("count", [2, 8])
def test_hpcc_keeps_the_queue_near_zero_at_95_percent_of_the_link(count: int) -> None:
    """SIGCOMM 2019, section 3.2: bytes in flight are eta times the product: the link is used to eta, none wait."""
    base_rtt_ns = 50_000 + 1000 * 8 * GBPS // RATE
    bottleneck = Bottleneck(
        lambda flow: Hpcc(flow, HpccParameters(max_stage=0)), count, delay_ns=25_000, base_rtt_ns=base_rtt_ns
    )
    seen = bottleneck.watch(10 * MS, 20 * MS, 1_000)
    # Of a bandwidth-delay product of 63 packets.
    assert seen.mean < 1
    assert seen.peak <= count
    assert seen.used == pytest.approx(0.95, abs=0.03)
    assert jain(seen.shares) > 0.85


@pytest.mark.parametrize("count", [1, 8])
def test_swift_holds_the_delay_at_its_target_and_shares_equally(count: int) -> None:
    """SIGCOMM 2020, section 3.1: the target is base + flow scaling at the window that each flow has."""
    parameters = SwiftParameters(base_target_ns=25_000, fs_range_ns=100_000)
    bottleneck = Bottleneck(lambda flow: Swift(flow, parameters), count, delay_ns=5_000)
    seen = bottleneck.watch(5 * MS, 15 * MS, 1_000)
    delay_ns = 10_800 + seen.mean * 800
    window = RATE * delay_ns / (8 * GBPS) / 1000 / count
    scale = 100_000 / (1 / sqrt(0.1) - 1 / sqrt(100))
    target_ns = 25_000 + scale / sqrt(window) - scale / sqrt(100)
    assert delay_ns == pytest.approx(target_ns, rel=0.1)
    assert seen.used > 0.999
    assert jain(seen.shares) > 0.999


def test_one_timely_flow_uses_the_link_and_two_keep_delays_below_thigh() -> None:
    """SIGCOMM 2015, section 4.2. Equal shares are not promised, and the queue has no fixed point (CoNEXT 2016, 4.2)."""
    alone = Bottleneck(Timely, 1, delay_ns=10_000).watch(5 * MS, 10 * MS, 10_000)
    assert alone.used > 0.999
    assert alone.peak <= 1
    together = Bottleneck(Timely, 2, delay_ns=10_000)
    seen = together.watch(40 * MS, 80 * MS, 10_000)
    assert seen.used > 0.85
    assert 20_800 + 800 * seen.peak < 500_000


def test_dcqcn_flows_meet_at_one_rate_with_a_queue_on_the_ramp() -> None:
    """CoNEXT 2016, theorem 1: the fixed point is unique, all rates C/N; its queue lies between Kmin and Kmax."""
    bottleneck = Bottleneck(
        Dcqcn, 4, delay_ns=2_000, kmin=5, kmax=200, pmax_1000=10, cnp_interval_ns=50_000
    )
    seen = bottleneck.watch(40 * MS, 100 * MS, 5_000)
    assert jain(seen.shares) > 0.99
    assert 5 < seen.mean < 200
    assert seen.used > 0.8
