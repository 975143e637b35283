"""Random delays have the moments of their distributions, and keep order where they are told to."""

from __future__ import annotations

import math
import random
from collections import Counter
from pathlib import Path
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transports.link.rig import send
from transports.errors import TransportError
from transports.link import Jitter, Normal, Uniform, Values, load_values
from transports.link.distributions import Distribution, logarithm
from transports.timeline import Timeline

MS = 1_000_000
DRAWS = 100_000


def moments(values: list[int]) -> tuple[float, float, float, float]:
    """Mean, variance, skewness, kurtosis."""
    mean = sum(values) / len(values)
    second, third, fourth = (sum((value - mean) ** power for value in values) / len(values) for power in (2, 3, 4))
    return mean, second, third / second**1.5, fourth / second**2


def test_uniform_delays_are_uniform() -> None:
    low, high = 2 * MS, 7 * MS
    mean, variance, skewness, kurtosis = moments([*map(_call, [Uniform(low, high, random.Random(1))] * DRAWS)])
    span = high - low
    assert mean == pytest.approx((low + high) / 2, abs=4 * span / (12 * DRAWS) ** 0.5)
    assert variance == pytest.approx(span**2 / 12, rel=0.02)
    assert skewness == pytest.approx(0, abs=4 * (6 / DRAWS) ** 0.5)
    assert kurtosis == pytest.approx(1.8, abs=4 * (24 / DRAWS) ** 0.5)


def test_uniform_delays_reach_both_ends_and_nothing_else() -> None:
    draw = Uniform(3, 5, random.Random(1))
    counts = Counter(draw() for _ in range(3000))
    assert sorted(counts) == [3, 4, 5]
    assert min(counts.values()) > 900


def test_normal_delays_are_normal() -> None:
    draw = Normal(50 * MS, 5 * MS, random.Random(9))
    values = [draw() for _ in range(DRAWS)]
    mean, variance, skewness, kurtosis = moments(values)
    assert mean == pytest.approx(50 * MS, abs=4 * 5 * MS / DRAWS**0.5)
    assert variance == pytest.approx((5 * MS) ** 2, rel=4 * (2 / DRAWS) ** 0.5)
    assert skewness == pytest.approx(0, abs=4 * (6 / DRAWS) ** 0.5)
    assert kurtosis == pytest.approx(3, abs=4 * (24 / DRAWS) ** 0.5)
    # Kolmogorov and Smirnov's distance to the distribution function, 1.95 / sqrt n at one in a thousand.
    normal = NormalDist(50 * MS, 5 * MS)
    distance = max(abs(normal.cdf(value) - rank / DRAWS) for rank, value in enumerate(sorted(values)))
    assert distance < 1.95 / DRAWS**0.5


def test_the_two_values_of_a_pair_are_uncorrelated() -> None:
    draw = Normal(50 * MS, 5 * MS, random.Random(4))
    pairs = [(draw() - 50 * MS, draw() - 50 * MS) for _ in range(DRAWS // 2)]
    correlation = sum(one * other for one, other in pairs) / len(pairs) / (5 * MS) ** 2
    assert abs(correlation) < 4 / len(pairs) ** 0.5


def test_normal_delays_are_never_negative() -> None:
    draw = Normal(MS, 5 * MS, random.Random(4))
    values = [draw() for _ in range(1000)]
    assert min(values) == 0
    # P(z < -0.2) = 0.42.
    assert values.count(0) == pytest.approx(421, abs=4 * (1000 * 0.42 * 0.58) ** 0.5)


def test_a_seed_gives_the_delays_of_the_documented_method() -> None:
    draw = Normal(10 * MS, MS, random.Random(7))
    rng = random.Random(7)
    x, y = 2 * rng.random() - 1, 2 * rng.random() - 1
    square = x * x + y * y
    assert square < 1
    scale = math.sqrt(-2 * math.log(square) / square)
    assert [draw(), draw()] == [10 * MS + round(MS * x * scale), 10 * MS + round(MS * y * scale)]


@given(st.floats(min_value=5e-324, max_value=1e300))
def test_the_logarithm_is_one(value: float) -> None:
    assert logarithm(value) == pytest.approx(math.log(value), rel=1e-14, abs=1e-15)


def test_values_come_in_order_again_and_again_or_at_random(tmp_path: Path) -> None:
    draw = Values([5, 0, 9])
    assert [draw() for _ in range(7)] == [5, 0, 9, 5, 0, 9, 5]
    at_random = Values([5, 0, 9], random.Random(1))
    counts = Counter(at_random() for _ in range(3000))
    assert sorted(counts) == [0, 5, 9]
    assert min(counts.values()) > 900


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\nx\n", "f:2: a line is one number of milliseconds, not 'x'"),
        ("1/0", "f:1: a line is one number of milliseconds, not '1/0'"),
        ("# nothing\n", "f: no values; a line is one number of milliseconds, such as 12.5"),
        ("2\n-1", "f:2: a delay is not negative: -1"),
    ],
)
def test_a_file_that_has_no_values_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "f").write_text(text)
    with pytest.raises(TransportError) as caught:
        load_values(tmp_path / "f")
    assert str(caught.value) == f"{tmp_path}/{message}"


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xff")
    with pytest.raises(TransportError, match="no text"):
        load_values(tmp_path / "f")


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 200)), min_size=1, max_size=40))
def test_order_is_kept_or_each_packet_has_exactly_its_delay(steps: list[tuple[int, int]]) -> None:
    arrivals, now = [], 0
    for gap_ns, _ in steps:
        now += gap_ns
        arrivals.append((now, 100))
    delays = [delay_ns for _, delay_ns in steps]
    timeline = Timeline()
    free = send(timeline, [Jitter(timeline, Values(delays), keeps_order=False, delay_ns=3).put], arrivals)
    exact = [arrivals[number][0] + delay_ns + 3 for number, delay_ns in enumerate(delays)]
    assert {packet.payload: time_ns for time_ns, packet in free.arrivals} == dict(enumerate(exact))
    timeline = Timeline()
    ordered = send(timeline, [Jitter(timeline, Values(delays), delay_ns=3).put], arrivals)
    assert ordered.numbers == list(range(len(steps)))
    # Nobody waits longer than for the latest of those before.
    assert [time_ns for time_ns, _ in ordered.arrivals] == [max(exact[: index + 1]) for index in range(len(exact))]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda rng: Uniform(-1, 5, rng), "low is at least 0, not -1"),
        (lambda rng: Uniform(6, 5, rng), "high is at least 6, not 5"),
        (lambda rng: Normal(-1, 5, rng), "mean is at least 0, not -1"),
        (lambda rng: Normal(1, -5, rng), "deviation is at least 0, not -5"),
        (lambda rng: Values([], rng), "values are needed"),
        (lambda rng: Values([1, -1], rng), "a value is at least 0, not -1"),
    ],
)
def test_distributions_out_of_range_are_refused(make: object, message: str) -> None:
    with pytest.raises(TransportError, match=message):
        make(random.Random(0))


def _call(distribution: Distribution) -> int:
    return distribution()
