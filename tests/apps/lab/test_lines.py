"""What pictures draw: points of lines, and numbers as people read them."""

from __future__ import annotations

from array import array

import pytest

from apps.lab.figures import short_word, show_value
from apps.lab.pictures.lines import fairness_line, flow_lines, goodput_lines, queue_lines, state_bands
from apps.pictures.numbers import show_number
from apps.pictures.points import POINTS_MAX, distribution, thin
from stacks.lab.results.record import Record

SECOND = 1_000_000_000


def record() -> Record:
    """Two flows, sampled each second for 300 s: one of 8 Mbit/s, and from 100 s on one of 2 Mbit/s; a queue of 1 MB."""
    series: dict[str, array[int]] = {
        name: array("q") for name in ("time_ns", "flow", "goodput_bytes", "window_bytes", "state")
    }
    for second in range(301):
        for flow, (start, rate) in enumerate(((0, 1_000_000), (100, 250_000))):
            if second >= start:
                window, state = (-1, second % 2) if flow else (5000, 0)
                values = (second * SECOND, flow, (second - start) * rate, window, state)
                for name, value in zip(series, values, strict=True):
                    series[name].append(value)
    times = array("q", range(0, 301 * SECOND, SECOND))
    return Record(
        {
            "flows": {"name": ["one", "two"], "group": ["one", "two"]},
            "links": {"name": ["narrow"], "rate_bps": array("q", [8_000_000])},
            "series": series,
            "queues": {
                "time_ns": times,
                "link": array("q", bytes(8 * 301)),
                "backlog_bytes": array("q", [1_000_000] * 301),
            },
        },
        ("up", "down"),
    )


def test_goodput_is_that_of_intervals_of_whole_samples() -> None:
    one, two = goodput_lines(record())
    assert set(one.y) == {8.0}
    assert set(two.y) == {2.0}
    assert min(two.x) > 100
    assert len(one.x) == 150


def test_fairness_begins_with_the_second_flow() -> None:
    line = fairness_line(record())
    # Jain's index of 4 to 1: 25 / (2 * 17).
    assert {round(value, 9) for value in line.y} == {round(25 / 34, 9)}
    assert min(line.x) > 100


def test_what_stands_for_nothing_is_no_point() -> None:
    (line,) = flow_lines(record(), "window_bytes", 1000)
    assert (line.name, set(line.y)) == ("one", {5.0})


def test_a_queue_is_told_as_the_time_that_it_takes() -> None:
    (line,) = queue_lines(record())
    assert set(line.y) == {1000.0}


def test_states_follow_each_other_without_a_gap() -> None:
    one, two = state_bands(record())
    assert one.spans == [(0.0, 300.0, "up")]
    assert all(earlier[1] == later[0] for earlier, later in zip(two.spans, two.spans[1:], strict=False))
    assert two.spans[0][2] == "up"
    assert two.spans[1][2] == "down"


def test_thin_lines_keep_every_peak() -> None:
    y = [0.0] * 100_000
    y[54_321] = 7.0
    y[99_999] = -3.0
    x, thinned = thin(range(100_000), y)
    assert len(thinned) <= POINTS_MAX
    assert max(thinned) == 7.0
    assert min(thinned) == -3.0
    assert x == sorted(x)


def test_a_distribution_ends_at_one() -> None:
    assert distribution([3, 1, 2, 2]) == ([1, 2, 2, 3], [0.25, 0.5, 0.75, 1.0])


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("goodput_bps", 12_345_678, ("goodput", "12.3 Mbit/s")),
        ("bbr.delay_p95_ns", 1_500_000, ("bbr.delay p95", "1.5 ms")),
        ("convergence_ns", None, ("convergence", "-")),
        ("loss", 0.0123, ("loss", "1.23 %")),
        ("a.harm_of_goodput", -0.5, ("a.harm of goodput", "-50.00 %")),
        ("jain", 0.98765, ("jain", "0.9877")),
        ("completed_flows", 12345, ("completed flows", "12,345")),
        ("power", 4.5e8, ("power", "450 Mbit/s per s")),
        ("queue_max_bytes", 2_500, ("queue max", "2.5 kB")),
    ],
)
def test_a_metric_is_told_in_its_unit(name: str, value: object, shown: tuple[str, str]) -> None:
    assert show_value(name, value) == shown


def test_a_rate_keeps_its_stroke_and_a_file_loses_its_folders() -> None:
    assert short_word("20Mbit/s") == "20Mbit/s"
    assert short_word("/home/me/mine.py:Mine") == "mine.py:Mine"


def test_nothing_is_a_dash() -> None:
    assert show_number("ns", -1) == "-"
    assert show_number("", -1) == "-1"
