"""Target and initiator over TCP in virtual time: every block verified, however connections cut and what they hold."""

from __future__ import annotations

import hashlib
import random

import pytest

from stacks.nvme.bindings.tcp import TcpInitiatorConfig, TcpTargetConfig
from stacks.nvme.stores import MemoryStore, VolatileStore
from tests.stacks.nvme.held_stores import CopyingStore
from tests.stacks.nvme.tcp_rig import TcpRig
from tests.stacks.nvme.workload import BLOCKS, Versions, Workload, write_for
from wire.nvme.kinds import TcpDigest

BOTH = int(TcpDigest.HEADER | TcpDigest.DATA)
DIGESTS = {"plain": 0, "header": int(TcpDigest.HEADER), "data": int(TcpDigest.DATA), "both": BOTH}
CAPACITIES = {"a few hundred bytes": 900, "a few PDUs": 9000, "much": 1 << 20}
"""What a connection holds each way; nothing is read or written whole where that is little."""
STORES = {"lends": MemoryStore, "copies": CopyingStore}
BUFFERS = 4096 + 256 + 32


def run(
    seed: int,
    *,
    digests: int = 0,
    capacity: int = 1 << 18,
    cuts: bool = True,
    store: type[MemoryStore] = MemoryStore,
    flow_control: bool = False,
    rounds: int = 3,
    shortcuts: bool = True,
) -> str:
    """A run of the workload; returns a digest of everything that can be seen of it."""
    rig = TcpRig(
        store(BLOCKS * 4096),
        seed=seed,
        cuts=cuts,
        capacity_bytes=capacity,
        initiator=TcpInitiatorConfig(digests=digests, has_sq_flow_control=flow_control, shortcuts=shortcuts),
        target=TcpTargetConfig(
            host_data_bytes=(4096, 20480, 1 << 20)[seed % 3],
            in_capsule_bytes=(0, 4096, 8192, 32768)[seed % 4],
            alignment=(0, 1, 31)[seed // 2 % 3],
            shortcuts=shortcuts,
        ),
    )
    namespace = rig.namespace()
    workload = Workload(rig, namespace, seed)
    for _ in range(rounds):
        workload.round(12)
    workload.verify()
    host = rig.initiator.hosts[0]
    host.stop(rig.simulation.now)
    rig.run_until(lambda: host.is_closed and rig.initiator.is_quiet)
    rig.run_for(2_000_000_000)
    assert host.failure == ""
    assert rig.tcp_target.queue_count == 0
    assert rig.tcp_target.port.pool.free_buffers == BUFFERS
    assert rig.target_host.streams.connection_count == rig.initiator_host.streams.connection_count == 0
    assert rig.tcp_target.counters.connections_stalled == rig.tcp_target.counters.terminations_sent == 0
    seen = [rig.simulation.now, rig.simulation.steps, rig.tcp_target.counters.snapshot()]
    return hashlib.sha256(repr(seen).encode() + workload.expected).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("digests", DIGESTS)
@pytest.mark.parametrize("capacity", CAPACITIES)
@pytest.mark.parametrize("cuts", [True, False])
def test_every_block_is_right_and_a_seed_decides_everything(digests: str, capacity: str, cuts: bool) -> None:
    seed = len(digests) + len(capacity) + cuts
    rounds = 1 if CAPACITIES[capacity] < 1000 else 2
    options = {"digests": DIGESTS[digests], "capacity": CAPACITIES[capacity], "cuts": cuts, "rounds": rounds}
    assert run(seed, **options) == run(seed, **options)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("digests", DIGESTS)
@pytest.mark.parametrize("flow_control", [True, False])
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("seed", [1])
def test_shortcuts_change_nothing_that_can_be_seen(digests: str, flow_control: bool, store: str, seed: int) -> None:
    options = {"digests": DIGESTS[digests], "flow_control": flow_control, "store": STORES[store], "rounds": 2}
    assert run(seed, **options) == run(seed, shortcuts=False, **options)  # type: ignore[arg-type]


@pytest.mark.long
@pytest.mark.parametrize("digests", DIGESTS)
@pytest.mark.parametrize("capacity", CAPACITIES)
@pytest.mark.parametrize("seed", range(8))
def test_every_block_is_right_at_full_size(digests: str, capacity: str, seed: int) -> None:
    run(
        seed,
        digests=DIGESTS[digests],
        capacity=CAPACITIES[capacity],
        cuts=bool(seed % 2),
        store=STORES["copies" if seed % 3 else "lends"],
        flow_control=bool(seed // 2 % 2),
        rounds=40,
        shortcuts=bool(seed // 4),
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_power_cut_under_load_loses_nothing_that_was_flushed(seed: int) -> None:
    rng = random.Random(seed)
    medium = MemoryStore(BLOCKS * 4096)
    store = VolatileStore(medium, random.Random(seed + 100))
    rig = TcpRig(
        store,
        seed=seed,
        capacity_bytes=(3000, 1 << 18)[seed % 2],
        initiator=TcpInitiatorConfig(digests=(0, BOTH)[seed % 2]),
        target=TcpTargetConfig(in_capsule_bytes=(0, 8192)[seed // 2 % 2]),
    )
    versions = Versions()
    write_for(rig, versions, rng, 50_000_000)
    rig.world.detach(rig.target_host)
    store.power_cut()
    assert store.flushes
    assert store.dropped + store.torn
    revived = TcpRig(medium, seed=seed + 50)
    content = revived.read(revived.namespace(), 0, BLOCKS)
    for block, allowed in versions.allowed.items():
        found = content[block * 4096 : (block + 1) * 4096]
        assert found in [bytes([version]) * 4096 for version in allowed], f"block {block} lost what was flushed"
