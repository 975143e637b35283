"""What blocks may hold after a power cut, and a writer that keeps the account: it writes, zeroes, reads and flushes.

A block holds what the last flush covered, or something that was written there later; never less, never anything else.
A flush covers what had been written, and told to the host, when it was sent. It does so within one life of a target
only: what a cut took from a cache is gone, and a flush that a host sends again to the next life does not bring it back.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial

from stacks.nvme.host import HostNamespace, Transfer
from stacks.nvme.stores import Store

BLOCK = 4096
BLOCKS_MAX = 8


class DurableModel:
    """versions: for each block (version, content) of what it may hold, oldest first; the last is what reads give.

    lives: how many cuts there were.
    """

    def __init__(self, blocks: int) -> None:
        self.versions = [[(0, bytes(BLOCK))] for _ in range(blocks)]
        self.lives = 0
        self._done = [0] * blocks
        self._pending: dict[int, tuple[int, bytes]] = {}

    def begin(self, block: int, version: int, content: bytes) -> None:
        """A write of one block is sent; there is none under way to that block."""
        self.versions[block].append((version, content))
        self._pending[block] = version, content

    def end(self, block: int, *, is_durable: bool) -> None:
        """It ended well. is_durable: whether it had to be on the medium for that."""
        version, _ = self._pending.pop(block)
        self._done[block] = version
        if is_durable:
            self._keep_from(block, version)

    def promise(self) -> Callable[[], None]:
        """A flush is sent: what to call when it has ended well."""
        done, life = list(self._done), self.lives

        def kept() -> None:
            if life == self.lives:
                for block, version in enumerate(done):
                    self._keep_from(block, version)

        return kept

    def current(self, block: int) -> bytes:
        """What a read gives while nothing is written there."""
        return self.versions[block][-1][1]

    def cut(self, store: Store) -> None:
        """The power was cut: look at every block of the medium, and go on from what it holds."""
        for block, versions in enumerate(self.versions):
            found = bytearray(BLOCK)
            store.read(block, memoryview(found))
            allowed = [content for _, content in versions]
            assert found in allowed, f"block {block} lost what was flushed: {found[:8].hex()}"
            # What is under way goes out again.
            pending = [self._pending[block]] if block in self._pending else []
            self.versions[block] = [(0, bytes(found)), *pending]
        self._done = [0] * len(self._done)
        self.lives += 1

    def _keep_from(self, block: int, version: int) -> None:
        versions = self.versions[block]
        self.versions[block] = [each for each in versions if each[0] >= version] or versions


class Writer:
    """Keeps `depth` operations under way, with one for a block at a time.

    flushes: those that ended well; problems: what did not, and reads of what should not be there.
    """

    def __init__(self, namespace: HostNamespace, model: DurableModel, rng: random.Random, *, depth: int) -> None:
        self.flushes = self.operations = 0
        self.problems: list[str] = []
        self.is_stopped = False
        self._namespace = namespace
        self._model = model
        self._rng = rng
        self._version = 0
        self._busy: set[int] = set()
        self._under_way = 0
        for _ in range(depth):
            self._next()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._under_way

    def _number(self, limit: int) -> int:
        return int(self._rng.random() * limit)

    def _next(self) -> None:
        self._under_way += 1
        choice = self._rng.random()
        if choice < 0.08:
            kept = self._model.promise()
            self._namespace.flush(done=partial(self._flushed, kept))
            return
        blocks = self._claim()
        first, count = blocks[0], len(blocks)
        if choice < 0.2:
            into = memoryview(bytearray(count * BLOCK))
            self._namespace.read(first, into, done=partial(self._read, blocks, into))
        elif choice < 0.8:
            self._write(blocks, is_durable=choice < 0.25)
        else:
            for block in blocks:
                self._begin(block, bytes(BLOCK))
            done = partial(self._wrote, blocks, False)
            if choice < 0.9:
                self._namespace.write_zeroes(first, count, done=done)
            else:
                self._namespace.deallocate([(first, count)], done=done)

    def _claim(self) -> range:
        # There is always a free block: there are many more of them than operations times BLOCKS_MAX.
        first = self._number(self._namespace.block_count)
        while first in self._busy:
            first = (first + 1) % self._namespace.block_count
        end = first + 1
        limit = min(first + 1 + self._number(BLOCKS_MAX), self._namespace.block_count)
        while end < limit and end not in self._busy:
            end += 1
        self._busy.update(range(first, end))
        return range(first, end)

    def _begin(self, block: int, content: bytes) -> None:
        self._version += 1
        self._model.begin(block, self._version, content)

    def _write(self, blocks: range, *, is_durable: bool) -> None:
        contents = list(self._contents(blocks))
        done = partial(self._wrote, blocks, is_durable)
        self._namespace.write(blocks[0], memoryview(b"".join(contents)), is_fua=is_durable, done=done)

    def _contents(self, blocks: range) -> Iterator[bytes]:
        for block in blocks:
            content = (self._version + 1).to_bytes(4, "little") + block.to_bytes(4, "little")
            self._begin(block, content * (BLOCK // 8))
            yield content * (BLOCK // 8)

    def _wrote(self, blocks: range, is_durable: bool, transfer: Transfer) -> None:
        if not transfer.status:
            for block in blocks:
                self._model.end(block, is_durable=is_durable)
        self._ended(blocks, transfer)

    def _read(self, blocks: range, into: memoryview, transfer: Transfer) -> None:
        for block in blocks:
            at = (block - blocks[0]) * BLOCK
            if into[at : at + BLOCK] != self._model.current(block):
                self.problems.append(f"block {block} is not read as it was written")
        self._ended(blocks, transfer)

    def _flushed(self, kept: Callable[[], None], transfer: Transfer) -> None:
        if not transfer.status:
            self.flushes += 1
            kept()
        self._ended(range(0), transfer)

    def _ended(self, blocks: range, transfer: Transfer) -> None:
        self._busy.difference_update(blocks)
        self._under_way -= 1
        self.operations += 1
        if transfer.status:
            self.problems.append(f"{transfer.what}: {transfer.problem}")
        elif not self.is_stopped:
            self._next()
