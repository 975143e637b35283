"""A disk for NBD servers in tests: blocks in memory, whose operations end later, in any order, or badly."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stacks.nvme.host import Region
from stacks.nvme.nbd import Ended
from stacks.nvme.nbd.outcome import Outcome
from stacks.runtime import LocalError

Done = Callable[[Ended], None]


@dataclass(frozen=True)
class Operation:
    """What was asked of the disk."""

    verb: str
    block: int = 0
    blocks: int = 0
    is_fua: bool = False


class Disk:
    """A `Backend`, and a service of the pump that carries out what was asked.

    rng: decides what ends next; None for the order of asking. operations: all that was asked, in order.
    is_held: nothing ends. status: what the next operations of a verb end with, by verb. failure: nothing can be asked.
    region: what came with operations, if anything.
    """

    def __init__(self, block_bytes: int = 512, block_count: int = 2048, *, rng: random.Random | None = None) -> None:
        self.block_bytes = block_bytes
        self.block_count = block_count
        self.memory = bytearray(block_bytes * block_count)
        self.operations: list[Operation] = []
        self.is_held = False
        self.ends_at_once = False
        self.status: dict[str, int] = {}
        self.failure = ""
        self.regions: list[tuple[Region | None, int]] = []
        self._rng = rng
        self._pending: list[Callable[[], None]] = []

    @property
    def pending(self) -> int:
        """How many operations have not ended."""
        return len(self._pending)

    def verbs(self) -> list[str]:
        """What was asked, in order."""
        return [operation.verb for operation in self.operations]

    def pump(self, now: int) -> bool:
        """End everything, or what there is room for in one pass."""
        if self.is_held or not self._pending:
            return False
        for _ in range(len(self._pending)):
            self.end_one()
        return True

    def end_one(self) -> None:
        """End one operation."""
        at = int(self._rng.random() * len(self._pending)) if self._rng else 0
        self._pending.pop(at)()

    # The backend

    def read(
        self, block: int, into: memoryview, *, region: Region | None = None, offset: int = 0, done: Done
    ) -> None:
        def act() -> None:
            into[:] = self.memory[block * self.block_bytes : block * self.block_bytes + len(into)]

        assert len(into) % self.block_bytes == 0
        self.regions.append((region, offset))
        self._ask(Operation("read", block, len(into) // self.block_bytes), act, done)

    def write(
        self,
        block: int,
        data: memoryview,
        *,
        is_fua: bool = False,
        region: Region | None = None,
        offset: int = 0,
        done: Done,
    ) -> None:
        def act() -> None:
            self.memory[block * self.block_bytes : block * self.block_bytes + len(data)] = data

        assert len(data) % self.block_bytes == 0
        self.regions.append((region, offset))
        self._ask(Operation("write", block, len(data) // self.block_bytes, is_fua), act, done)

    def flush(self, *, done: Done) -> None:
        self._ask(Operation("flush"), lambda: None, done)

    def write_zeroes(self, block: int, blocks: int, *, done: Done) -> None:
        self._ask(Operation("zeroes", block, blocks), lambda: self._clear(block, blocks), done)

    def deallocate(self, ranges: Sequence[tuple[int, int]], *, done: Done) -> None:
        ((block, blocks),) = ranges
        self._ask(Operation("trim", block, blocks), lambda: self._clear(block, blocks), done)

    def _clear(self, block: int, blocks: int) -> None:
        size = self.block_bytes
        self.memory[block * size : (block + blocks) * size] = bytes(blocks * size)

    def _ask(self, operation: Operation, act: Callable[[], None], done: Done) -> None:
        if self.failure:
            raise LocalError(self.failure)
        assert operation.block >= 0
        assert operation.block + operation.blocks <= self.block_count
        self.operations.append(operation)

        def end() -> None:
            status = self.status.get(operation.verb, 0)
            if not status:
                act()
            done(Outcome(status, f"status {status:#x}" if status else ""))

        if self.ends_at_once:
            end()
        else:
            self._pending.append(end)
