"""A driver that wakes late does not slow a paced flow down."""

from __future__ import annotations

import random

import pytest

from stacks.congestion import controller_factory
from stacks.quic.configuration import Configuration
from stacks.quic.recovery import PathCongestion, SentPacket

MILLISECOND_NS = 1_000_000
RATE_BPS = 80_000_000


class Constant(controller_factory("reno")):  # type: ignore[misc]
    """Sends at one rate."""

    def __init__(self, flow: object) -> None:
        super().__init__(flow)
        self.rate_bps, self.send_quantum_bytes, self.window_bytes = RATE_BPS, 2400, None


def sent_bytes(*, lateness_ns: int, has_more: bool = True, for_ns: int = 500 * MILLISECOND_NS) -> int:
    congestion = PathCongestion(Configuration(controller=Constant), random.Random(1), now=0)
    now = total = number = 0
    while now < for_ns:
        while congestion.may_send(now):
            packet = SentPacket(2, number, 1200, (), congestion, is_ack_eliciting=True, is_in_flight=True)
            congestion.sent(packet, now)
            number += 1
            total += 1200
            if not has_more:
                break
        due_ns = congestion.end_burst(now, has_more=has_more)
        now = (now + 10 * MILLISECOND_NS if due_ns is None else due_ns) + lateness_ns
    return total


@pytest.mark.parametrize("lateness_ns", [0, 100_000, 3 * MILLISECOND_NS, 15 * MILLISECOND_NS])
def test_what_was_held_back_while_the_driver_slept_leaves_when_it_wakes(lateness_ns: int) -> None:
    expected = RATE_BPS // 8 // 2
    assert sent_bytes(lateness_ns=lateness_ns) == pytest.approx(expected, rel=0.05)


def test_no_more_than_a_pause_is_made_up_for() -> None:
    expected = RATE_BPS // 8 // 2
    assert sent_bytes(lateness_ns=100 * MILLISECOND_NS) < expected // 3


def test_nothing_is_saved_up_while_there_is_nothing_to_send() -> None:
    assert sent_bytes(lateness_ns=0, has_more=False) <= 51 * 1200
