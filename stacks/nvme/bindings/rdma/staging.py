"""Staging memory of one association: what a target may read and write of data that a program did not register.

The memory is registered twice, for targets to read and for targets to write, so a key that came with a write gives no
right to change anything. What remains: within an association a key is good for all of the memory and for as long as
the association lasts, so its target can read what others of its own commands are writing, and change what they have
read, until that is copied out. A key for each command (`RdmaInitiatorConfig.invalidates`) has a smaller reach, at the
price of a registration for each.
"""

from __future__ import annotations

from collections.abc import Sequence

from stacks.nvme.buffers import BufferPool, anonymous_memory, pool_bytes
from stacks.rdma import Access, Pd


class Staging:
    """A pool in memory of its own.

    shelves: (bytes, count) of its buffers.
    pool: its buffers, at their addresses under `read_key`, which goes with commands that read from a store.
    write_key: goes with commands that write; under it each buffer's address is `write_offset` higher.
    """

    def __init__(self, pd: Pd, shelves: Sequence[tuple[int, int]]) -> None:
        memory = anonymous_memory(pool_bytes(shelves))
        self._regions = [
            pd.reg_mr(memory, Access.LOCAL_WRITE | Access.REMOTE_WRITE),
            pd.reg_mr(memory, Access.REMOTE_READ),
        ]
        for_reads, for_writes = self._regions
        self.pool = BufferPool(memoryview(memory), for_reads.address, shelves=shelves)
        self.read_key = for_reads.rkey
        self.write_key = for_writes.rkey
        self.write_offset = for_writes.address - for_reads.address

    def close(self) -> None:
        """Take every right back, if that has not happened yet."""
        for region in self._regions:
            region.dereg()
        self._regions.clear()
