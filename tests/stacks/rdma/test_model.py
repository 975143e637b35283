"""Two devices under any order of posts, pauses and changes of the network, held against a model (traffic.py)."""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from stacks.rdma import QpState, WrOpcode
from tests.stacks.rdma.rig import Rig
from tests.stacks.rdma.traffic import MEMORY_BYTES, SLOT_BYTES, TRAFFIC, Traffic
from transports.simulation import Impairments

LONG_STEPS = 100_000
SIDES = st.integers(0, 1)
LENGTHS = st.one_of(
    st.integers(0, 9),
    st.integers(0, SLOT_BYTES),
    st.sampled_from([255, 256, 257, 1023, 1024, 1025, 2048, 4096, SLOT_BYTES]),
)
NETWORKS = st.builds(
    Impairments,
    loss=st.sampled_from([0.0, 0.01, 0.1]),
    duplication=st.sampled_from([0.0, 0.1, 0.5]),
    reordering=st.sampled_from([0.0, 0.1, 0.5]),
    corruption=st.sampled_from([0.0, 0.02]),
    jitter_ns=st.sampled_from([0, 20_000]),
)


class RdmaModel(RuleBasedStateMachine):
    """Anything may be posted at any time; whatever the network does, the model's outcome is the only one."""

    @initialize(
        seed=st.integers(0, 1 << 32),
        shortcuts=st.booleans(),
        path_mtu=st.sampled_from([256, 1024, 4096]),
        rd_atomic=st.sampled_from([1, 2, 16]),
        psn=st.sampled_from([0, 0xFFFFF0, 0x7FFFF0]),
    )
    def start(self, *, seed: int, shortcuts: bool, path_mtu: int, rd_atomic: int, psn: int) -> None:
        rig = Rig(
            seed=seed, shortcuts=shortcuts, path_mtu=path_mtu, memory_bytes=MEMORY_BYTES, tells_identification=True,
            timeout=7, min_rnr_timer=8, max_qp_rd_atomic=rd_atomic, max_dest_rd_atomic=rd_atomic, psn=psn,
        )  # fmt: skip
        self.traffic = Traffic(rig, seed)

    @rule(side=SIDES, opcode=st.sampled_from(TRAFFIC), length=LENGTHS)
    def post_send(self, side: int, opcode: WrOpcode, length: int) -> None:
        self.traffic.sides[side].post(opcode, length)

    @rule(side=SIDES, opcode=st.sampled_from(TRAFFIC), length=LENGTHS, count=st.integers(2, 12))
    def post_a_run(self, side: int, opcode: WrOpcode, length: int, count: int) -> None:
        for _ in range(count):
            self.traffic.sides[side].post(opcode, length)

    @rule(side=SIDES, count=st.integers(1, 8))
    def post_receives(self, side: int, count: int) -> None:
        for _ in range(count):
            self.traffic.sides[side].post_receive()

    @rule(duration_ns=st.sampled_from([0, 1, 5_000, 10_000, 30_000, 200_000, 5_000_000]))
    def let_time_pass(self, duration_ns: int) -> None:
        self.traffic.run(duration_ns)

    @rule(network=NETWORKS)
    def change_the_network(self, network: Impairments) -> None:
        self.traffic.rig.network.impairments = network
        self.traffic.rig.network.forget_paths()

    @rule()
    def come_to_rest(self) -> None:
        self.traffic.finish()

    @invariant()
    def both_ends_live(self) -> None:
        if hasattr(self, "traffic"):
            for side in self.traffic.sides:
                assert side.end.qp.state is QpState.RTS

    def teardown(self) -> None:
        if hasattr(self, "traffic"):
            self.traffic.finish()


TestRdmaModel = pytest.mark.slow(RdmaModel.TestCase)
TestRdmaModel.settings = settings(max_examples=30, stateful_step_count=40)


def random_steps(seed: int, count: int) -> None:
    """The same rules drawn by a generator: far more steps than Hypothesis would take in one run."""
    rng = random.Random(seed)

    def pick(values: list[int] | tuple[int, ...]) -> int:
        return values[int(rng.random() * len(values))]

    rig = Rig(
        seed=seed, shortcuts=rng.random() < 0.5, path_mtu=pick((256, 1024, 4096)), memory_bytes=MEMORY_BYTES,
        tells_identification=True, timeout=7, min_rnr_timer=8,
    )  # fmt: skip
    traffic = Traffic(rig, seed)
    for _ in range(count):
        draw = rng.random()
        side = traffic.sides[rng.random() < 0.5]
        if draw < 0.4:
            traffic.post_random(side)
        elif draw < 0.7:
            side.post_receive()
        elif draw < 0.98:
            traffic.run(pick((0, 5_000, 10_000, 30_000, 200_000)))
        else:
            rig.network.impairments = Impairments(
                loss=pick((0, 1, 10)) / 100, duplication=pick((0, 10, 50)) / 100, reordering=pick((0, 10, 50)) / 100,
                jitter_ns=pick((0, 20_000)), corruption=pick((0, 2)) / 100,
            )  # fmt: skip
            rig.network.forget_paths()
    traffic.finish()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_random_steps(seed: int) -> None:
    random_steps(seed, 2000)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 110))
def test_100_000_random_steps(seed: int) -> None:
    random_steps(seed, LONG_STEPS // 10)
