"""Copy commands: as many as the controller's limits make of what a program wants copied.

Follows NVM Command Set 1.0 3.2.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stacks.nvme.host.command import HostCommand
from wire.nvme.commands_codec import CopyRange
from wire.nvme.identify_codec import IdentifyNamespace
from wire.nvme.opcodes import IoOpcode


def copy_batches(
    ranges: Sequence[tuple[int, int]], limits: IdentifyNamespace
) -> Iterator[list[tuple[int, int]]]:
    """Cut (block, blocks) ranges into lists that one command each may copy: MSSRL, MCL and MSRC of `limits`."""
    batch: list[tuple[int, int]] = []
    total = 0
    for source, blocks in ranges:
        while blocks:
            if total == limits.mcl or len(batch) > limits.msrc:
                yield batch
                batch, total = [], 0
            count = min(blocks, limits.mssrl, limits.mcl - total)
            batch.append((source, count))
            source, blocks, total = source + count, blocks - count, total + count
    yield batch


def copy_command(nsid: int, block: int, ranges: Sequence[tuple[int, int]], *, control: int) -> HostCommand:
    """One Copy command. block: of the destination; control: bits of CDW12 above the number of ranges."""
    entries = (CopyRange(slba=source, nlb=blocks - 1).encode() for source, blocks in ranges)
    return HostCommand(
        IoOpcode.COPY.value,
        nsid,
        cdw10=block & 0xFFFFFFFF,
        cdw11=block >> 32,
        cdw12=len(ranges) - 1 | control,
        data=memoryview(b"".join(entries)),
    )
