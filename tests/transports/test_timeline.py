"""A timeline runs actions in the order of time and asking, and its timers move."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.errors import TransportError
from transports.timeline import NEVER, Timeline


def test_actions_run_by_time_and_then_in_the_order_of_asking() -> None:
    timeline, seen = Timeline(), []
    for time_ns, name in ((5, "c"), (3, "a"), (5, "d"), (3, "b")):
        timeline.at(time_ns, lambda name: seen.append((timeline.now, name)), name)
    timeline.run(4)
    assert seen == [(3, "a"), (3, "b")]
    assert timeline.now == 4
    assert timeline.poll_deadline() == 5
    timeline.run(10)
    assert seen[2:] == [(5, "c"), (5, "d")]
    assert timeline.now == 10
    assert timeline.poll_deadline() is None
    assert timeline.steps == 4


def test_an_action_may_ask_for_another_at_its_own_time() -> None:
    timeline, seen = Timeline(), []
    timeline.at(1, lambda _: timeline.at(1, seen.append, "later"))
    timeline.at(1, seen.append, "sooner")
    timeline.run(1)
    assert seen == ["sooner", "later"]


def test_an_action_that_is_run_late_sees_the_time_it_asked_for() -> None:
    timeline, seen = Timeline(), []
    timeline.at(7, lambda _: seen.append(timeline.now))
    timeline.run(1000)
    assert seen == [7]


@given(st.lists(st.tuples(st.integers(0, 50), st.one_of(st.none(), st.integers(0, 60))), max_size=30))
def test_a_timer_fires_once_at_the_time_it_was_last_armed_for(steps: list[tuple[int, int | None]]) -> None:
    timeline, fired = Timeline(), []
    timer = timeline.timer(lambda: fired.append(timeline.now))
    expected, due = [], None
    for wait_ns, delay_ns in steps:
        end_ns = timeline.now + wait_ns
        timeline.run(end_ns)
        if due is not None and due <= end_ns:
            expected.append(due)
            due = None
        assert fired == expected
        assert timer.due_ns == (NEVER if due is None else due)
        if delay_ns is None:
            timer.cancel()
            due = None
        else:
            due = end_ns + delay_ns
            timer.arm(due)
    timeline.run(10_000)
    assert fired == expected + ([] if due is None else [due])


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=20))
def test_time_never_goes_back_whatever_is_asked_for(asked: list[tuple[int, int]]) -> None:
    timeline, times = Timeline(), []
    for first_ns, second_ns in asked:
        timeline.at(first_ns, lambda later_ns: (times.append(timeline.now), timeline.at(later_ns, note)), second_ns)

    def note(_argument: object) -> None:
        times.append(timeline.now)

    timeline.run(200)
    assert times == sorted(times)
    assert len(times) == 2 * len(asked)


def test_an_action_cannot_run_the_timeline() -> None:
    timeline = Timeline()
    timeline.at(1, lambda _: timeline.run(5))
    with pytest.raises(TransportError, match="its own actions"):
        timeline.run(10)
    assert timeline.run(10)


def test_a_run_may_be_cut_short_by_a_budget_or_an_action() -> None:
    timeline, seen = Timeline(), []
    for time_ns in range(5):
        timeline.at(time_ns, seen.append, time_ns)
    assert not timeline.run(100, max_steps=2)
    assert seen == [0, 1]
    assert timeline.now == 1
    timeline.at(3, lambda _: timeline.stop())
    assert timeline.run(100)
    assert seen == [0, 1, 2, 3]
    assert timeline.now == 3
    assert timeline.run(100)
    assert seen == [0, 1, 2, 3, 4]
