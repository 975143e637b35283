"""What a worker has done by itself, where the owner sees it at any time: counters in memory that both have.

A slot for each queue and namespace, which only the worker writes and the owner hands out; how long the worker was
busy; and what its port has counted.
"""

from __future__ import annotations

import mmap
from array import array


class Board:
    """Counters in `memory`, `BOARD_BYTES` long and zero to begin with."""

    def __init__(self, memory: mmap.mmap | memoryview) -> None:
        self._numbers = memoryview(memory).cast("B").cast("Q")
        self._free = list(reversed(range(FIRST_SLOT, SLOTS)))

    # The owner

    def take_slot(self) -> int:
        """A slot that nobody has, zero; 0 when there is none."""
        if not self._free:
            return 0
        slot = self._free.pop()
        self._numbers[slot * WIDTH : (slot + 1) * WIDTH] = _ZERO
        return slot

    def free_slot(self, slot: int) -> None:
        """Nobody writes there any more."""
        self._free.append(slot)

    def counts(self, slot: int) -> list[int]:
        """Reads, writes, bytes read and bytes written."""
        return self._numbers[slot * WIDTH : (slot + 1) * WIDTH].tolist()

    @property
    def busy_ns(self) -> int:
        """How long the worker was busy, in all."""
        return self._numbers[0]

    def port_counts(self, length: int) -> list[int]:
        """What `write_port_counts` wrote last."""
        return self._numbers[1 : 1 + length].tolist()

    # The worker

    def write_port_counts(self, counts: list[int]) -> None:
        """What the worker's port has counted, at most `PORT_COUNTS_MAX` numbers."""
        self._numbers[1 : 1 + len(counts)] = memoryview(array("Q", counts))

    def slot(self, slot: int) -> memoryview:
        """The numbers of a slot, to add to: as `counts`."""
        return self._numbers[slot * WIDTH : (slot + 1) * WIDTH]

    def was_busy(self, busy_ns: int) -> None:
        """The worker was busy for so much longer."""
        self._numbers[0] += busy_ns


WIDTH = 4
FIRST_SLOT = 4
PORT_COUNTS_MAX = FIRST_SLOT * WIDTH - 1
SLOTS = 8192
BOARD_BYTES = SLOTS * WIDTH * 8
READS, WRITES, BYTES_READ, BYTES_WRITTEN = range(WIDTH)
_ZERO = memoryview(bytes(WIDTH * 8)).cast("Q")
