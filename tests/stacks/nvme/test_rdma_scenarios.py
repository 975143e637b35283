"""Target and initiator over RDMA in virtual time: every block verified, whatever the network does."""

from __future__ import annotations

import hashlib
import random

import pytest

from stacks.nvme.bindings.rdma import RdmaInitiatorConfig
from stacks.nvme.host import HostNamespace, Transfer
from stacks.nvme.stores import MemoryStore, VolatileStore
from tests.stacks.nvme.rdma_rig import RdmaRig
from transports.simulation import Impairments

BLOCKS = 256
LENGTHS = (1, 1, 2, 3, 8, 33, 40)

NETWORKS = {
    "clean": Impairments(),
    "1 %": Impairments(loss=0.01, jitter_ns=20_000, reordering=0.01, duplication=0.01),
    "10 %": Impairments(loss=0.10, jitter_ns=20_000, reordering=0.05, duplication=0.05),
}


class Workload:
    """Random I/O that keeps a copy of what the namespace should hold."""

    def __init__(self, rig: RdmaRig, namespace: HostNamespace, seed: int) -> None:
        self.rig = rig
        self.namespace = namespace
        self.rng = random.Random(seed)
        self.expected = bytearray(BLOCKS * namespace.block_bytes)

    def number(self, limit: int) -> int:
        return int(self.rng.random() * limit)

    def round(self, operations: int) -> None:
        """Start operations on ranges that do not overlap, and wait for all."""
        started: list[tuple[Transfer, int, bytearray | None]] = []
        block = self.number(4)
        for _ in range(operations):
            blocks = LENGTHS[self.number(len(LENGTHS))]
            if block + blocks > BLOCKS:
                break
            started.append(self.start(block, blocks))
            block += blocks + self.number(3)
        self.rig.finish(*(transfer for transfer, _, _ in started))
        for transfer, at, data in started:
            assert transfer.status == 0, transfer.what
            assert data is None or data == self.expected[at : at + len(data)]

    def start(self, block: int, blocks: int) -> tuple[Transfer, int, bytearray | None]:
        size = self.namespace.block_bytes
        at, length = block * size, blocks * size
        choice = self.rng.random()
        if choice < 0.45:
            data = bytes([self.number(256) for _ in range(64)]) * (length // 64)
            self.expected[at : at + length] = data
            return self.namespace.write(block, memoryview(bytearray(data)), is_fua=choice < 0.05), at, None
        if choice < 0.5:
            self.expected[at : at + length] = bytes(length)
            return self.namespace.write_zeroes(block, blocks), at, None
        if choice < 0.55:
            self.expected[at : at + length] = bytes(length)
            return self.namespace.deallocate([(block, blocks)]), at, None
        if choice < 0.6:
            return self.namespace.compare(block, memoryview(bytes(self.expected[at : at + length]))), at, None
        into = bytearray(length)
        return self.namespace.read(block, memoryview(into)), at, into

    def verify(self) -> None:
        """Compare every block."""
        assert self.rig.read(self.namespace, 0, BLOCKS) == bytes(self.expected)


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


class Versions:
    """What each block may hold after a power cut: what was flushed last, or anything written since."""

    def __init__(self) -> None:
        self.allowed: dict[int, list[int]] = {block: [0] for block in range(BLOCKS)}
        self.completed: dict[int, int] = {}

    def begin(self, block: int, version: int) -> None:
        self.allowed[block].append(version)

    def end(self, block: int, version: int) -> None:
        self.completed[block] = version

    def flushed(self, completed: dict[int, int]) -> None:
        """A flush is done that was sent when `completed` had been written."""
        for block, version in completed.items():
            self.allowed[block] = [each for each in self.allowed[block] if each >= version]


def write_for(rig: RdmaRig, versions: Versions, rng: random.Random, duration_ns: int) -> None:
    """Keep writing and flushing, one write a block at a time, until the power goes."""
    namespace = rig.namespace()
    cut_ns = rig.simulation.now + duration_ns
    busy: set[int] = set()
    version = 0

    def write() -> None:
        nonlocal version
        block = int(rng.random() * BLOCKS)
        if block in busy:
            return
        version += 1
        mine = version
        versions.begin(block, mine)
        busy.add(block)

        def done(transfer: Transfer) -> None:
            busy.discard(block)
            if not transfer.status:
                versions.end(block, mine)

        namespace.write(block, memoryview(bytes([mine]) * 4096), done=done)

    def flush() -> None:
        covered = dict(versions.completed)
        namespace.flush(done=lambda transfer: None if transfer.status else versions.flushed(covered))

    while rig.simulation.now < cut_ns and version < 230:
        for _ in range(int(rng.random() * 6)):
            write()
        if rng.random() < 0.3:
            flush()
        rig.run_for(int(rng.random() * 60_000))
    # Some of the last writes are done, others on their way, and nothing flushes them.
    rig.run_until(lambda: not busy)
    for _ in range(10):
        write()
    under_way = len(busy)
    rig.run_until(lambda: len(busy) < under_way)


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
