"""Everything at once between two devices, under any order of posts, mistakes and changes of the network.

RC with go-back-N, selective repeat, congestion control and a shared receive queue, XRC, UC and UD, with every
operation, windows, and requests that end a connection. Reliable data is intact, completions are exact and in order,
nothing is stuck once the network is whole, and a queue pair leaves RTS only for a reason that is known (IBTA 9.7, 9.8,
9.9, A14).
"""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from stacks.rdma import WrOpcode
from tests.stacks.rdma.proofs.reliable_sides import OPERATIONS, Blunder
from tests.stacks.rdma.proofs.world import World
from tests.stacks.rdma.traffic import SLOT_BYTES
from transports.simulation import Impairments

LONG_STEPS = 100_000
NETWORKS = [
    Impairments(),
    Impairments(loss=0.01, duplication=0.01, reordering=0.01, corruption=0.01, jitter_ns=5_000),
    Impairments(loss=0.03, duplication=0.1, reordering=0.1, corruption=0.01, jitter_ns=20_000),
    Impairments(reordering=0.5, duplication=0.3),
    Impairments(loss=0.05),
]
"""No worse, since a hundred thousand steps would then meet eight losses in a row, which rightly end a connection."""
LENGTHS = st.one_of(
    st.integers(0, 9),
    st.integers(0, SLOT_BYTES),
    st.sampled_from([255, 256, 257, 1023, 1024, 1025, 4096, SLOT_BYTES]),
)
WAITS_NS = (0, 5_000, 10_000, 30_000, 200_000, 5_000_000)
NUMBERS = st.integers(0, 10)


class WorldModel(RuleBasedStateMachine):
    """Rules draw which side does something by number; `World` says what must come of it."""

    @initialize(seed=st.integers(0, 1 << 32), shortcuts=st.booleans(), path_mtu=st.sampled_from([256, 1024, 4096]))
    def start(self, *, seed: int, shortcuts: bool, path_mtu: int) -> None:
        self.world = World(seed=seed, shortcuts=shortcuts, path_mtu=path_mtu)

    @rule(number=NUMBERS, opcode=st.sampled_from(OPERATIONS), length=LENGTHS, count=st.sampled_from([1, 1, 3, 10]))
    def post(self, number: int, opcode: WrOpcode, length: int, count: int) -> None:
        for _ in range(count):
            self.world.senders[number].post(opcode, length)

    @rule(number=st.integers(0, 3), length=LENGTHS, count=st.integers(1, 5))
    def post_unreliably(self, number: int, length: int, count: int) -> None:
        for _ in range(count):
            self.world.unreliable_sides[number].post(length)

    @rule(count=st.integers(1, 4))
    def post_receives(self, count: int) -> None:
        for side in (*self.world.reliable_sides, *self.world.unreliable_sides):
            for _ in range(count):
                if side is not self.world.xrc:
                    side.post_receive()

    @rule(number=st.integers(0, 9), window=st.integers(0, 1))
    def bind(self, number: int, window: int) -> None:
        self.world.senders[number].bind(window)

    @rule(number=st.integers(0, 9), window=st.integers(0, 1))
    def unbind(self, number: int, window: int) -> None:
        self.world.senders[number].unbind(window)

    @rule(duration_ns=st.sampled_from(WAITS_NS))
    def let_time_pass(self, duration_ns: int) -> None:
        self.world.run(duration_ns)

    @rule(network=st.sampled_from(NETWORKS))
    def change_the_network(self, network: Impairments) -> None:
        self.world.set_network(network)

    @rule(probability=st.sampled_from([0.0, 0.02, 0.2]))
    def mark_packets(self, probability: float) -> None:
        self.world.mark(probability)

    @rule(number=st.integers(0, 2), which=st.integers(0, 1), blunder=st.sampled_from(Blunder))
    def end_a_connection(self, number: int, which: int, blunder: Blunder) -> None:
        self.world.end_connection(number, which, blunder)

    @invariant()
    def nobody_ended_without_a_reason(self) -> None:
        if hasattr(self, "world"):
            self.world.check_states()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.finish()


STEPS = 50
USUAL = settings(derandomize=True, deadline=None, stateful_step_count=STEPS, suppress_health_check=list(HealthCheck))


class LongWorldModel(WorldModel):
    """The same, for as many steps as the long tests take."""


TestWorldModel = pytest.mark.slow(WorldModel.TestCase)
TestWorldModel.settings = settings(USUAL, max_examples=2000 // STEPS)
TestLongWorldModel = pytest.mark.long(LongWorldModel.TestCase)
TestLongWorldModel.settings = settings(USUAL, max_examples=LONG_STEPS // STEPS)


def random_steps(seed: int, count: int) -> None:
    """The same rules drawn by a generator."""
    rng = random.Random(seed)

    def draw(limit: int) -> int:
        return int(rng.random() * limit)

    world = World(seed=seed, shortcuts=seed % 2 == 0, path_mtu=(256, 1024, 4096)[draw(3)])
    for _ in range(count):
        kind = rng.random()
        if kind < 0.4:
            length = draw(300 if draw(2) else SLOT_BYTES + 1)
            world.senders[draw(11)].post(OPERATIONS[draw(len(OPERATIONS))], length)
        elif kind < 0.5:
            world.unreliable_sides[draw(4)].post(draw(SLOT_BYTES + 1))
        elif kind < 0.65:
            for side in (*world.reliable_sides, *world.unreliable_sides):
                if side is not world.xrc:
                    side.post_receive()
        elif kind < 0.72:
            side = world.senders[draw(10)]
            (side.bind if draw(2) else side.unbind)(draw(2))
        elif kind < 0.97:
            world.run(WAITS_NS[draw(len(WAITS_NS) - 1)])
        elif kind < 0.99:
            world.set_network(NETWORKS[draw(len(NETWORKS))])
            world.mark((0.0, 0.02, 0.2)[draw(3)])
        else:
            world.end_connection(draw(3), draw(2), list(Blunder)[draw(4)])
    world.finish()
    assert all(side.received for side in world.unreliable_sides) or count < 1000


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2], ids=["per packet", "shortcuts"])
def test_2_000_random_steps(seed: int) -> None:
    random_steps(seed, 2000)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(50))
def test_100_000_random_steps(seed: int) -> None:
    random_steps(seed, LONG_STEPS // 50)
