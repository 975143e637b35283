"""Timers against a plain dictionary of deadlines."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from stacks.runtime import Timers


def test_a_timer_expires_at_its_deadline_and_not_before() -> None:
    timers: Timers[str] = Timers()
    timers.arm("ack", 100)
    assert timers.expired(99) == []
    assert timers.expired(100) == ["ack"]
    assert timers.expired(100) == []
    assert timers.next_deadline() is None


def test_rearming_moves_the_deadline_in_both_directions() -> None:
    timers: Timers[str] = Timers()
    timers.arm("ack", 100)
    timers.arm("ack", 300)
    assert timers.next_deadline() == 300
    timers.arm("ack", 50)
    assert timers.next_deadline() == 50
    assert timers.deadline("ack") == 50


def test_a_cancelled_timer_does_not_expire() -> None:
    timers: Timers[str] = Timers()
    timers.arm("ack", 100)
    timers.cancel("ack")
    timers.cancel("never set")
    assert not timers.is_armed("ack")
    assert timers.expired(1000) == []


def test_equal_deadlines_expire_in_the_order_they_were_set() -> None:
    timers: Timers[int] = Timers()
    for key in (3, 1, 2):
        timers.arm(key, 7)
    assert timers.expired(7) == [3, 1, 2]


def test_alternating_far_and_near_deadlines_stay_exact_over_many_rounds() -> None:
    timers: Timers[str] = Timers()
    for now in range(10_000):
        timers.arm("ack", now + 10**9)
        timers.arm("ack", now + 1)
        assert timers.expired(now + 1) == ["ack"]
    assert timers.next_deadline() is None


def test_ever_earlier_deadlines_stay_exact() -> None:
    timers: Timers[str] = Timers()
    timers.arm("other", 500)
    for deadline in range(10_000, 1_000, -1):
        timers.arm("ack", deadline)
    assert timers.expired(1_000) == ["other"]
    assert timers.next_deadline() == 1_001
    assert timers.expired(20_000) == ["ack"]
    assert timers.next_deadline() is None


class TimersModel(RuleBasedStateMachine):
    """Any sequence of calls gives what a dictionary of deadlines gives."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: Timers[int] = Timers()
        self.model: dict[int, int] = {}

    @rule(key=st.integers(0, 5), deadline=st.integers(0, 50))
    def arm(self, key: int, deadline: int) -> None:
        self.timers.arm(key, deadline)
        self.model[key] = deadline

    @rule(key=st.integers(0, 5))
    def cancel(self, key: int) -> None:
        self.timers.cancel(key)
        self.model.pop(key, None)

    @rule(now=st.integers(0, 50))
    def expire(self, now: int) -> None:
        expired = self.timers.expired(now)
        deadlines = [self.model[key] for key in expired]
        assert deadlines == sorted(deadlines)
        assert set(expired) == {key for key, deadline in self.model.items() if deadline <= now}
        for key in expired:
            del self.model[key]

    @invariant()
    def the_next_deadline_is_the_smallest(self) -> None:
        assert self.timers.next_deadline() == min(self.model.values(), default=None)


TestTimersModel = TimersModel.TestCase
TestTimersModel.settings = settings(max_examples=40, stateful_step_count=40)
