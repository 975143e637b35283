"""Fused Compare and Write: nothing comes between, and what had to wait is not forgotten."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.stacks.nvme.bench import BLOCK_BYTES, Bench, BenchQueue, block_of, ranged
from tests.stacks.nvme.core_rig import NQN, copy_ranges, ranges, sqe
from tests.stacks.nvme.fused.rig import ABORTED, BLOCK, DIFFERENT, FAILED, NEW, OLD, OTHER, STOPPED, pair, settle
from wire.nvme.opcodes import AdminOpcode, DatasetAttribute, IoOpcode
from wire.nvme.status import StatusCode


def changes(block: int) -> dict[str, Callable[[BenchQueue], int]]:
    """Every way to change a block, as what to send."""
    deallocate = sqe(IoOpcode.DATASET_MANAGEMENT, nsid=1, cdw10=1, cdw11=DatasetAttribute.DEALLOCATE)
    copy = ranged(IoOpcode.COPY, block, 1)
    return {
        "write": lambda io: io.begin(IoOpcode.WRITE, block, data=OTHER),
        "zeroes": lambda io: io.begin(IoOpcode.WRITE_ZEROES, block),
        "deallocate": lambda io: io.send(deallocate, data=ranges((200, 1), (block, 1)), in_capsule=True),
        "uncorrectable": lambda io: io.begin(IoOpcode.WRITE_UNCORRECTABLE, block),
        "copy": lambda io: io.send(copy, data=copy_ranges((100, 1)), in_capsule=True),
        "pair": lambda io: io.begin_pair(block, NEW, OTHER)[1],
    }


CHANGES = tuple(changes(0))


def state_of(bench: Bench) -> str:
    namespace = bench.target.subsystems[NQN].namespaces[1]
    if namespace.first_uncorrectable(BLOCK, 1) is not None:
        return "marked"
    return {OLD: "old", NEW: "new", OTHER: "other", bytes(BLOCK_BYTES): "zero"}[bench.read(BLOCK)]


AFTER = {"write": "other", "zeroes": "zero", "deallocate": "zero", "uncorrectable": "marked", "copy": "other"}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_comes_while_a_pair_is_under_way_comes_after_it(
    bench: Bench, io: BenchQueue, other: BenchQueue, change: str
) -> None:
    bench.write(100, OTHER)
    bench.is_storing = False
    cids = pair(io)
    assert [request.verb for request in bench.with_store] == [1], "the compare reads"
    late = changes(BLOCK)[change](other)
    bench.pump()
    for _ in range(4):
        while len(bench.with_store) > 1:
            bench.run_one(1)
        assert other.status(late) is None
        if io.status(cids[1]) is None:
            bench.run_one()
    bench.is_storing = True
    bench.pump()
    assert io.statuses(cids) == [0, 0]
    assert other.status(late) == 0
    assert state_of(bench) == AFTER.get(change, "other")


@pytest.mark.parametrize("change", CHANGES[:-1])
def test_a_change_that_a_store_has_is_waited_for(bench: Bench, io: BenchQueue, other: BenchQueue, change: str) -> None:
    bench.write(100, OTHER)
    bench.is_storing = False
    early = changes(BLOCK)[change](other)
    bench.pump()
    if change == "copy":
        bench.run_one()
    assert len(bench.with_store) == 1
    cids = pair(io)
    assert len(bench.with_store) == 1, "the pair waits"
    bench.is_storing = True
    bench.pump()
    assert other.status(early) == 0
    bad = StatusCode.UNRECOVERED_READ_ERROR if change == "uncorrectable" else DIFFERENT
    assert io.statuses(cids) == [bad, FAILED]
    assert state_of(bench) == AFTER[change]


@pytest.mark.parametrize("change", CHANGES)
def test_changes_of_other_blocks_and_reads_do_not_wait(
    bench: Bench, io: BenchQueue, other: BenchQueue, change: str
) -> None:
    bench.write(BLOCK + 1, NEW)
    bench.is_storing = False
    cids = pair(io)
    reading = other.send(ranged(IoOpcode.READ, BLOCK, 1), expect=BLOCK_BYTES)
    beside = changes(BLOCK + 1)[change](other)
    bench.pump()
    while len(bench.with_store) > 1:
        bench.run_one(1)
    assert other.statuses((reading, beside)) == [0, 0]
    assert other.answers[reading].data == OLD
    assert io.statuses(cids) == [None, None]
    bench.is_storing = True
    bench.pump()
    assert io.statuses(cids) == [0, 0]


def test_a_range_that_has_one_of_the_blocks_waits(bench: Bench, io: BenchQueue, other: BenchQueue) -> None:
    bench.is_storing = False
    cids = io.begin_pair(10, bytes(4 * BLOCK_BYTES), NEW * 4, in_capsule=False)
    bench.pump()
    late = [other.begin(IoOpcode.WRITE_ZEROES, block, blocks) for block, blocks in ((9, 1), (9, 2), (13, 1), (14, 1))]
    bench.pump()
    while len(bench.with_store) > 1:
        bench.run_one(1)
    assert other.statuses(late) == [0, None, None, 0]
    bench.is_storing = True
    bench.pump()
    assert (io.statuses(cids), other.statuses(late)) == ([0, 0], [0] * 4)
    assert bench.read(9, 6) == bytes(2 * BLOCK_BYTES) + NEW * 2 + bytes(2 * BLOCK_BYTES)


def test_what_waited_for_one_pair_goes_before_the_next(bench: Bench, io: BenchQueue, other: BenchQueue) -> None:
    bench.is_storing = False
    first = pair(io)
    waiting = other.begin(IoOpcode.WRITE, BLOCK, data=OTHER)
    second = pair(io, expected=NEW)
    bench.is_storing = True
    bench.pump()
    assert io.statuses(first) == [0, 0]
    assert other.status(waiting) == 0
    assert io.statuses(second) == [DIFFERENT, FAILED]


def test_the_pieces_of_a_copy_wait_and_it_goes_on_after_the_pair(
    bench: Bench, io: BenchQueue, other: BenchQueue
) -> None:
    # Sixteen blocks a piece: the pair is about one of the second.
    bench.write(100, OTHER * 48)
    bench.is_storing = False
    copying = other.send(ranged(IoOpcode.COPY, 0, 1), data=copy_ranges((100, 48)), in_capsule=True)
    bench.pump()
    bench.run_one()
    cids = io.begin_pair(20, bytes(BLOCK_BYTES), NEW)
    bench.pump()
    while other.status(copying) is None and len(bench.with_store) > 1:
        bench.run_one(0)
    assert [request.block for request in bench.with_store] == [20], "the read of the pair; the copy is held"
    bench.is_storing = True
    bench.pump()
    assert io.statuses(cids) == [0, 0]
    assert other.status(copying) == 0
    assert bench.read(0, 48) == OTHER * 48


def test_counting_up_on_many_queues_loses_no_step() -> None:
    rng = random.Random(1)
    bench = Bench()
    bench.write(BLOCK, block_of(0))
    queues = [bench.host()[1] for _ in range(3)]
    bench.is_storing = bench.is_fetching = False
    steps = 0
    under_way: list[tuple[BenchQueue, tuple[int, int]]] = []
    for _ in range(400):
        if len(under_way) < 12:
            io = rng.choice(queues)
            now = int.from_bytes(bench.read(BLOCK)[:8], "little")
            cids = io.begin_pair(BLOCK, block_of(now), block_of(now + 1), in_capsule=rng.random() < 0.5)
            under_way.append((io, cids))
        bench.is_fetching = rng.random() < 0.5
        bench.pump()
        if bench.with_store:
            bench.run_one(rng.randrange(len(bench.with_store)))
        for io, cids in under_way[:]:
            if None not in io.statuses(cids):
                under_way.remove((io, cids))
                assert io.statuses(cids) in ([0, 0], [DIFFERENT, FAILED])
                steps += io.status(cids[1]) == 0
    bench.is_storing = bench.is_fetching = True
    bench.pump()
    steps += sum(io.status(cids[1]) == 0 for io, cids in under_way)
    assert bench.read(BLOCK) == block_of(steps)
    assert steps > 20
    assert bench.target.line.exclusions.active == []


def test_a_wide_pair_is_not_overtaken_for_ever_by_narrow_ones(bench: Bench, io: BenchQueue, other: BenchQueue) -> None:
    bench.is_storing = False
    narrow = other.begin_pair(10, bytes(BLOCK_BYTES), NEW)
    bench.pump()
    wide = io.begin_pair(10, NEW + bytes(BLOCK_BYTES), OTHER * 2)
    late = other.begin_pair(11, bytes(BLOCK_BYTES), NEW)
    settle(bench)
    assert (other.statuses(narrow), io.statuses(wide)) == ([0, 0], [0, 0])
    assert other.statuses(late) == [DIFFERENT, FAILED]
    assert bench.read(10, 2) == OTHER * 2


def test_what_a_pair_holds_back_fails_when_its_namespace_shrinks_below_it(
    bench: Bench, io: BenchQueue, other: BenchQueue
) -> None:
    bench.write(30, OLD)
    bench.is_storing = False
    cids = io.begin_pair(30, OLD, NEW)
    bench.pump()
    late = other.begin(IoOpcode.WRITE, 30, data=OTHER)
    bench.pump()
    bench.store.block_count = 20
    bench.target.subsystems[NQN].resize_namespace(1)
    bench.pump()
    assert other.status(late) == StatusCode.LBA_OUT_OF_RANGE
    settle(bench)
    assert io.statuses(cids) == [0, StatusCode.LBA_OUT_OF_RANGE]


def test_what_a_pair_holds_back_is_aborted_with_its_queue(bench: Bench, io: BenchQueue, other: BenchQueue) -> None:
    bench.is_storing = False
    cids = pair(io)
    late = other.begin(IoOpcode.WRITE, BLOCK, data=OTHER)
    bench.pump()
    other.queue.stop()
    bench.pump()
    assert other.status(late) == STOPPED
    settle(bench)
    assert io.statuses(cids) == [0, 0]
    assert bench.read(BLOCK) == NEW


def test_a_pair_does_not_wait_for_a_change_that_is_aborted(bench: Bench, io: BenchQueue) -> None:
    admin, other = bench.host()
    bench.is_storing = False
    # It is in the line, and no executor has seen it.
    early = other.begin(IoOpcode.WRITE, BLOCK, data=OTHER)
    cids = io.begin_pair(BLOCK, OLD, NEW)
    assert bench.target.line.exclusions.active[0].waiting_for
    entry = sqe(AdminOpcode.ABORT, cdw10=1 | early << 16)
    admin.send(entry)
    settle(bench)
    assert other.status(early) == ABORTED
    assert io.statuses(cids) == [0, 0]
