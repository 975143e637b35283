"""Two ends and a network that loses, repeats and reorders: all arrives once, in order, and no credit is exceeded."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.stacks.quic.streams.model import FATES, Model

NUMBER = st.integers(0, 1 << 16)
FLIGHT = st.lists(st.tuples(NUMBER, st.sampled_from(FATES)), min_size=1, max_size=8)


class StreamsMachine(RuleBasedStateMachine):
    """Few rules, each of which does much: so that short runs get somewhere."""

    @initialize(
        stream=st.sampled_from((64, 1000, 20_000)),
        connection=st.sampled_from((100, 5000, 50_000)),
        streams=st.lists(st.tuples(NUMBER, st.booleans(), st.integers(0, 7), st.booleans()), min_size=1, max_size=9),
    )
    def begin(self, stream: int, connection: int, streams: list[tuple[int, bool, int, bool]]) -> None:
        self.model = Model(stream, connection)
        for who, is_unidirectional, urgency, is_incremental in streams:
            self.model.open(who, is_unidirectional=is_unidirectional, urgency=urgency, is_incremental=is_incremental)

    @rule(which=NUMBER, size=st.sampled_from((0, 1, 100, 3000, 20_000)), end=st.integers(0, 5))
    def write(self, which: int, size: int, end: int) -> None:
        self.model.write(which, size, is_fin=end == 5)

    @rule(which=NUMBER, code=st.integers(1, 9), reliable_bytes=st.sampled_from((None, 0, 30, 5000)))
    def give_up(self, which: int, code: int, reliable_bytes: int | None) -> None:
        if reliable_bytes is None:
            self.model.stop(which, code)
        else:
            self.model.reset(which, code, reliable_bytes)

    @rule(who=NUMBER, size=st.sampled_from((40, 150, 1200)), flight=FLIGHT, read=st.sampled_from((0, 1, 50, 100_000)))
    def pass_time(self, who: int, size: int, flight: list[tuple[int, str]], read: int) -> None:
        for _ in flight:
            self.model.send(who, size)
        for which, fate in flight:
            self.model.settle(who, which, fate)
            if read:
                self.model.read(which, read)

    @invariant()
    def gaps_are_counted(self) -> None:
        if hasattr(self, "model"):
            self.model.check_gaps()

    def teardown(self) -> None:
        if hasattr(self, "model"):
            self.model.finish()


@pytest.mark.slow
class TestStreams(StreamsMachine.TestCase):  # type: ignore[name-defined,misc]
    """Few runs, and short ones."""

    settings = settings(max_examples=50, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.long
class TestManyStreams(StreamsMachine.TestCase):  # type: ignore[name-defined,misc]
    """The same for longer."""

    settings = settings(
        max_examples=2000, stateful_step_count=120, deadline=None, suppress_health_check=list(HealthCheck)
    )


def storm(seed: int, steps: int) -> None:
    """A long run by chance: everything at once, losses of one packet in five."""
    rng = random.Random(seed)

    def draw(limit: int) -> int:
        return int(rng.random() * limit)

    model = Model((64, 1000, 20_000)[draw(3)], (100, 5000, 50_000)[draw(3)])
    for _ in range(9):
        model.open(draw(2), is_unidirectional=draw(2) == 0, urgency=draw(8), is_incremental=draw(2) == 0)
    for _ in range(steps):
        choice = draw(100)
        if choice < 15:
            model.write(draw(99), (0, 1, 7, 100, 3000)[draw(5)], is_fin=draw(20) == 0)
        elif choice < 30:
            model.read(draw(99), (1, 50, 100_000)[draw(3)])
        elif choice < 60:
            model.send(draw(2), (40, 150, 1200)[draw(3)])
        elif choice < 92:
            model.settle(draw(2), draw(99), FATES[draw(len(FATES))])
        elif choice < 98:
            model.open(draw(2), is_unidirectional=draw(2) == 0, urgency=draw(8), is_incremental=draw(2) == 0)
        elif choice < 99:
            model.reset(draw(99), draw(9), (0, 30, 5000)[draw(3)])
        elif draw(3) == 0:
            model.stop(draw(99), draw(9))
        model.check_gaps()
    model.finish()


@pytest.mark.parametrize("seed", range(16))
def test_a_storm_is_survived(seed: int) -> None:
    storm(seed, 1500)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(16, 400))
def test_many_storms_are_survived(seed: int) -> None:
    storm(seed, 3000)
