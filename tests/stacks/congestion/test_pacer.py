"""The pacer keeps to its rate exactly and its bursts within their bound."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stacks.congestion import Pacer
from stacks.runtime import LocalError

GBPS = 1_000_000_000


def test_a_full_bucket_lets_one_burst_go_and_then_each_byte_waits_for_its_time() -> None:
    pacer = Pacer(8 * GBPS, 3000, now=100)
    assert pacer.budget_bytes(100) == 3000
    assert pacer.next_send_ns(3000, 100) == 100
    pacer.sent(3000, 100)
    # At 8 Gbit/s a byte takes a nanosecond.
    assert pacer.next_send_ns(1000, 100) == 1100
    assert pacer.delay_ns(1000, 600) == 500
    assert pacer.budget_bytes(700) == 600


def test_a_pause_earns_one_burst_and_no_more() -> None:
    pacer = Pacer(GBPS, 1500, now=0)
    pacer.sent(1500, 0)
    assert pacer.budget_bytes(10**12) == 1500


def test_a_send_larger_than_the_burst_waits_for_a_full_bucket_and_leaves_a_debt() -> None:
    pacer = Pacer(8 * GBPS, 1000)
    pacer.sent(400, 0)
    assert pacer.next_send_ns(64_000, 0) == 400
    pacer.sent(64_000, 400)
    assert pacer.budget_bytes(400) == 0
    assert pacer.next_send_ns(1000, 400) == 400 + 64_000


def test_departures_are_rounded_up_and_the_rounding_never_adds_up() -> None:
    # 333 bytes at 10 Gbit/s take 266.4 ns.
    pacer = Pacer(10 * GBPS, 333)
    now = 0
    for _ in range(10_000):
        now = pacer.next_send_ns(333, now)
        pacer.sent(333, now)
    assert now == -(-9_999 * 2664 // 10)


def test_a_new_rate_counts_from_its_moment_on() -> None:
    pacer = Pacer(8 * GBPS, 1000)
    pacer.sent(1000, 0)
    pacer.change_rate(800_000_000, 500)
    assert pacer.budget_bytes(500) == 500
    assert pacer.next_send_ns(1000, 500) == 500 + 5000


@pytest.mark.parametrize(("rate_bps", "burst_bytes"), [(0, 1000), (GBPS, 0), (-1, 1)])
def test_a_pacer_without_rate_or_burst_is_refused(rate_bps: int, burst_bytes: int) -> None:
    with pytest.raises(LocalError, match="above 0"):
        Pacer(rate_bps, burst_bytes)
    with pytest.raises(LocalError, match="above 0"):
        Pacer(GBPS, 1).change_rate(0, 0)


@settings(max_examples=60, deadline=None)
@given(
    rate_bps=st.integers(1_000, 400 * GBPS),
    burst_bytes=st.integers(1, 1 << 17),
    sends=st.lists(st.tuples(st.integers(1, 1 << 17), st.integers(0, 10**8)), min_size=1, max_size=30),
)
def test_no_stretch_of_time_carries_more_than_the_burst_and_what_the_rate_earns(
    rate_bps: int, burst_bytes: int, sends: list[tuple[int, int]]
) -> None:
    pacer = Pacer(rate_bps, burst_bytes)
    now, departures = 0, []
    for length, idle_ns in sends:
        length = min(length, burst_bytes)
        now = pacer.next_send_ns(length, now + idle_ns)
        pacer.sent(length, now)
        departures.append((now, length))
    for first in range(len(departures)):
        carried = 0
        for time_ns, length in departures[first:]:
            carried += length
            earned_bits_ns = (time_ns - departures[first][0] + 1) * rate_bps
            assert (carried - burst_bytes) * 8 * GBPS <= earned_bits_ns
