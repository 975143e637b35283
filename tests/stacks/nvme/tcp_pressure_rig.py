"""Targets under pressure: a store that holds commands up, memory that is measured, and a crowd of hosts."""

from __future__ import annotations

import tracemalloc
from typing import Self

from stacks.nvme.bindings.tcp import TcpTargetConfig
from stacks.nvme.stores import MemoryStore
from tests.stacks.nvme.held_stores import CopyingStore, HoldingExecutor
from tests.stacks.nvme.tcp_raw import MILLISECOND, RawHost, in_capsule, outside, raw_io
from tests.stacks.nvme.tcp_rig import TcpRig
from tests.stacks.nvme.transfers import SECOND
from tests.wire.nvme.tcp_pdus import Pdu
from wire.nvme.opcodes import IoOpcode

NO_FLOW_CONTROL = 4


def store_of(rig: TcpRig) -> MemoryStore:
    store = rig.subsystem.namespaces[1].store
    assert isinstance(store, MemoryStore)
    return store


def stored(rig: TcpRig, block: int) -> bytes:
    content = bytearray(4096)
    store_of(rig).read(block, memoryview(content))
    return bytes(content)


class Held:
    """A rig whose store does nothing until it is told to, and a host with a large queue."""

    def __init__(self, *, entries: int = 256, **config: int) -> None:
        self.rig = TcpRig(
            MemoryStore(16 << 20),
            executor=HoldingExecutor,
            target=TcpTargetConfig(**config),  # type: ignore[arg-type]
        )
        self.executor: HoldingExecutor = self.rig.executor  # type: ignore[assignment]
        self.admin, self.host = raw_io(self.rig, entries=entries)
        self.executor.is_holding = True

    def write(self, block: int, *, length: int = 8192) -> bytes:
        """A capsule that writes what is like no other block's content."""
        data = block.to_bytes(4, "little") * (length // 4)
        return self.host.capsule(IoOpcode.WRITE, sgl=in_capsule(length), data=data, nsid=1, cdw10=block * 2, cdw12=1)

    def release(self) -> None:
        """Run everything, and whatever comes."""
        self.executor.is_holding = False
        self.executor.release(self.rig.simulation.now)
        self.rig.target_host.wake()
        self.host.run(100 * MILLISECOND)

    def check(self, blocks: int) -> None:
        """All blocks hold what was written to them."""
        for block in range(blocks):
            assert stored(self.rig, block * 2) == block.to_bytes(4, "little") * 1024


class Traced:
    """Counts what Python's objects take, as long as it lasts."""

    def __enter__(self) -> Self:
        tracemalloc.start()
        self._before, _ = tracemalloc.get_traced_memory()
        return self

    def __exit__(self, *_: object) -> None:
        tracemalloc.stop()

    @property
    def grown_bytes(self) -> int:
        """How much more there is now."""
        return tracemalloc.get_traced_memory()[0] - self._before


class Crowded:
    """A target with few buffers, and a store that needs one for each read."""

    def __init__(self, **config: object) -> None:
        self.rig = TcpRig(
            CopyingStore(4 << 20),
            capacity_bytes=1 << 14,
            target=TcpTargetConfig(shelves=((8 << 10, 16), (128 << 10, 4)), **config),  # type: ignore[arg-type]
        )
        self.pool = self.rig.tcp_target.port.pool

    def host(self, number: int) -> RawHost:
        """One more I/O queue."""
        return raw_io(self.rig, f"192.0.2.{number}", cattr=NO_FLOW_CONTROL)[1]

    def fill(self, host: RawHost, count: int = 30) -> None:
        """Have the host read, and not take the answers."""
        host.core.is_reading = False
        host.send(*(host.capsule(IoOpcode.READ, sgl=outside(8192), nsid=1, cdw12=1) for _ in range(count)))

    def read(self, host: RawHost) -> list[Pdu]:
        """Have the host read, and wait for the answer."""
        host.send(host.capsule(IoOpcode.READ, sgl=outside(8192), nsid=1, cdw12=1))
        self.rig.run_until(lambda: len(host.pdus) > 2, timeout_ns=40 * SECOND)
        return host.pdus[2:]
