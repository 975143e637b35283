"""Sizes, rates and durations as people write and read them."""

from __future__ import annotations

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from apps.sizes import Bytes, Nanoseconds, format_duration, format_rate, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("4k", 4096),
        ("4K", 4096),
        ("4KiB", 4096),
        ("4kB", 4000),
        ("1.5MiB", 1572864),
        ("1GiB", 1 << 30),
        ("1TiB", 1 << 40),
        ("2 MiB", 2 << 20),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "k", "4q", "-1", "1.3", "4 k b", "0x10", "1e3"])
def test_what_is_no_size_is_refused_with_its_own_words(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="size|whole number"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "duration"), [("2", 2e9), ("10s", 1e10), ("500ms", 5e8), ("2m", 1.2e11), ("3us", 3e3)]
)
def test_durations_are_read_in_their_units(text: str, duration: float) -> None:
    assert parse_duration(text) == duration


def test_what_is_no_duration_is_refused() -> None:
    with pytest.raises(typer.BadParameter):
        parse_duration("soon")


@given(st.integers(0, 1 << 50))
def test_a_printed_size_reads_back_within_its_digits(size: int) -> None:
    number, unit = format_size(size).split()
    assert float(number) * 1024 ** ["B", "KiB", "MiB", "GiB", "TiB", "PiB"].index(unit) == pytest.approx(size, rel=1e-3)


@pytest.mark.parametrize(
    ("duration", "text"), [(850, "850 ns"), (12_300, "12.3 us"), (4.1e6, "4.1 ms"), (2.5e9, "2.5 s")]
)
def test_durations_are_printed_in_the_unit_that_suits(duration: float, text: str) -> None:
    assert format_duration(duration) == text


def test_rates_are_megabytes_of_ten_to_the_six() -> None:
    assert format_rate(1_000_000_000, 1_000_000_000) == "1000 MB/s"
    assert format_rate(1_000, 1_000_000_000) == "0.001 MB/s"


@pytest.mark.parametrize("text", ["0", "1", "4097", "4KiB", "256MiB", "3GiB"])
def test_a_default_shows_itself_as_it_is_written(text: str) -> None:
    assert str(Bytes(parse_size(text))) == text
    assert str(Nanoseconds(3_000_000_000)) == "3s"


@pytest.mark.parametrize("text", ["0", "0s", "0.0001us", "1e9s", "99999999h"])
def test_no_time_at_all_and_for_ever_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_duration(text)
