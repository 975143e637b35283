"""Verified I/O over workers while everything that their rights depend on changes again and again."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from stacks.nvme.host import HostConfig, HostNamespace
from stacks.nvme.stores import MemoryStore
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.transfers import SECOND
from tests.stacks.nvme.verifier import Verifier
from tests.stacks.nvme.workers_rig import WorkersRig
from wire.nvme.kinds import AnaState
from wire.nvme.reservations import RegisterAction

BLOCK = 4096
VERIFIED = 64
"""Blocks that the verifier has to itself; changes that spoil content are behind them."""


class Changes:
    """What another host and the program do, one thing at a time."""

    def __init__(self, rig: WorkersRig, other: HostNamespace, rng: random.Random) -> None:
        self.rig = rig
        self.other = other
        self.rng = rng
        self.kinds: list[Callable[[], None]] = [self.ana, self.group, self.mark, self.pair, self.register, self.grow]

    def change(self) -> None:
        """Do one of them."""
        self.kinds[int(self.rng.random() * len(self.kinds))]()

    def ana(self) -> None:
        states = (AnaState.OPTIMIZED, AnaState.NON_OPTIMIZED)
        self.rig.subsystem.set_ana_state(1, states[int(self.rng.random() * 2)])

    def group(self) -> None:
        self.rig.subsystem.move_namespace(1, 1 + int(self.rng.random() * 3))

    def mark(self) -> None:
        self.rig.finish(self.other.write_uncorrectable(VERIFIED, 1))
        assert self.rig.rights == []
        self.rig.finish(self.other.write(VERIFIED, memoryview(bytes(BLOCK))))

    def pair(self) -> None:
        before = memoryview(bytes(self.rig.read(self.other, VERIFIED + 1, 1)))
        after = memoryview(bytes([before[0] + 1 & 0xFF]) * BLOCK)
        assert self.rig.do(self.other.compare_and_write(VERIFIED + 1, before, after)) == 0

    def register(self) -> None:
        assert self.rig.do(self.other.reservation_register(7)) == 0
        assert self.rig.rights == []
        assert self.rig.do(self.other.reservation_register(key=7, action=RegisterAction.UNREGISTER)) == 0

    def grow(self) -> None:
        store = self.rig.subsystem.namespaces[1].store
        store.resize((store.block_count + 1) * BLOCK)
        assert self.rig.rights == []
        self.rig.subsystem.resize_namespace(1)


SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 9))]


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_content_is_right_whatever_changes_and_whenever(seed: int) -> None:
    rng = random.Random(seed)
    rig = WorkersRig(MemoryStore((VERIFIED + 8) * BLOCK), seed=seed, workers=2)
    other = rig.connect(HostConfig(nqn=NQN, host_nqn="nqn.2026-11.io.baremetal:other", host_id=b"o" * 16)).namespace()

    def later(go_on: Callable[[], None]) -> None:
        def act() -> None:
            go_on()
            rig.initiator_host.wake()

        rig.simulation.schedule(rig.simulation.now + int(rng.random() * SECOND / 300), act)

    work = Verifier(rig.namespace(io_queues=4), rng, depth=8, blocks=VERIFIED, later=later)
    changes, direct, total = Changes(rig, other, rng), 0, 0
    for _ in range(25):
        changes.change()
        rig.run_for(int(rng.random() * SECOND / 40))
        direct += len(rig.rights)
        total += len(rig.handover.grants.connections)
    work.is_stopped = True
    rig.run_until(lambda: work.is_idle)
    assert work.problems == []
    assert work.verified > 50
    content = rig.read(work.namespace, 0, VERIFIED)
    held = [int.from_bytes(content[at : at + 8], "little") for at in range(0, len(content), BLOCK)]
    assert held == work.versions
    assert 0 < direct < total, "workers had rights at times, and at times not"
    rig.run_for(SECOND)
    assert {worker.core.port.pool.free_buffers for worker in rig.workers} == {rig.tcp_target.port.pool.free_buffers}
