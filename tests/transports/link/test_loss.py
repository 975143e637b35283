"""Losses follow their laws: shares, lengths of bursts, and how long the channel remembers."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transports.link.rig import send
from transports.errors import TransportError
from transports.link import BurstLoss, DropList, DropWhen, Element, GilbertElliottLoss, LinkPacket, RandomLoss
from transports.timeline import Timeline

PACKETS = 100_000


def lost(element: Element, packets: int = PACKETS) -> list[bool]:
    """For each of so many packets whether it is lost."""
    outcome: list[bool] = []
    element.on_drop = lambda _: outcome.append(True)
    packet = LinkPacket(1, (element.put, lambda _: outcome.append(False)))
    for _ in range(packets):
        packet.hop = -1
        packet.forward()
    return outcome


def runs(outcome: list[bool]) -> list[int]:
    """Lengths of losses in a row."""
    lengths, length = [], 0
    for is_lost in outcome:
        if is_lost:
            length += 1
        elif length:
            lengths.append(length)
            length = 0
    return lengths


def mean(outcome: list[bool]) -> float:
    return sum(outcome) / len(outcome)


def deviations(found: float, expected: float, variance: float, samples: int) -> float:
    """How many standard errors apart."""
    return abs(found - expected) / (variance / samples) ** 0.5


@pytest.mark.parametrize("row", [1, 3])
def test_after_so_many_in_a_row_one_passes(row: int) -> None:
    # A run is as long as independent loss makes it, cut off at `row`: the mean of min(geometric, row).
    probability = 0.6
    lengths = Counter(runs(lost(RandomLoss(probability, random.Random(5), row=row))))
    assert max(lengths) == row
    total = sum(lengths.values())
    for length in range(1, row):
        expected = probability ** (length - 1) * (1 - probability)
        assert deviations(lengths[length] / total, expected, expected * (1 - expected), total) < 4


@pytest.mark.parametrize("probability", [0.0, 0.001, 0.02, 0.5, 1.0])
def test_independent_loss_has_its_share_and_no_memory(probability: float) -> None:
    outcome = lost(RandomLoss(probability, random.Random(17)))
    if probability in (0.0, 1.0):
        assert mean(outcome) == probability
        return
    variance = probability * (1 - probability)
    assert deviations(mean(outcome), probability, variance, PACKETS) < 4
    # Behind a loss the next is lost as often as ever.
    following = [after for before, after in pairwise(outcome) if before]
    assert deviations(mean(following), probability, variance, len(following)) < 4


# p, r, h, k; the last three as in Hasslinger and Hohlfeld's fits: rare bad states that lose nearly all, half, a little.
CHANNELS = [
    (0.01, 0.25, 0.0, 1.0),
    (0.02, 0.5, 0.0, 1.0),
    (0.05, 0.2, 0.3, 0.999),
    (0.002, 0.02, 0.5, 0.9999),
    (0.1, 0.4, 0.8, 0.98),
]


@pytest.mark.parametrize(("p", "r", "h", "k"), CHANNELS)
def test_gilbert_elliott_loses_the_stationary_share(p: float, r: float, h: float, k: float) -> None:
    bad = p / (p + r)
    expected = bad * (1 - h) + (1 - bad) * (1 - k)
    outcome = lost(GilbertElliottLoss(p, r, random.Random(3), h=h, k=k))
    # Correlation takes samples away: the variance of the mean grows by (1 + x) / (1 - x) with x = 1 - p - r at most.
    memory = 1 - p - r
    variance = expected * (1 - expected) * (1 + memory) / (1 - memory)
    assert deviations(mean(outcome), expected, variance, PACKETS) < 4


@pytest.mark.parametrize(("p", "r"), [(0.01, 0.25), (0.02, 0.5), (0.1, 0.9)])
def test_gilberts_bursts_are_geometric(p: float, r: float) -> None:
    lengths = runs(lost(GilbertElliottLoss(p, r, random.Random(8))))
    assert deviations(sum(lengths) / len(lengths), 1 / r, (1 - r) / r**2, len(lengths)) < 4
    histogram = Counter(lengths)
    chi_square, classes, rest = 0.0, 0, len(lengths)
    for length in range(1, 100):
        expected = len(lengths) * r * (1 - r) ** (length - 1)
        left = len(lengths) * (1 - r) ** length
        if left < 5:
            chi_square += (rest - expected - left) ** 2 / (expected + left)
            break
        chi_square += (histogram[length] - expected) ** 2 / expected
        rest -= histogram[length]
        classes += 1
    # The mean of chi square is its degrees of freedom, its variance twice that.
    assert chi_square < classes + 4 * (2 * classes) ** 0.5


@pytest.mark.parametrize(("p", "r", "h", "k"), [(0.01, 0.25, 0.0, 1.0), (0.05, 0.2, 0.3, 0.999), (0.3, 0.3, 0.0, 1.0)])
def test_the_autocorrelation_decays_as_the_chain_forgets(p: float, r: float, h: float, k: float) -> None:
    outcome = lost(GilbertElliottLoss(p, r, random.Random(5), h=h, k=k), 3 * PACKETS)
    share = mean(outcome)
    bad = p / (p + r)
    # Cov(x_i, x_i+n) = bad good (k - h)^2 (1 - p - r)^n, for n > 0.
    scale = bad * (1 - bad) * (k - h) ** 2
    for lag in (1, 2, 3, 5, 8):
        both = sum(before and after for before, after in zip(outcome, outcome[lag:], strict=False))
        covariance = both / (len(outcome) - lag) - share * share
        assert covariance == pytest.approx(scale * (1 - p - r) ** lag, abs=0.05 * scale)


def test_the_channel_starts_good_and_a_step_follows_each_packet() -> None:
    # Good, bad, good, bad ...: the first packet passes, every second is lost.
    assert lost(GilbertElliottLoss(1.0, 1.0, random.Random(0)), 6) == [False, True, False, True, False, True]


@pytest.mark.parametrize(("probability", "least", "most"), [(0.01, 1, 1), (0.01, 4, 4), (0.005, 2, 10), (1.0, 3, 3)])
def test_bursts_have_their_lengths_and_share(probability: float, least: int, most: int) -> None:
    element = BurstLoss(probability, random.Random(2), least=least, most=most)
    outcome = lost(element)
    length = (least + most) / 2
    share = probability * length / (1 - probability + probability * length)
    if probability == 1:
        assert all(outcome)
        assert element.bursts == -(-PACKETS // least)
        return
    # One burst of so many packets is one sample.
    assert deviations(mean(outcome), share, share * (1 - share) * 2 * most, PACKETS) < 4
    assert min(runs(outcome)) == least
    # Uniform between the two: the mean of so many bursts.
    variance = ((most - least + 1) ** 2 - 1) / 12
    found = sum(outcome) / element.bursts
    assert found == length if least == most else deviations(found, length, variance, element.bursts) < 4


@given(st.sets(st.integers(1, 30)), st.dictionaries(st.integers(0, 2), st.sets(st.integers(1, 12)), max_size=2))
def test_listed_packets_are_dropped_and_no_others(numbers: set[int], flows: dict[int, set[int]]) -> None:
    timeline = Timeline()
    element = DropList(numbers, flows=flows)
    collector = send(timeline, [element.put], [(n, 100) for n in range(30)], flows=3)
    expected = [
        n for n in range(30) if n + 1 not in numbers and n // 3 + 1 not in flows.get(n % 3, ())
    ]
    assert collector.numbers == expected
    assert element.dropped_packets == 30 - len(expected)


def test_a_predicate_sees_each_packet_once() -> None:
    timeline, seen = Timeline(), []
    element = DropWhen(lambda packet: seen.append(packet.payload) or packet.payload % 3 == 0)
    collector = send(timeline, [element.put], [(n, 100) for n in range(9)])
    assert seen == list(range(9))
    assert collector.numbers == [1, 2, 4, 5, 7, 8]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda rng: RandomLoss(1.1, rng), "probability is a probability from 0 to 1, not 1.1"),
        (lambda rng: RandomLoss(float("nan"), rng), "probability is a probability from 0 to 1, not nan"),
        (lambda rng: GilbertElliottLoss(0.1, -1, rng), "r is a probability from 0 to 1, not -1"),
        (lambda rng: BurstLoss(0.1, rng, least=0), "least is at least 1, not 0"),
        (lambda rng: DropList([3, 0]), "packets is at least 1, not 0"),
        (lambda rng: DropList(flows={2: [-1]}), "packets is at least 1, not -1"),
    ],
)
def test_values_out_of_range_are_refused(make: object, message: str) -> None:
    with pytest.raises(TransportError, match=message):
        make(random.Random(0))

