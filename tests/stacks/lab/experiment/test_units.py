"""Quantities as people write them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from stacks.lab.experiment import units
from stacks.lab.experiment.values import Buffer
from stacks.runtime import LocalError


@pytest.mark.parametrize(
    ("text", "bps"),
    [("64kbit/s", 64_000), ("12.5Mbit/s", 12_500_000), ("10Gbps", 10**10), ("1 bit/s", 1), ("1e3 Mbit/s", 10**9)],
)
def test_a_rate_is_bits_per_second(text: str, bps: int) -> None:
    assert units.rate(text) == bps


@pytest.mark.parametrize(
    "value", [10, "10", "10MB", "10 Mb", "-1Mbit/s", "0bit/s", "20Tbit/s", "fast", True, 1.5, None]
)
def test_what_is_no_rate_is_refused(value: object) -> None:
    with pytest.raises(LocalError, match=r"^is (a rate such as|from 1 bit/s|not negative)"):
        units.rate(value)


@pytest.mark.parametrize(
    ("text", "ns"), [("0s", 0), ("1ns", 1), ("1.5us", 1500), ("40ms", 40_000_000), ("2min", 120 * 10**9)]
)
def test_a_time_is_nanoseconds(text: str, ns: int) -> None:
    assert units.duration(text) == ns


@pytest.mark.parametrize("value", [5, "5", "-5ms", "5 fortnights", "400000h"])
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(LocalError, match=r"^is "):
        units.duration(value)


def test_a_duration_of_nothing_is_refused_where_something_has_to_happen() -> None:
    with pytest.raises(LocalError, match="^is more than no time"):
        units.span("0s")


@pytest.mark.parametrize(("text", "count"), [("1B", 1), ("10MB", 10**7), ("64KiB", 65536), (1500, 1500)])
def test_a_size_is_bytes(text: object, count: int) -> None:
    assert units.size(text) == count


@pytest.mark.parametrize(
    ("value", "part"), [("2%", Fraction(1, 50)), (0.1, Fraction(1, 10)), (1, 1), ("0.5 %", Fraction(1, 200))]
)
def test_a_share_is_exact(value: object, part: Fraction) -> None:
    assert units.share(value) == part


@pytest.mark.parametrize("value", ["101%", 1.5, -0.1, "2", True, float("nan")])
def test_what_is_no_share_is_refused(value: object) -> None:
    with pytest.raises(LocalError, match="^is a share such as"):
        units.share(value)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("100packets", 150_000),
        ("1 packet", 1500),
        ("64KiB", 65536),
        ("40ms", 50_000),  # of 10 Mbit/s
        ("1bdp", 25_000),  # 10 Mbit/s and 20 ms
        ("0.5bdp", 12_500),
    ],
)
def test_a_buffer_is_bytes_at_its_link(text: str, size_bytes: int) -> None:
    assert units.buffer(text).size_bytes(10_000_000, 20_000_000, 1500) == size_bytes


def test_a_buffer_of_thousandths_of_a_bdp_is_exact() -> None:
    assert units.buffer("1.125bdp") == Buffer("bdp", 1125)


@pytest.mark.parametrize("value", [10, "10", "0packets", "10 Mbit/s", "-1bdp", "bdp"])
def test_what_is_no_buffer_is_refused(value: object) -> None:
    with pytest.raises(LocalError, match=r"^(is|has) "):
        units.buffer(value)
