"""Fused Compare and Write: what makes a pair, what is none, and what can be wrong with one half."""

from __future__ import annotations

import pytest

from stacks.nvme.stores import MemoryStore
from stacks.nvme.target.command import Command
from tests.stacks.nvme.bench import BLOCK_BYTES, Bench, BenchQueue, block_of, ranged
from tests.stacks.nvme.core_rig import SQE_WORDS, sqe
from tests.stacks.nvme.fused.rig import BLOCK, DIFFERENT, FAILED, MISSING, NEW, OLD, OTHER, pair
from wire.nvme.identify_codec import IdentifyController
from wire.nvme.logs_codec import SmartLog
from wire.nvme.opcodes import AdminOpcode, Fuse, IoOpcode
from wire.nvme.status import StatusCode

# What a pair does


@pytest.mark.parametrize("in_capsule", [False, True])
def test_blocks_that_hold_what_is_expected_are_written(bench: Bench, io: BenchQueue, in_capsule: bool) -> None:
    cids = pair(io, in_capsule=in_capsule)
    assert io.statuses(cids) == [0, 0]
    assert tuple(io.order[-2:]) == cids
    assert bench.read(BLOCK) == NEW


@pytest.mark.parametrize("in_capsule", [False, True])
def test_blocks_that_hold_something_else_stay_as_they_are(bench: Bench, io: BenchQueue, in_capsule: bool) -> None:
    cids = pair(io, expected=OTHER, in_capsule=in_capsule)
    assert io.statuses(cids) == [DIFFERENT, FAILED]
    assert tuple(io.order[-2:]) == cids
    assert bench.read(BLOCK) == OLD


def test_a_pair_takes_as_many_blocks_as_identify_says_and_no_more(bench: Bench, admin: BenchQueue) -> None:
    page = IdentifyController.decode(admin.identify(1).data)
    assert page.fuses == 1
    (_, io) = bench.host()
    blocks = page.acwu + 1
    cids = io.begin_pair(16, bytes(blocks * BLOCK_BYTES), OTHER * blocks, in_capsule=False)
    io.pump()
    assert io.statuses(cids) == [0, 0]
    assert bench.read(16, blocks) == OTHER * blocks
    cids = io.begin_pair(64, bytes((blocks + 1) * BLOCK_BYTES), OTHER * (blocks + 1), in_capsule=False)
    io.pump()
    assert io.statuses(cids) == [StatusCode.ATOMIC_WRITE_UNIT_EXCEEDED, FAILED]
    assert bench.read(64, blocks + 1) == bytes((blocks + 1) * BLOCK_BYTES)


def test_pairs_come_one_after_the_other_on_one_queue(bench: Bench, io: BenchQueue) -> None:
    cids = [cid for number in range(1, 6) for cid in io.begin_pair(BLOCK, block_of(number), block_of(number + 1))]
    io.pump()
    assert io.statuses(cids) == [0] * 10
    assert bench.read(BLOCK) == block_of(6)


def test_a_pair_counts_as_a_read_and_a_write(bench: Bench, io: BenchQueue) -> None:
    pair(io)
    pair(io)
    log = SmartLog.decode(bench.host()[0].log_page(2, 512).data)
    assert (log.host_reads, log.host_writes) == (1, 1)


# What is no pair


@pytest.mark.parametrize("stranger", [0, Fuse.FIRST.value])
def test_a_first_half_without_a_second_behind_it_is_missing_one(bench: Bench, io: BenchQueue, stranger: int) -> None:
    first = io.begin(IoOpcode.COMPARE, BLOCK, data=OLD, flags=Fuse.FIRST)
    io.pump()
    assert io.status(first) is None
    opcode = IoOpcode.COMPARE if stranger else IoOpcode.READ
    next_one = io.send(ranged(opcode, BLOCK, 1, flags=stranger), data=OLD if stranger else b"", expect=BLOCK_BYTES)
    second = io.begin(IoOpcode.WRITE, BLOCK, data=NEW, flags=Fuse.SECOND)
    io.pump()
    assert io.statuses((first, next_one, second)) == ([MISSING, 0, 0] if stranger else [MISSING, 0, MISSING])
    assert bench.read(BLOCK) == (NEW if stranger else OLD)


def test_a_second_half_without_a_first_is_missing_one(bench: Bench, io: BenchQueue) -> None:
    second = io.begin(IoOpcode.WRITE, BLOCK, data=NEW, flags=Fuse.SECOND)
    io.pump()
    assert io.status(second) == MISSING
    assert bench.read(BLOCK) == OLD
    assert io.statuses(pair(io)) == [0, 0]


def test_halves_on_different_queues_are_no_pair(bench: Bench) -> None:
    _, one, two = bench.host(queues=2)
    first = one.begin(IoOpcode.COMPARE, BLOCK, data=OLD, flags=Fuse.FIRST)
    second = two.begin(IoOpcode.WRITE, BLOCK, data=NEW, flags=Fuse.SECOND)
    bench.pump()
    assert (one.status(first), two.status(second)) == (None, MISSING)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (ranged(IoOpcode.COMPARE, BLOCK, 1), ranged(IoOpcode.WRITE, BLOCK + 1, 1)),
        (ranged(IoOpcode.COMPARE, BLOCK, 1), ranged(IoOpcode.WRITE, BLOCK, 2)),
        (ranged(IoOpcode.COMPARE, BLOCK, 1), ranged(IoOpcode.WRITE, BLOCK, 1, nsid=2)),
        (ranged(IoOpcode.COMPARE, BLOCK, 1), ranged(IoOpcode.WRITE_ZEROES, BLOCK, 1)),
        (ranged(IoOpcode.READ, BLOCK, 1), ranged(IoOpcode.WRITE, BLOCK, 1)),
        (ranged(IoOpcode.WRITE, BLOCK, 1), ranged(IoOpcode.COMPARE, BLOCK, 1)),
    ],
)
def test_two_commands_that_do_not_fit_together_are_both_wrong(first: object, second: object) -> None:
    bench = Bench(MemoryStore(1 << 20), MemoryStore(1 << 20))
    bench.write(BLOCK, OLD)
    _, io = bench.host()
    cids = []
    for entry, fuse in ((first, Fuse.FIRST), (second, Fuse.SECOND)):
        entry.flags |= fuse  # type: ignore[attr-defined]
        cids.append(io.send(entry, data=NEW, in_capsule=True))  # type: ignore[arg-type]
    io.pump()
    assert io.statuses(cids) == [StatusCode.INVALID_FIELD] * 2
    assert bench.read(BLOCK) == OLD


