"""I/O that keeps a copy of what a namespace should hold, for scenarios over any transport."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

from stacks.nvme.host import HostNamespace, Transfer
from transports.simulation import Simulation

BLOCKS = 256
LENGTHS = (1, 1, 2, 3, 8, 33, 40)


class Rig(Protocol):
    """Both ends in virtual time."""

    simulation: Simulation

    def namespace(self) -> HostNamespace:
        """Connect, and return the only namespace."""

    def finish(self, *transfers: Transfer) -> None:
        """Run until all transfers are over."""

    def read(self, namespace: HostNamespace, block: int, blocks: int) -> bytes:
        """Read blocks."""

    def run_for(self, duration_ns: int) -> None:
        """Let time pass."""

    def run_until(self, condition: Callable[[], bool]) -> None:
        """Let time pass until `condition` holds."""


class Workload:
    """Random I/O that keeps a copy of what the namespace should hold."""

    def __init__(self, rig: Rig, namespace: HostNamespace, seed: int) -> None:
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


def write_for(rig: Rig, versions: Versions, rng: random.Random, duration_ns: int) -> None:
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
