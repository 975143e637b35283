"""HyStart++ as RFC 9406 4.2 has it, round by round; and its point: slow start ends before a deep queue overflows."""

from __future__ import annotations

import pytest

from stacks.congestion import Cubic, HyStart, Reno
from tests.stacks.congestion.told import MS, PACKET, ack, flow
from tests.stacks.model.rig import Rig


def feed(hystart: HyStart, rtts_ms: list[float], *, samples: int = 8) -> bool:
    """A round for each RTT; whether slow start is over at its end."""
    over = False
    for rtt_ms in rtts_ms:
        for _ in range(samples):
            over = hystart.is_over(int(rtt_ms * MS), feed.sent_ns, feed.sent_ns + MS) or over  # type: ignore[attr-defined]
        feed.sent_ns += 100 * MS  # type: ignore[attr-defined]
    return over


@pytest.fixture(autouse=True)
def clock() -> None:
    feed.sent_ns = 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(("base_ms", "threshold_ms"), [(20, 4), (32, 4), (80, 10), (128, 16), (400, 16)])
def test_the_threshold_is_an_eighth_of_the_last_round_within_bounds(base_ms: float, threshold_ms: float) -> None:
    below = HyStart(0)
    feed(below, [base_ms, base_ms + threshold_ms - 0.001])
    assert not below.is_conservative
    feed.sent_ns = 0  # type: ignore[attr-defined]
    at = HyStart(0)
    feed(at, [base_ms, base_ms + threshold_ms])
    assert at.is_conservative
    assert at.baseline_ns == int((base_ms + threshold_ms) * MS)


def test_fewer_than_eight_samples_say_nothing() -> None:
    hystart = HyStart(0)
    feed(hystart, [20, 200], samples=7)
    assert not hystart.is_conservative


def test_the_smallest_of_a_round_counts() -> None:
    hystart = HyStart(0)
    feed(hystart, [20])
    for rtt_ms in (90, 80, 70, 60, 21, 60, 70, 80):
        hystart.is_over(rtt_ms * MS, 100 * MS, 101 * MS)
    assert not hystart.is_conservative


def test_conservative_slow_start_ends_after_five_rounds() -> None:
    hystart = HyStart(0)
    assert not feed(hystart, [20, 40])
    assert hystart.is_conservative
    # The round in which it began is the first of the five; the next one's first acknowledgement ends it.
    assert not feed(hystart, [40, 40, 40, 40])
    assert feed(hystart, [40])


def test_a_smaller_rtt_resumes_slow_start() -> None:
    hystart = HyStart(0)
    feed(hystart, [20, 40, 40])
    assert hystart.is_conservative
    feed(hystart, [39])
    assert not hystart.is_conservative
    assert hystart.css_rounds == 0


def test_growth_is_a_quarter_in_css_and_eight_packets_at_most_before() -> None:
    cubic = Cubic(flow())
    ack(cubic, 20, 1, rtt_ns=20 * MS, newest_sent_ns=0)
    assert cubic.window_bytes == 18 * PACKET
    for number in range(8):
        ack(cubic, 1, 100 + number, rtt_ns=20 * MS, newest_sent_ns=2)
    for number in range(8):
        ack(cubic, 1, 300 + number, rtt_ns=40 * MS, newest_sent_ns=200)
    assert cubic.state == "conservative slow start"
    before = cubic.window_bytes
    ack(cubic, 4, 400, rtt_ns=40 * MS, newest_sent_ns=210)
    assert cubic.window_bytes == before + PACKET


@pytest.mark.parametrize("make", [Cubic, lambda made: Reno(made, hystart=True)])
@pytest.mark.parametrize(
    ("rate_bps", "delay_ns"), [(20_000_000, 20 * MS), (10_000_000, 50 * MS), (100_000_000, 5 * MS)]
)
def test_slow_start_ends_before_a_deep_queue_overflows(make, rate_bps: int, delay_ns: int) -> None:  # type: ignore[no-untyped-def]
    """No drop, where plain slow start drops, and the window holds the path.

    How deep "deep" is follows from the RFC's numbers: a round that just misses the threshold begins with BDP and
    threshold in flight; the next, at twice that, shows it a round later, at twice that again; and the five rounds of
    CSS grow by 1.25^5.
    """
    rtt_ns = 2 * delay_ns
    bdp_packets = rate_bps * rtt_ns // (8 * 1500 * 1_000_000_000)
    threshold_ns = min(max(rtt_ns // 8, 4 * MS), 16 * MS)
    missed_packets = bdp_packets + rate_bps * threshold_ns // (8 * 1500 * 1_000_000_000) + 16
    limit_packets = missed_packets * 4 * 5**5 // 4**5 - bdp_packets
    rig = Rig(make, rate_bps=rate_bps, delay_ns=delay_ns, limit_packets=limit_packets)
    rig.flow.write(1 << 40)
    while rig.controller.state.endswith("slow start"):
        rig.run_ms(5)
    assert rig.controller.state == "congestion avoidance"
    assert rig.port.queue.dropped_packets == 0
    assert rig.controller.window_bytes >= bdp_packets * 1500  # type: ignore[operator]
    plain = Rig(Reno, rate_bps=rate_bps, delay_ns=delay_ns, limit_packets=limit_packets)
    plain.flow.write(1 << 40)
    while plain.controller.state == "slow start":
        plain.run_ms(5)
    assert plain.port.queue.dropped_packets > 0
