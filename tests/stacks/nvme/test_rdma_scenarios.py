"""Target and initiator over RDMA in virtual time: every block verified, whatever the network does."""

from __future__ import annotations

import hashlib
import random

import pytest

from stacks.nvme.bindings.rdma import RdmaInitiatorConfig
from stacks.nvme.stores import MemoryStore, VolatileStore
from tests.stacks.nvme.rdma_rig import RdmaRig
from tests.stacks.nvme.workload import BLOCKS, Versions, Workload, write_for
from transports.simulation import Impairments

NETWORKS = {
    "clean": Impairments(),
    "1 %": Impairments(loss=0.01, jitter_ns=20_000, reordering=0.01, duplication=0.01),
    "10 %": Impairments(loss=0.10, jitter_ns=20_000, reordering=0.05, duplication=0.05),
}


def run(network: str, seed: int, *, rounds: int, shortcuts: bool = True, invalidates: bool = False) -> str:
    """A run of the workload; returns a digest of everything that can be seen of it."""
    config = RdmaInitiatorConfig(path_mtu=1024, invalidates=invalidates)
    rig = RdmaRig(
        MemoryStore(BLOCKS * 4096), seed=seed, impairments=NETWORKS[network], initiator=config, shortcuts=shortcuts
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
    assert rig.rdma_target.queue_count == 0
    assert rig.rdma_target.port.pool.free_buffers == 256 + 64 + 16
    assert host.io_queues[0].keys_not_invalidated == 0
    seen = [
        rig.simulation.now,
        rig.initiator.device.counters.snapshot(),
        rig.rdma_target.device.counters.snapshot(),
        rig.rdma_target.counters.snapshot(),
    ]
    return hashlib.sha256(repr(seen).encode() + workload.expected).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("seed", [1, 2])
def test_every_block_is_right_and_a_seed_decides_everything(network: str, seed: int) -> None:
    assert run(network, seed, rounds=3) == run(network, seed, rounds=3)


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_every_block_is_right_without_shortcuts(network: str) -> None:
    run(network, 3, rounds=2, shortcuts=False)


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_every_block_is_right_under_keys_that_the_target_invalidates(network: str) -> None:
    run(network, 4, rounds=2, invalidates=True)


@pytest.mark.long
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("seed", range(20))
def test_every_block_is_right_at_full_size(network: str, seed: int) -> None:
    run(network, seed, rounds=40, shortcuts=bool(seed % 2), invalidates=seed % 3 == 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_a_power_cut_under_load_loses_nothing_that_was_flushed(seed: int) -> None:
    rng = random.Random(seed)
    medium = MemoryStore(BLOCKS * 4096)
    store = VolatileStore(medium, random.Random(seed + 100))
    rig = RdmaRig(store, seed=seed, impairments=NETWORKS["1 %"])
    versions = Versions()
    write_for(rig, versions, rng, 150_000_000)
    rig.network.detach(rig.target_host)
    store.power_cut()
    assert store.flushes
    assert store.dropped + store.torn
    revived = RdmaRig(medium, seed=seed + 50)
    content = revived.read(revived.namespace(), 0, BLOCKS)
    for block, allowed in versions.allowed.items():
        found = content[block * 4096 : (block + 1) * 4096]
        assert found in [bytes([version]) * 4096 for version in allowed], f"block {block} lost what was flushed"
