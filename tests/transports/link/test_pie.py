"""PIE, RFC 8033: the controller step by step with exact fractions, when it may signal, and how evenly."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from transports.errors import TransportError
from transports.link import ECN_CE, LinkPacket, Pie

MS = 1_000_000
UPDATE = TARGET = 15 * MS
NOT_ECT, ECT = 0, 2


def expected_p(p: Fraction, delay_ns: int, former_ns: int) -> Fraction:
    """Section 4.2 with the defaults of section 4, and the limit of 5.5."""
    change = Fraction(1, 8) * Fraction(delay_ns - TARGET, 10**9)
    change += Fraction(5, 4) * Fraction(delay_ns - former_ns, 10**9)
    for below, divisor in ((6, 2048), (5, 512), (4, 128), (3, 32), (2, 8), (1, 2)):
        if p < Fraction(1, 10**below):
            change /= divisor
            break
    if p >= Fraction(1, 10) and change > Fraction(2, 100):
        change = Fraction(2, 100)
    p += change
    if delay_ns == former_ns == 0:
        p *= Fraction(98, 100)
    return min(max(p, Fraction(0)), Fraction(1))


def make(seed: int = 1, **parameters: object) -> Pie:
    return Pie(random.Random(seed), **parameters)  # type: ignore[arg-type]


def put(queue: Pie, now: int, *, ecn: int = NOT_ECT, size_bytes: int = 1500) -> LinkPacket | None:
    """The packet, unless it was dropped."""
    packet = LinkPacket(size_bytes, (), ecn=ecn)
    return packet if queue.enqueue(packet, now) else None


def test_the_probability_follows_the_document() -> None:
    """A packet that never leaves: the delay grows, through every range of the gains; then it leaves, and p decays."""
    queue = make(burst_ns=0)
    put(queue, 0)
    p, former_ns, seen = Fraction(0), 0, set()
    for index in range(1, 130):
        queue.catch_up(index * UPDATE)
        delay_ns = index * UPDATE
        p, former_ns = expected_p(p, delay_ns, former_ns), delay_ns
        seen.add(len(str(int(1 / p))) if p else 0)
        assert queue.probability == pytest.approx(float(p), rel=1e-9)
        assert queue.delay_ns == delay_ns
    assert {2, 3, 4, 5}.issubset(seen)
    assert p == 1
    queue.dequeue(129 * UPDATE + 1)
    for index in range(130, 400):
        queue.catch_up(index * UPDATE)
        p, former_ns = expected_p(p, 0, former_ns), 0
        assert queue.probability == pytest.approx(float(p), rel=1e-6, abs=1e-15)
    assert queue.probability == 0


def hold(queue: Pie, p: float, *, ecn: int = NOT_ECT, rounds: int) -> list[bool]:
    """Arrivals that find ten packets and a fixed p; which of them had a signal."""
    queue.probability = p
    while queue.backlog_packets < 10:
        queue.append(LinkPacket(1500, ()), 0)
    signals = []
    for _ in range(rounds):
        packet = put(queue, 1, ecn=ecn)
        signals.append(packet is None or packet.ecn == ECN_CE)
        if packet is not None:
            queue.pop()
    return signals


def gaps_of(signals: list[bool]) -> list[int]:
    at = [index for index, signal in enumerate(signals) if signal]
    return [after - before for before, after in zip(at, at[1:], strict=False)]  # noqa: RUF007


def test_signals_are_spread() -> None:
    """Section 5.4: none until p adds up to 0.85, then with probability p, and surely at 8.5."""
    queue = make(burst_ns=0, is_ecn=False)
    queue.delay_ns = 20 * MS
    gaps = gaps_of(hold(queue, 0.1, rounds=60_000))
    assert 9 == min(gaps) < max(gaps) <= 85
    # Eight pass for sure, then a geometric number with mean 10 and deviation 9.5.
    assert sum(gaps) / len(gaps) == pytest.approx(18, abs=5 * 9.5 / len(gaps) ** 0.5)


def test_or_they_are_drawn_for_each_packet() -> None:
    queue = make(burst_ns=0, is_derandomized=False, is_ecn=False)
    queue.delay_ns = 20 * MS
    gaps = gaps_of(hold(queue, 0.1, rounds=60_000))
    assert min(gaps) == 1
    assert sum(gaps) / len(gaps) == pytest.approx(10, abs=5 * 9.5 / len(gaps) ** 0.5)


@pytest.mark.parametrize(
    ("p", "delay_ms", "packets", "is_signal"),
    [(1.0, 20, 10, True), (1.0, 20, 2, False), (0.19, 7, 10, False), (0.19, 8, 10, True), (0.2, 0, 10, True)],
)
def test_when_it_may_signal(p: float, delay_ms: int, packets: int, is_signal: bool) -> None:
    """Section 4.1: not at a low delay with p below 0.2, and not in front of two packets."""
    queue = make(burst_ns=0, is_derandomized=False)
    queue.delay_ns = delay_ms * MS
    for _ in range(packets):
        queue.append(LinkPacket(1500, ()), 0)
    queue.probability = p
    signals = 0
    for _ in range(200):
        packet = put(queue, 1)
        signals += packet is None
        if packet is not None:
            queue.pop()
    assert bool(signals) is is_signal


def test_a_burst_is_allowed() -> None:
    """Section 4.4: nothing for the first 150 ms, and again once p and the delay have been low."""
    queue = make()
    for index in range(200):
        put(queue, index * MS)
        if index == 149:
            assert queue.dropped_packets == 0
            queue.probability = 1.0
    queue.catch_up(150 * MS)
    assert queue.burst_left_ns == 0
    assert put(queue, 201 * MS) is None
    while queue.dequeue(202 * MS):
        pass
    queue.catch_up(10_000 * MS)
    assert queue.burst_left_ns == 150 * MS


def test_marks_give_way_to_drops_at_a_high_probability() -> None:
    """Section 5.1."""
    for p, is_marked in ((0.09, True), (0.11, False)):
        queue = make(burst_ns=0)
        queue.delay_ns = 20 * MS
        assert any(hold(queue, p, ecn=ECT, rounds=500))
        assert bool(queue.marked_packets) is is_marked
        assert bool(queue.dropped_packets) is not is_marked


def test_what_cannot_be_is_refused() -> None:
    for parameters, words in (
        ({"target_ns": 0}, "target is at least 1, not 0"),
        ({"update_ns": 0}, "update is at least 1, not 0"),
        ({"burst_ns": -1}, "burst is at least 0, not -1"),
        ({"alpha_hz": -0.1}, "alpha is a gain from 0 to 1e\\+06 Hz, not -0.1"),
        ({"beta_hz": float("nan")}, "beta is a gain"),
        ({"mark_below": 2.0}, "mark_below is a probability"),
        ({"packet_bytes": 0}, "packet is at least 1"),
    ):
        with pytest.raises(TransportError, match=words):
            make(**parameters)
