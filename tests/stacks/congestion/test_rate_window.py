"""A window for a controller that has only a rate."""

from __future__ import annotations

import pytest

from stacks.congestion import Ack, Dcqcn, Flow, Loss, Timely
from stacks.congestion.rate_window import RateWindow, with_window
from stacks.runtime import LocalError
from tests.stacks.congestion.acks import GBPS

FLOW = Flow(line_rate_bps=10 * GBPS, packet_bytes=1000, base_rtt_ns=10_000)
BDP = 12_500


def test_the_window_is_what_the_rate_earns_in_a_round_trip() -> None:
    inner = Dcqcn(FLOW)
    bounded = RateWindow(FLOW, inner)
    assert (bounded.rate_bps, bounded.window_bytes, bounded.ecn, bounded.cnp_interval_ns) == (10 * GBPS, BDP, 2, 50_000)
    bounded.handle_notification(0)
    assert (bounded.rate_bps, bounded.window_bytes) == (5 * GBPS, BDP // 2)
    deadline_ns = bounded.poll_deadline()
    assert deadline_ns == inner.poll_deadline() == 55_000
    bounded.handle_timeout(55_000)
    assert bounded.rate_bps == inner.rate_bps == 7_500_000_000
    bounded.handle_sent(10_000_000, 56_000)
    assert bounded.rate_bps == inner.rate_bps > 7_500_000_000


def test_every_sign_reaches_the_other_and_the_window_is_a_packet_at_least() -> None:
    bounded = with_window(Timely)(FLOW)
    for _ in range(20):
        bounded.handle_loss(Loss(1000, is_timeout=False), 0)
    assert bounded.window_bytes == 1000
    rate_bps = bounded.rate_bps
    for _ in range(3):
        bounded.handle_ack(Ack(16_000, 0, rtt_ns=10_000), 0)
    assert rate_bps is not None
    assert bounded.rate_bps == rate_bps + 2 * 10_000_000
    assert bounded.variables() == {"rtt_diff_ns": 0}


def test_without_a_round_trip_it_is_refused() -> None:
    with pytest.raises(LocalError, match="base_rtt_ns"):
        RateWindow(Flow(line_rate_bps=1, packet_bytes=1), Dcqcn(FLOW))