@pytest.mark.parametrize("flags", [0x00, 0x01, 0x02, 0x43, 0x44, 0x7C, 0x80, 0x81])
def test_prps_and_reserved_bits_are_refused(io: BenchQueue, flags: int) -> None:
    entry = ranged(IoOpcode.READ, BLOCK, 1)
    entry.flags = flags
    assert io.do(entry, expect=BLOCK_BYTES).status == StatusCode.INVALID_FIELD


@pytest.mark.parametrize("fuse", [Fuse.FIRST, Fuse.SECOND])
def test_admin_commands_are_not_fused(admin: BenchQueue, fuse: Fuse) -> None:
    entry = sqe(AdminOpcode.IDENTIFY, cdw10=1)
    entry.flags |= fuse
    assert admin.do(entry, expect=4096).status == StatusCode.INVALID_FIELD
    assert admin.identify(1).status == 0


def test_halves_that_the_binding_refuses_leave_none_waiting(io: BenchQueue) -> None:
    for flags, expected in ((Fuse.FIRST, [FAILED]), (Fuse.SECOND, [MISSING]), (0, [MISSING])):
        command = Command()
        command.words = SQE_WORDS(ranged(IoOpcode.COMPARE, BLOCK, 1, flags=flags).encode(), 0)
        first = [] if flags == Fuse.FIRST else [io.begin(IoOpcode.COMPARE, BLOCK, data=OLD, flags=Fuse.FIRST)]
        io.queue.refuse(command, StatusCode.INVALID_SGL_TYPE.value)
        second = [io.begin(IoOpcode.WRITE, BLOCK, data=NEW, flags=Fuse.SECOND)] if flags == Fuse.FIRST else []
        io.pump()
        assert io.statuses(first or second) == expected
        assert io.statuses(pair(io, expected=OTHER)) == [DIFFERENT, FAILED]


# What can be wrong with one half


def test_a_marked_block_fails_the_compare(bench: Bench, io: BenchQueue) -> None:
    io.begin(IoOpcode.WRITE_UNCORRECTABLE, BLOCK)
    assert io.statuses(pair(io)) == [StatusCode.UNRECOVERED_READ_ERROR, FAILED]
    io.begin(IoOpcode.WRITE, BLOCK, data=OLD)
    assert io.statuses(pair(io)) == [0, 0]
    assert bench.read(BLOCK) == NEW


def test_blocks_past_the_end_fail_the_compare(io: BenchQueue) -> None:
    cids = io.begin_pair(256, OLD, NEW)
    io.pump()
    assert io.statuses(cids) == [StatusCode.LBA_OUT_OF_RANGE, FAILED]


def test_a_namespace_that_cannot_be_written_is_compared_all_the_same(bench: Bench, io: BenchQueue) -> None:
    bench.store.is_read_only = True
    assert io.statuses(pair(io)) == [0, StatusCode.NAMESPACE_WRITE_PROTECTED]
    assert io.statuses(pair(io, expected=OTHER)) == [DIFFERENT, StatusCode.NAMESPACE_WRITE_PROTECTED]


@pytest.mark.parametrize(("first", "second"), [(2 * BLOCK_BYTES, BLOCK_BYTES), (BLOCK_BYTES, 2 * BLOCK_BYTES)])
def test_a_length_that_does_not_fit_fails_that_half(bench: Bench, io: BenchQueue, first: int, second: int) -> None:
    cids = (
        io.begin(IoOpcode.COMPARE, BLOCK, data=(OLD * 2)[:first], flags=Fuse.FIRST, in_capsule=False),
        io.begin(IoOpcode.WRITE, BLOCK, data=(NEW * 2)[:second], flags=Fuse.SECOND, in_capsule=False),
    )
    io.pump()
    wrong = StatusCode.INVALID_SGL_DATA_LENGTH
    assert io.statuses(cids) == ([wrong, FAILED] if first > BLOCK_BYTES else [0, wrong])
    assert bench.read(BLOCK) == OLD


class Failing(MemoryStore):
    """A store that fails to do one thing."""

    verb = ""

    def read(self, block: int, into: memoryview) -> None:
        if self.verb == "read":
            raise OSError(5, "bad block")
        super().read(block, into)

    def write(self, block: int, data: object) -> None:
        if self.verb == "write":
            raise OSError(5, "bad block")
        super().write(block, data)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verb", "expected"),
    [("read", [StatusCode.UNRECOVERED_READ_ERROR, FAILED]), ("write", [0, StatusCode.WRITE_FAULT])],
)
def test_a_store_that_fails_ends_the_pair(verb: str, expected: list[int]) -> None:
    store = Failing(1 << 20)
    bench = Bench(store)
    bench.write(BLOCK, OLD)
    _, io = bench.host()
    store.verb = verb
    assert io.statuses(pair(io)) == expected
    store.verb = ""
    assert io.statuses(pair(io)) == [0, 0]
