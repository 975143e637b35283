"""A workload that knows what every block holds, for tests in which paths and targets go away."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from stacks.nvme.host import HostNamespace, Transfer


class Verifier:
    """Keeps `depth` operations under way on `namespace`, one for a block at a time: writes, reads that are compared,
    and flushes. later: has something called after a while, with which each operation waits before the next begins.

    written, verified: operations that ended well; problems: what did not, and content that was not what it should be.
    flushed: the number that each block holds at least, after a flush that ended well. newest: of all that were sent.
    """

    def __init__(
        self,
        namespace: HostNamespace,
        rng: random.Random,
        *,
        depth: int,
        blocks: int = 0,
        later: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self.namespace = namespace
        self.written = 0
        self.verified = 0
        self.flushes = 0
        self.problems: list[str] = []
        self.is_stopped = False
        self.versions = [0] * (blocks or namespace.block_count)
        self.flushed = list(self.versions)
        self._rng = rng
        self._later = later
        self._busy: set[int] = set()
        self.newest = 0
        for _ in range(depth):
            self.next()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._busy

    def next(self) -> None:
        """Begin one operation."""
        block = int(self._rng.random() * len(self.versions))
        while block in self._busy:
            block = (block + 1) % len(self.versions)
        self._busy.add(block)
        choice = self._rng.random()
        if choice < 0.5:
            self._write(block)
        elif choice < 0.97:
            self._read(block)
        else:
            self.namespace.flush(done=partial(self._flushed, block, list(self.versions)))

    def _write(self, block: int) -> None:
        self.newest += 1
        data = content(self.newest, self.namespace.block_bytes)
        self.namespace.write(block, memoryview(data), done=partial(self._wrote, block, self.newest))

    def _read(self, block: int) -> None:
        into = bytearray(self.namespace.block_bytes)
        self.namespace.read(block, memoryview(into), done=partial(self._read_back, block, into))

    def _wrote(self, block: int, version: int, transfer: Transfer) -> None:
        self.written += 1
        self.versions[block] = version
        self._ended(block, transfer)

    def _read_back(self, block: int, into: bytearray, transfer: Transfer) -> None:
        self.verified += 1
        if not transfer.status and into != content(self.versions[block], len(into)):
            self.problems.append(f"block {block} does not hold version {self.versions[block]}")
        self._ended(block, transfer)

    def _flushed(self, block: int, versions: list[int], transfer: Transfer) -> None:
        self.flushes += 1
        if not transfer.status:
            self.flushed = versions
        self._ended(block, transfer)

    def _ended(self, block: int, transfer: Transfer) -> None:
        self._busy.discard(block)
        if transfer.status:
            self.problems.append(f"{transfer.what} of block {block}: {transfer.problem}")
        elif not self.is_stopped:
            if self._later is None:
                self.next()
            else:
                self._later(lambda: None if self.is_stopped else self.next())


def content(version: int, length: int) -> bytes:
    """What a block of that version holds."""
    return version.to_bytes(8, "little") * (length // 8)
