"""A write that went another way when its path was lost does not come late over the old one, and over newer data."""

from __future__ import annotations

import pytest

from stacks.nvme.host import ReconnectPolicy
from stacks.nvme.stores import MemoryStore
from tests.stacks.nvme.path_rig import BLOCK, INITIATOR, TCP, PathRig, block_of
from tests.stacks.nvme.transfers import SECOND

PATIENT = ReconnectPolicy(reconnect_delay=60, ctrl_loss_tmo=600)
WRITES = 20


@pytest.mark.parametrize("seed", range(4))
def test_what_a_silent_path_still_holds_never_arrives(seed: int) -> None:
    store = MemoryStore(64 * BLOCK)
    rig = PathRig(store, tcp=2, seed=seed)
    namespace = rig.connect(
        policy=PATIENT, keep_alive_ms=0, command_timeout_ns=2 * SECOND, abort_timeout_ns=SECOND, queue_entries=64
    )
    rig.world.silence(INITIATOR, TCP[0])
    old = [namespace.write(block, block_of(1)) for block in range(WRITES)]
    rig.finish(*old)
    assert not rig.multipath.paths[0].is_live, "they went over the other path"
    assert not any(write.status for write in old)
    new = [namespace.write(block, block_of(2)) for block in range(WRITES)]
    rig.finish(*new)
    assert rig.do(namespace.flush()) == 0
    rig.world.heal(INITIATOR, TCP[0])
    rig.run_for(5 * SECOND)
    assert rig.read(namespace, 0, WRITES) == bytes(block_of(2)) * WRITES
