"""RED, Floyd and Jacobson 1993: the average's law, uniform gaps between signals, and what is above the thresholds."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from itertools import pairwise

import pytest

from tests.transports.link.queue_contract import RATE_BPS, Outlet
from transports.errors import TransportError
from transports.link import ECN_CE, Limits, LinkPacket, Red

ECT, NOT_ECT = 2, 0


def make(*, seed: int = 1, **parameters: object) -> Red:
    queue = Red(random.Random(seed), **parameters)  # type: ignore[arg-type]
    queue.attach(Outlet())
    return queue


def packet(ecn: int = NOT_ECT, size_bytes: int = 1000) -> LinkPacket:
    return LinkPacket(size_bytes, (), ecn=ecn)


def hold(queue: Red, length: int, *, ecn: int = ECT, rounds: int) -> list[bool]:
    """Keep `length` packets waiting before each arrival; which of the arrivals had a signal."""
    signals = []
    while queue.backlog_packets < length:
        queue.append(packet(), 0)
    for _ in range(rounds):
        arriving = packet(ecn)
        signals.append(not queue.enqueue(arriving, 0) or arriving.ecn == ECN_CE)
        while queue.backlog_packets > length:
            queue.pop()
    return signals


def settled(length: int, **parameters: object) -> Red:
    """A queue whose average is its length."""
    queue = make(weight=1.0, **parameters)
    hold(queue, length, rounds=2)
    queue.count = -1
    return queue


def mean_gap(share: float) -> float:
    """Each gap n up to 1/p has probability p, and the next has what is left of 1."""
    p = Fraction(str(share))
    last = int(1 / p)
    return float(p * last * (last + 1) / 2 + (1 - p * last) * (last + 1))


def test_the_average_follows_the_length_as_an_exponential() -> None:
    """Section 4: after n arrivals that find q packets it is q (1 - (1 - w)^n)."""
    queue = make(min_length=50, max_length=90, weight=0.01)
    queue.enqueue(packet(), 0)
    for arrivals in range(1, 300):
        hold(queue, 20, rounds=1)
        expected = 20 * (1 - (1 - Fraction(1, 100)) ** arrivals)
        assert queue.average == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("idle_packets", [0, 1, 37, 1000])
def test_the_average_decays_while_nothing_waits(idle_packets: int) -> None:
    """Section 4: as if m small packets had come, each a packet's time at the link's rate apart."""
    queue = settled(8, packet_bytes=500)
    queue.weight = 0.002
    while queue.backlog_packets:
        queue.dequeue(0)
    assert queue.average == 8.0
    time_ns = 500 * 8 * 1_000_000_000 // RATE_BPS
    queue.enqueue(packet(), idle_packets * time_ns + time_ns // 2)
    assert queue.average == pytest.approx(8 * float(Fraction(998, 1000) ** idle_packets), rel=1e-9)


def test_gaps_between_signals_are_uniform() -> None:
    """Section 7, method 2: with p = 1/20 each gap from 1 to 20 packets is as likely, and the mean is 10.5."""
    # Halfway between the thresholds, p is half of max_p.
    queue = settled(10, min_length=5, max_length=15, max_p=0.1)
    signals = hold(queue, 10, rounds=60_000)
    at = [index for index, signal in enumerate(signals) if signal]
    gaps = [after - before for before, after in pairwise(at)]
    mean = sum(gaps) / len(gaps)
    # A uniform number from 1 to 20 has a deviation of 5.77; five standard errors.
    assert mean == pytest.approx(10.5, abs=5 * 5.77 / len(gaps) ** 0.5)
    counts = Counter(gaps)
    assert set(counts) == set(range(1, 21))
    expected = len(gaps) / 20
    chi_squared = sum((counts[gap] - expected) ** 2 / expected for gap in range(1, 21))
    assert chi_squared < 43.8  # 99.9 % of 19 degrees of freedom


@pytest.mark.parametrize(("length", "share"), [(4, 0.0), (5, 0.0), (7, 0.02), (12, 0.07)])
def test_the_probability_rises_between_the_thresholds(length: int, share: float) -> None:
    queue = settled(length, min_length=5, max_length=15, max_p=0.1)
    signals = hold(queue, length, rounds=40_000)
    assert sum(signals) / len(signals) == pytest.approx(1 / mean_gap(share) if share else 0, rel=0.03)


def test_gently_it_goes_on_to_twice_max_and_classically_it_does_not() -> None:
    """Floyd 2000: at 1.5 max the probability is (1 + max_p)/2; from 2 max on it is 1."""
    for length, is_gentle, share in ((15, True, 0.55), (20, True, 1.0), (10, False, 1.0), (15, False, 1.0)):
        queue = settled(length, min_length=5, max_length=10, max_p=0.1, is_gentle=is_gentle)
        signals = hold(queue, length, rounds=20_000)
        assert sum(signals) / len(signals) == pytest.approx(1 / mean_gap(share), abs=0.01)


def test_signals_are_marks_where_packets_allow_it() -> None:
    cases = (
        (ECT, True, False, True),
        (ECT, True, True, False),
        (ECT, False, False, False),
        (NOT_ECT, True, False, False),
    )
    for ecn, is_ecn, is_hard, is_marked in cases:
        queue = settled(40, min_length=5, max_length=10, is_ecn=is_ecn, is_hard=is_hard)
        arriving = packet(ecn)
        assert queue.enqueue(arriving, 0) is is_marked
        assert (arriving.ecn == ECN_CE) is is_marked


def test_hard_marks_below_max() -> None:
    queue = settled(9, min_length=5, max_length=10, max_p=1.0, is_hard=True)
    assert sum(hold(queue, 9, rounds=100)) > 50
    assert queue.dropped_packets == 0


def test_lengths_may_be_bytes() -> None:
    queue = make(min_length=3000, max_length=6000, counts_bytes=True, weight=1.0, is_gentle=False)
    taken = [queue.enqueue(packet(size_bytes=1500), 0) for _ in range(6)]
    # The fifth finds 6000 bytes.
    assert taken[:2] == [True, True]
    assert taken[-1] is False


def test_a_full_queue_drops_whatever_the_average_says() -> None:
    queue = make(min_length=50, max_length=90, limits=Limits(packets=3))
    assert [queue.enqueue(packet(), 0) for _ in range(5)] == [True, True, True, False, False]


def test_what_cannot_be_is_refused() -> None:
    for parameters, words in (
        ({"min_length": 15}, "min is below max, and 15 is not below 15"),
        ({"max_p": 1.5}, "max_p is a probability from 0 to 1, not 1.5"),
        ({"weight": 0.0}, "weight is above 0"),
        ({"packet_bytes": 0}, "packet is at least 1, not 0"),
    ):
        with pytest.raises(TransportError, match=words):
            make(**parameters)
