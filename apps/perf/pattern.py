"""What a workload does next: read or write, where, and the content that a verification expects.

Content is a function of the place alone, so that whoever reads a block can tell whether it is the right one without
having seen it written: a block starts with its own number and goes on with bytes that belong to the seed.
"""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass


class Mode(enum.StrEnum):
    """What a workload consists of, by fio's names."""

    READ = "read"
    WRITE = "write"
    RANDREAD = "randread"
    RANDWRITE = "randwrite"
    RW = "rw"
    RANDRW = "randrw"


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload over a range of `span_bytes`, in blocks of `block_bytes`.

    read_percent: share of reads where the mode mixes. seed: of the choices and of the content.
    queue_depth: how many operations are under way. duration_ns: how long it runs.
    is_verified: what is written has the pattern, and what is read is compared with it.
    """

    mode: Mode
    block_bytes: int
    span_bytes: int
    queue_depth: int = 1
    duration_ns: int = 3_000_000_000
    read_percent: int = 50
    is_verified: bool = False
    seed: int = 1


class Operations:
    """The endless sequence of operations of a workload."""

    __slots__ = ("_blocks", "_is_mixed", "_is_random", "_next", "_random", "_read_share")

    def __init__(self, workload: Workload) -> None:
        self._blocks = max(1, workload.span_bytes // workload.block_bytes)
        self._is_random = workload.mode.startswith("rand")
        self._random = random.Random(workload.seed).random
        self._read_share = READ_SHARE.get(workload.mode, workload.read_percent / 100)
        self._is_mixed = 0 < self._read_share < 1
        self._next = 0

    def next(self) -> tuple[bool, int]:
        """Whether the next operation is a read, and the number of its block."""
        if self._is_random:
            block = int(self._random() * self._blocks)
        else:
            block = self._next
            self._next = block + 1 if block + 1 < self._blocks else 0
        is_read = self._random() < self._read_share if self._is_mixed else self._read_share > 0
        return is_read, block


class Content:
    """The bytes that belong in each block.

    block_bytes: 8 or more for blocks to be told apart; smaller ones hold the low bytes of their number.
    """

    def __init__(self, block_bytes: int, seed: int) -> None:
        self._head = min(8, block_bytes)
        self._tail = random.Random(seed).randbytes(block_bytes - self._head)

    def fill(self, block: int, into: memoryview) -> None:
        """Put the content of `block` into `into`, `block_bytes` long."""
        into[: self._head] = block.to_bytes(8, "little")[: self._head]
        into[self._head :] = self._tail

    def matches(self, block: int, view: memoryview) -> bool:
        """Whether `view` holds the content of `block`."""
        return view[: self._head] == block.to_bytes(8, "little")[: self._head] and view[self._head :] == self._tail


READ_SHARE = {Mode.READ: 1.0, Mode.RANDREAD: 1.0, Mode.WRITE: 0.0, Mode.RANDWRITE: 0.0}
