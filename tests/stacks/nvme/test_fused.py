"""Fused Compare and Write: what makes a pair, what becomes of each half, and that nothing comes between."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from stacks.nvme.stores import MemoryStore
from stacks.nvme.target.aborting import Abortion
from stacks.nvme.target.command import Command
from tests.stacks.nvme.bench import BLOCK_BYTES, Bench, BenchQueue, abort, block_of, ranged
from tests.stacks.nvme.core_rig import NQN, SQE_WORDS, copy_ranges, ranges, sqe
from wire.nvme.identify_codec import IdentifyController
from wire.nvme.logs_codec import SmartLog
from wire.nvme.opcodes import AdminOpcode, DatasetAttribute, Fuse, IoOpcode
from wire.nvme.status import StatusCode

OLD, NEW, OTHER = block_of(1), block_of(2), block_of(3)
FAILED, MISSING = StatusCode.ABORTED_FAILED_FUSED, StatusCode.ABORTED_MISSING_FUSED
DIFFERENT, STOPPED = StatusCode.COMPARE_FAILURE, StatusCode.ABORTED_SQ_DELETION
ABORTED = StatusCode.ABORTED_BY_REQUEST
BLOCK = 7


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.write(BLOCK, OLD)
    return bench


@pytest.fixture
def admin(bench: Bench) -> BenchQueue:
    return bench.host(queues=2)[0]


@pytest.fixture
def io(bench: Bench) -> BenchQueue:
    return bench.host()[1]


@pytest.fixture
def other(bench: Bench) -> BenchQueue:
    return bench.host()[1]


def pair(io: BenchQueue, expected: bytes = OLD, data: bytes = NEW, *, in_capsule: bool = True) -> tuple[int, int]:
    cids = io.begin_pair(BLOCK, expected, data, in_capsule=in_capsule)
    io.pump()
    return cids


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


# Nothing comes between


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
def test_a_change_that_a_store_has_is_waited_for(
    bench: Bench, io: BenchQueue, other: BenchQueue, change: str
) -> None:
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


# Ends of all kinds, wherever the pair is


def no_first_data(bench: Bench, io: BenchQueue, _: BenchQueue) -> tuple[int, int]:
    bench.is_fetching = False
    return pair(io, in_capsule=False)


def no_second_data(bench: Bench, io: BenchQueue, _: BenchQueue) -> tuple[int, int]:
    bench.is_fetching = False
    first = io.begin(IoOpcode.COMPARE, BLOCK, data=OLD, flags=Fuse.FIRST)
    second = io.begin(IoOpcode.WRITE, BLOCK, data=NEW, flags=Fuse.SECOND, in_capsule=False)
    bench.pump()
    return first, second


def claiming(bench: Bench, io: BenchQueue, other: BenchQueue) -> tuple[int, int]:
    bench.is_storing = False
    other.begin(IoOpcode.WRITE, BLOCK, data=OLD)
    bench.pump()
    return pair(io)


def waiting_for_another(bench: Bench, io: BenchQueue, other: BenchQueue) -> tuple[int, int]:
    bench.is_storing = False
    other.begin_pair(BLOCK, OLD, OLD)
    bench.pump()
    return pair(io)


def comparing(bench: Bench, io: BenchQueue, _: BenchQueue) -> tuple[int, int]:
    bench.is_storing = False
    return pair(io)


def writing(bench: Bench, io: BenchQueue, _: BenchQueue) -> tuple[int, int]:
    bench.is_storing = False
    cids = pair(io)
    bench.run_one()
    return cids


STAGES = (no_first_data, no_second_data, claiming, waiting_for_another, comparing, writing)


def settle(bench: Bench) -> None:
    bench.is_storing = bench.is_fetching = True
    bench.pump()
    assert bench.with_hosts == bench.with_store == []
    assert bench.target.line.exclusions.active == []


STOPS = {
    no_first_data: [STOPPED, FAILED],
    no_second_data: [STOPPED, STOPPED],
    claiming: [STOPPED, FAILED],
    waiting_for_another: [STOPPED, FAILED],
    comparing: [0, STOPPED],
    writing: [0, 0],
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_queue_that_stops_ends_its_pair(
    bench: Bench, io: BenchQueue, other: BenchQueue, stage: Callable[..., tuple[int, int]]
) -> None:
    cids = stage(bench, io, other)
    io.queue.stop()
    settle(bench)
    assert io.statuses(cids) == STOPS[stage]
    assert bench.read(BLOCK) == (NEW if stage is writing else OLD)
    assert io.queue.in_flight == 0
    late = other.begin(IoOpcode.WRITE, BLOCK, data=OTHER)
    bench.pump()
    assert other.status(late) == 0


@pytest.mark.parametrize("stage", STAGES)
def test_a_connection_that_goes_leaves_nothing_of_its_pair(
    bench: Bench, io: BenchQueue, other: BenchQueue, stage: Callable[..., tuple[int, int]]
) -> None:
    stage(bench, io, other)
    gone = [command for command in bench.with_hosts if command.queue is io.queue]
    io.queue.closed()
    for command in gone:
        # What it was fetching a binding gives up itself.
        bench.with_hosts.remove(command)
        bench.port.release(command)
    settle(bench)
    late = other.begin_pair(BLOCK, bench.read(BLOCK), OTHER)
    bench.pump()
    assert other.statuses(late) == [0, 0]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("half", [0, 1])
def test_each_half_can_be_aborted(bench: Bench, half: int, stage: Callable[..., tuple[int, int]]) -> None:
    admin, io = bench.host()
    _, other = bench.host()
    cids = stage(bench, io, other)
    assert abort(admin, 1, cids[half]).dw0 == 1, "it cannot end at once"
    settle(bench)
    is_too_late = stage is writing or (stage is comparing and not half)
    expected = [0, 0] if is_too_late else [0, ABORTED] if half else [ABORTED, FAILED]
    assert io.statuses(cids) == expected
    assert bench.read(BLOCK) == (NEW if is_too_late else OLD)
    late = other.begin_pair(BLOCK, bench.read(BLOCK), OTHER)
    bench.pump()
    assert other.statuses(late) == [0, 0]


@pytest.mark.parametrize("stage", STAGES)
def test_a_pair_that_lost_its_rights_does_not_reach_the_store_any_more(
    bench: Bench, io: BenchQueue, other: BenchQueue, stage: Callable[..., tuple[int, int]]
) -> None:
    cids = stage(bench, io, other)
    with_store = [request for request in bench.with_store if request.queue is io.queue]  # type: ignore[attr-defined]
    abortion = Abortion(StatusCode.ABORTED_PREEMPT.value)
    for command in list(io.queue.under_way):
        if command in io.queue.under_way:
            abortion.abort(io.queue, command)
    bench.is_storing = bench.is_fetching = True
    reached = []

    def poll() -> list[object]:
        requests = list(polled())
        reached.extend(request for request in requests if request.queue is io.queue)  # type: ignore[attr-defined]
        return requests

    polled, bench.target.poll_store_requests = bench.target.poll_store_requests, poll  # type: ignore[method-assign, assignment]
    settle(bench)
    assert reached == []
    if not with_store:
        assert io.statuses(cids)[0] == StatusCode.ABORTED_PREEMPT
        assert bench.read(BLOCK) == OLD
    assert None not in io.statuses(cids)


def test_a_first_half_that_waits_for_its_second_can_be_aborted_and_ends_with_its_queue(bench: Bench) -> None:
    admin, io = bench.host()
    first = io.begin(IoOpcode.COMPARE, BLOCK, data=OLD, flags=Fuse.FIRST)
    assert abort(admin, 1, first).dw0 == 0
    second = io.begin(IoOpcode.WRITE, BLOCK, data=NEW, flags=Fuse.SECOND)
    io.pump()
    assert io.statuses((first, second)) == [ABORTED, FAILED]
    first = io.begin(IoOpcode.COMPARE, BLOCK, data=OLD, flags=Fuse.FIRST)
    io.queue.stop()
    second = io.begin(IoOpcode.WRITE, BLOCK, data=NEW, flags=Fuse.SECOND)
    io.pump()
    assert io.statuses((first, second)) == [STOPPED, StatusCode.COMMAND_SEQUENCE_ERROR]
    assert bench.read(BLOCK) == OLD


def test_data_that_does_not_come_through_fails_that_half(bench: Bench, io: BenchQueue) -> None:
    for half, expected in ((0, [StatusCode.TRANSIENT_TRANSPORT_ERROR, FAILED]), (1, [0, 0x22])):
        bench.is_fetching = False
        if half:
            cids = no_second_data(bench, io, io)
        else:
            cids = pair(io, in_capsule=False)
        (command,) = bench.with_hosts
        bench.with_hosts.clear()
        io.queue.fail(command, StatusCode.TRANSIENT_TRANSPORT_ERROR.value)
        settle(bench)
        assert io.statuses(cids) == expected
    assert bench.read(BLOCK) == OLD


def test_many_pairs_do_not_wait_for_each_others_buffers(bench: Bench) -> None:
    # The pool has two buffers of this size.
    queues = [bench.host()[1] for _ in range(3)]
    data = OTHER * 16
    cids = [
        (io, io.begin_pair(16 * at, bytes(16 * BLOCK_BYTES), data, in_capsule=False))
        for at, io in enumerate(queues * 3, 1)
    ]
    bench.pump()
    assert [io.statuses(each) for io, each in cids] == [[0, 0]] * 9


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
