"""Percentiles of lateness, and the verdict."""

from __future__ import annotations

import pytest

from transports.relay import Lateness, Punctuality

BUCKET_NS = 4096


def test_percentiles_are_exact_to_a_bucket() -> None:
    lateness = Lateness()
    for number in range(1, 1001):
        lateness.record(number * 1000)
    for percent in (1, 50, 99, 100):
        exact_ns = percent * 10 * 1000
        assert exact_ns <= lateness.percentile_ns(percent) < exact_ns + BUCKET_NS
    assert lateness.as_json()["max_ns"] == 1_000_000


def test_what_is_beyond_the_last_bucket_counts_as_the_longest() -> None:
    lateness = Lateness()
    lateness.record(5_000_000_000, 3)
    assert (lateness.count, lateness.percentile_ns(50)) == (3, 5_000_000_000)


def test_a_packet_that_left_early_is_not_late() -> None:
    lateness = Lateness()
    lateness.record(-5)
    assert lateness.percentile_ns(99) == 0


def test_without_packets_a_run_is_valid() -> None:
    assert Punctuality().is_valid
    assert Punctuality().as_json()["reason"] == ""


@pytest.mark.parametrize(("late", "is_valid"), [(9, True), (10, True), (11, False)])
def test_one_packet_in_a_hundred_may_be_late(late: int, is_valid: bool) -> None:
    punctuality = Punctuality(1_000_000)
    punctuality.departure.record(1000, 1000 - late)
    punctuality.departure.record(2_000_000, late)
    assert punctuality.is_valid is is_valid


def test_packets_that_waited_to_be_read_make_a_run_invalid_too() -> None:
    punctuality = Punctuality(500_000)
    punctuality.departure.record(0, 1000)
    punctuality.arrival.record(700_000, 1000)
    assert "were read 0.70 ms late" in punctuality.reason
    assert "0.5 ms" in punctuality.reason
