"""TIMELY by hand against algorithm 1 of SIGCOMM 2015."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stacks.congestion import Flow, Loss, Timely, TimelyParameters
from stacks.runtime import LocalError
from tests.stacks.congestion.acks import GBPS, Connection

DELTA = 10_000_000
LINE = 10 * GBPS


def timely(rate_bps: int = 5 * GBPS, **parameters: int) -> tuple[Timely, Callable[[int], int]]:
    """A controller, and what completes a segment with a round-trip time, which returns the rate."""
    connection = Connection(lambda flow: Timely(flow, TimelyParameters(segment_bytes=1000, **parameters)))
    controller = connection.controller
    assert isinstance(controller, Timely)
    controller.rate_bps = rate_bps

    def complete(rtt_ns: int) -> int:
        connection.send(1)
        connection.ack(1, rtt_ns=rtt_ns)
        return controller.rate_bps

    return controller, complete


def test_a_flow_begins_at_line_rate() -> None:
    assert Timely(Flow(line_rate_bps=LINE, packet_bytes=1000)).rate_bps == LINE


def test_the_first_completion_is_only_remembered() -> None:
    _, complete = timely()
    assert complete(900_000) == 5 * GBPS


def test_below_tlow_the_rate_grows_by_delta_whatever_the_gradient() -> None:
    _, complete = timely()
    complete(10_000)
    assert complete(49_000) == 5 * GBPS + DELTA
    assert complete(20_000) == 5 * GBPS + 2 * DELTA


def test_above_thigh_it_shrinks_by_how_far_above() -> None:
    """Rate (1 - beta (1 - Thigh / rtt)): 0.8 of a half."""
    _, complete = timely()
    complete(1_000_000)
    assert complete(1_000_000) == pytest.approx(5e9 * (1 - 0.8 * 0.5), rel=1e-3)


def test_a_falling_rtt_grows_the_rate_and_five_in_a_row_five_times_as_fast() -> None:
    """Section 4.3, HAI: N delta with N = 5 from the fifth on."""
    _, complete = timely()
    complete(400_000)
    rates = [complete(400_000 - 1000 * number) for number in range(1, 8)]
    steps = [(after - before) // DELTA for before, after in zip([5 * GBPS, *rates], rates, strict=False)]
    assert steps == [1, 1, 1, 1, 5, 5, 5]


def test_a_rising_rtt_shrinks_it_by_beta_times_the_gradient() -> None:
    """4 us more, of which 0.875 count: a gradient of 3.5/20."""
    controller, complete = timely()
    complete(100_000)
    assert complete(104_000) == pytest.approx(5e9 * (1 - 0.8 * 0.175), rel=1e-3)
    assert controller.state == "decrease"


def test_the_gradient_is_an_average_of_differences() -> None:
    """Differences 4 us and 0: 0.125 of 3.5 us is left, still rising."""
    controller, complete = timely()
    for rtt_ns in (100_000, 104_000, 104_000):
        complete(rtt_ns)
    assert controller.rtt_diff / 1024 == pytest.approx(437.5, rel=0.01)


def test_the_rate_stays_between_minimum_and_line_rate() -> None:
    _, complete = timely(LINE)
    complete(10_000)
    assert complete(10_000) == LINE
    for _ in range(300):
        rate_bps = complete(5_000_000)
    assert rate_bps == TimelyParameters().minimum_bps


def test_without_segments_a_round_trip_is_a_completion() -> None:
    connection = Connection(lambda flow: Timely(flow, TimelyParameters(segment_bytes=0)))
    controller = connection.controller
    assert isinstance(controller, Timely)
    controller.rate_bps = 5 * GBPS
    connection.send(10)
    for _ in range(10):
        connection.ack(1, rtt_ns=20_000)
    assert controller.rate_bps == 5 * GBPS
    for _ in range(2):
        connection.send(10)
        for _ in range(10):
            connection.ack(1, rtt_ns=20_000)
    assert controller.rate_bps == 5 * GBPS + 2 * DELTA


def test_a_loss_halves_the_rate() -> None:
    controller, _ = timely()
    controller.handle_loss(Loss(1000, is_timeout=False), 0)
    assert controller.rate_bps == 5 * GBPS // 2


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(LocalError, match="low_ns"):
        TimelyParameters(low_ns=600_000)
    with pytest.raises(LocalError, match="ewma"):
        TimelyParameters(ewma_1024=0)
    with pytest.raises(LocalError, match="hai_events"):
        TimelyParameters(hai_events=0)
    with pytest.raises(LocalError, match="segment_bytes"):
        TimelyParameters(segment_bytes=-1)
    with pytest.raises(LocalError, match="counts what is delivered"):
        Timely(Flow(line_rate_bps=1, packet_bytes=1), TimelyParameters(segment_bytes=0))
