"""Analytic laws that the window-based controllers obey; the numbers come from their documents, not from us.

A path without a queue, a fixed round trip, and a packet lost after every 1/p: what RFC 9438 5 and Mathis et al. (1997)
assume. An acknowledgement for each packet. Windows are means over whole cycles, after the flow has settled.
"""

from __future__ import annotations

from typing import Any

import pytest

from stacks.model import ReceiverConfig
from tests.stacks.model.rig import MS, PACKET, Rig


def mean_window(controller: str, *, every: int, rtt_ms: int, expected: float, cycles: int = 10) -> float:
    """Packets delivered a round trip where one in `every` is lost, the first once slow start is at the law's window."""
    first = int(2 * expected)

    def fate(index: int, packet: Any) -> list[int]:
        return [] if index >= first and (index - first) % every == 0 else [0]

    rig = Rig(
        controller,
        rate_bps=1_000_000_000_000,
        delay_ns=rtt_ms * MS // 2,
        limit_packets=1_000_000,
        forward=fate,
        receiver=ReceiverConfig(ack_packets=1),
    )
    rig.flow.write(1 << 45)

    def losses(count: int) -> tuple[int, int]:
        until = rig.sender.lost_packets + count
        while rig.sender.lost_packets < until:
            rig.run_ms(rtt_ms)
        return rig.delivery.delivered_bytes, rig.timeline.now

    before_bytes, start = losses(5)
    after_bytes, end = losses(cycles)
    assert rig.sender.timeouts == rig.sender.spurious_losses == 0
    return (after_bytes - before_bytes) / PACKET / ((end - start) / (rtt_ms * MS))


def mathis(every: int) -> float:
    """Reno's mean window in packets: sqrt(3 / 2p) = 1.22 / sqrt(p), of which rate = 1.22 MSS / (RTT sqrt p)."""
    return (1.5 * every) ** 0.5


def response_function(every: int, rtt_ms: int) -> float:
    """CUBIC's mean window (RFC 9438 5.1, figure 5): (C (3 + b) / 4 (1 - b))^(1/4) RTT^(3/4) / p^(3/4), b = 0.7."""
    return (0.4 * 3.7 / 1.2) ** 0.25 * (rtt_ms / 1000) ** 0.75 * every**0.75


@pytest.mark.parametrize(("every", "within"), [(400, 0.10), (1000, 0.05), (2500, 0.05)])
def test_renos_rate_is_the_inverse_root_of_the_loss_rate(every: int, within: float) -> None:
    """The law is for p towards 0: a round of recovery in each cycle, of W/2 of them, comes on top."""
    expected = mathis(every)
    assert abs(mean_window("reno", every=every, rtt_ms=20, expected=expected) / expected - 1) < within


@pytest.mark.parametrize("rtt_ms", [5, 200])
def test_renos_window_does_not_depend_on_the_round_trip(rtt_ms: int) -> None:
    expected = mathis(1000)
    assert abs(mean_window("reno", every=1000, rtt_ms=rtt_ms, expected=expected) / expected - 1) < 0.05


@pytest.mark.slow
def test_cubics_window_is_its_response_function() -> None:
    """RTT 0.1 s, p = 1e-4: 187 packets (RFC 9438 5.1), where Reno has 122; fast convergence and recovery take a bit."""
    expected = response_function(10_000, 100)
    assert 185 < expected < 190
    assert abs(mean_window("cubic-plain", every=10_000, rtt_ms=100, expected=expected, cycles=4) / expected - 1) < 0.1


def test_cubic_is_reno_where_round_trips_are_short() -> None:
    """RFC 9438 4.3: the Reno-friendly region has the mean window of Reno."""
    expected = mathis(1000)
    assert response_function(1000, 10) < expected / 5
    assert abs(mean_window("cubic-plain", every=1000, rtt_ms=10, expected=expected) / expected - 1) < 0.05


@pytest.mark.long
@pytest.mark.parametrize(("every", "within"), [(10_000, 0.03), (40_000, 0.03)])
def test_renos_law_at_smaller_loss_rates(every: int, within: float) -> None:
    expected = mathis(every)
    assert abs(mean_window("reno", every=every, rtt_ms=20, expected=expected) / expected - 1) < within


@pytest.mark.long
@pytest.mark.parametrize(("every", "rtt_ms"), [(10_000, 100), (30_000, 100), (30_000, 50), (100_000, 100)])
def test_cubics_response_function_at_smaller_loss_rates(every: int, rtt_ms: int) -> None:
    expected = max(response_function(every, rtt_ms), mathis(every))
    assert abs(mean_window("cubic-plain", every=every, rtt_ms=rtt_ms, expected=expected) / expected - 1) < 0.1
