"""Three blocks to tell apart, the pair of commands that most tests send, and what may come of it."""

from __future__ import annotations

from tests.stacks.nvme.bench import Bench, BenchQueue, block_of
from wire.nvme.status import StatusCode

OLD, NEW, OTHER = block_of(1), block_of(2), block_of(3)
FAILED, MISSING = StatusCode.ABORTED_FAILED_FUSED, StatusCode.ABORTED_MISSING_FUSED
DIFFERENT, STOPPED = StatusCode.COMPARE_FAILURE, StatusCode.ABORTED_SQ_DELETION
ABORTED = StatusCode.ABORTED_BY_REQUEST
BLOCK = 7


def pair(io: BenchQueue, expected: bytes = OLD, data: bytes = NEW, *, in_capsule: bool = True) -> tuple[int, int]:
    cids = io.begin_pair(BLOCK, expected, data, in_capsule=in_capsule)
    io.pump()
    return cids


def settle(bench: Bench) -> None:
    bench.is_storing = bench.is_fetching = True
    bench.pump()
    assert bench.with_hosts == bench.with_store == []
    assert bench.target.line.exclusions.active == []
