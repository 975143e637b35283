"""Abort: whatever waits ends at once, what is with a store goes no further, and nothing else is touched."""

from __future__ import annotations

import pytest

from stacks.nvme.stores import MemoryStore
from tests.stacks.nvme.bench import BLOCK_BYTES, Bench, BenchQueue, abort, block_of, ranged
from tests.stacks.nvme.core_rig import copy_ranges, sqe
from wire.nvme.identify_codec import IdentifyController
from wire.nvme.logs_codec import ErrorLogEntry
from wire.nvme.opcodes import AdminOpcode, IoOpcode
from wire.nvme.status import DNR, StatusCode, status_code

ABORTED = StatusCode.ABORTED_BY_REQUEST
DATA = block_of(1)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def host(bench: Bench) -> tuple[BenchQueue, ...]:
    return bench.host(queues=2)


@pytest.fixture
def admin(host: tuple[BenchQueue, ...]) -> BenchQueue:
    return host[0]


@pytest.fixture
def io(host: tuple[BenchQueue, ...]) -> BenchQueue:
    return host[1]


def settle(bench: Bench) -> None:
    bench.is_storing = bench.is_fetching = True
    bench.pump()


def test_a_command_that_waits_for_memory_ends_at_once(bench: Bench, admin: BenchQueue, io: BenchQueue) -> None:
    bench.is_fetching = False
    large = DATA * 16
    under_way = [io.begin(IoOpcode.WRITE, 16 * at, 16, data=large, in_capsule=False) for at in range(3)]
    bench.pump()
    assert len(bench.with_hosts) == 1, "there is one buffer of this size for a queue"
    assert abort(admin, 1, under_way[2]).dw0 == 0
    settle(bench)
    assert io.statuses(under_way) == [0, 0, ABORTED]
    assert bench.read(32) == bytes(BLOCK_BYTES)
    assert not io.answers[under_way[2]].word & DNR, "it may be sent again"


def test_a_command_whose_data_nobody_has_asked_for_ends_at_once(
    bench: Bench, admin: BenchQueue, io: BenchQueue
) -> None:
    cid = io.begin(IoOpcode.WRITE, 0, data=DATA, in_capsule=False)
    admin.send(sqe(AdminOpcode.ABORT, cdw10=1 | cid << 16))
    assert bench.port.poll_fetches() == []
    bench.pump()
    assert (io.status(cid), admin.answers[admin.cid].dw0) == (ABORTED, 0)


def test_a_command_that_no_executor_has_seen_ends_at_once(bench: Bench, admin: BenchQueue, io: BenchQueue) -> None:
    cid = io.begin(IoOpcode.WRITE, 0, data=DATA)
    admin.send(sqe(AdminOpcode.ABORT, cdw10=1 | cid << 16))
    bench.pump()
    assert (io.status(cid), admin.answers[admin.cid].dw0) == (ABORTED, 0)
    assert bench.read(0) == bytes(BLOCK_BYTES)


def test_a_command_that_a_pair_holds_back_ends_at_once(bench: Bench, admin: BenchQueue, io: BenchQueue) -> None:
    (_, other) = bench.host()
    bench.is_storing = False
    other.begin_pair(0, bytes(BLOCK_BYTES), block_of(2))
    bench.pump()
    cid = io.begin(IoOpcode.WRITE, 0, data=DATA)
    bench.pump()
    assert abort(admin, 1, cid).dw0 == 0
    assert io.status(cid) == ABORTED
    settle(bench)
    assert bench.read(0) == block_of(2)


def test_a_command_whose_data_is_on_its_way_ends_when_that_comes(
    bench: Bench, admin: BenchQueue, io: BenchQueue
) -> None:
    bench.is_fetching = False
    cid = io.begin(IoOpcode.WRITE, 0, data=DATA, in_capsule=False)
    bench.pump()
    assert abort(admin, 1, cid).dw0 == 1
    assert io.status(cid) is None
    settle(bench)
    assert io.status(cid) == ABORTED
    assert bench.read(0) == bytes(BLOCK_BYTES)


@pytest.mark.parametrize("opcode", [IoOpcode.WRITE, IoOpcode.READ, IoOpcode.FLUSH, IoOpcode.WRITE_ZEROES])
def test_what_a_store_has_is_done(bench: Bench, admin: BenchQueue, io: BenchQueue, opcode: int) -> None:
    bench.is_storing = False
    is_write = opcode == IoOpcode.WRITE
    cid = io.send(ranged(opcode, 0, 1), data=DATA if is_write else b"", in_capsule=is_write,
                  expect=BLOCK_BYTES if opcode == IoOpcode.READ else 0)  # fmt: skip
    bench.pump()
    assert abort(admin, 1, cid).dw0 == 1
    settle(bench)
    assert io.status(cid) == 0


@pytest.mark.parametrize("opcode", [IoOpcode.COPY, IoOpcode.VERIFY, IoOpcode.COMPARE])
def test_what_goes_in_pieces_does_not_go_on(opcode: int) -> None:
    bench = Bench(MemoryStore(64 << 20))
    admin, io = bench.host()
    bench.write(0, DATA * 32)
    bench.is_storing = False
    data = copy_ranges((0, 4096)) if opcode == IoOpcode.COPY else DATA * 32 if opcode == IoOpcode.COMPARE else b""
    blocks = {IoOpcode.COPY: 1, IoOpcode.COMPARE: 32}.get(opcode, 4096)
    bench.is_fetching = True
    cid = io.send(ranged(opcode, 8192 if opcode == IoOpcode.COPY else 0, blocks), data=data)
    bench.pump()
    assert abort(admin, 1, cid).dw0 == 1
    bench.run_one()
    assert io.status(cid) == ABORTED
    assert bench.with_store == []
    assert io.queue.in_flight == 0


def test_an_event_request_ends_at_once(admin: BenchQueue) -> None:
    cids = [admin.send(sqe(AdminOpcode.ASYNC_EVENT_REQUEST)) for _ in range(3)]
    assert abort(admin, 0, cids[1]).dw0 == 0
    assert admin.statuses(cids) == [None, ABORTED, None]
    assert abort(admin, 0, cids[1]).dw0 == 1


def test_an_admin_command_that_waits_for_memory_ends_at_once(bench: Bench, admin: BenchQueue) -> None:
    queues = [bench.host()[1] for _ in range(10)]
    bench.is_fetching = False
    for io in queues:
        for blocks in (1, 16):
            io.begin(IoOpcode.WRITE, 0, blocks, data=DATA * blocks, in_capsule=False)
    bench.pump()
    cid = admin.send(sqe(AdminOpcode.IDENTIFY, cdw10=1), expect=4096)
    bench.pump()
    assert admin.status(cid) is None
    assert abort(admin, 0, cid).dw0 == 0
    assert admin.status(cid) == ABORTED


@pytest.mark.parametrize(("qid", "cid"), [(1, 77), (2, 1), (3, 1), (0xFFFF, 0xFFFF), (0, 9999)])
def test_what_is_not_there_is_not_aborted(bench: Bench, host: tuple[BenchQueue, ...], qid: int, cid: int) -> None:
    admin, io, _ = host
    bench.is_storing = False
    writing = io.begin(IoOpcode.WRITE, 0, data=DATA)
    bench.pump()
    answer = abort(admin, qid, cid)
    assert (answer.status, answer.dw0) == (0, 1)
    settle(bench)
    assert io.status(writing) == 0


def test_an_abort_does_not_abort_itself(admin: BenchQueue) -> None:
    answer = abort(admin, 0, admin.cid + 1)
    assert (answer.status, answer.dw0) == (0, 1)


def test_only_commands_of_the_same_controller_can_be_aborted(bench: Bench, io: BenchQueue) -> None:
    stranger = bench.host()[0]
    cid = io.begin(IoOpcode.WRITE, 0, data=DATA)
    stranger.send(sqe(AdminOpcode.ABORT, cdw10=1 | cid << 16))
    bench.pump()
    assert io.status(cid) == 0


def test_an_aborted_command_is_in_the_error_log_and_its_answer_comes_first(
    bench: Bench, admin: BenchQueue, io: BenchQueue
) -> None:
    cid = io.begin(IoOpcode.WRITE, 5, data=DATA)
    admin.send(sqe(AdminOpcode.ABORT, cdw10=1 | cid << 16))
    answered = [command.queue for command in bench.port.completions]
    assert answered == [io.queue, admin.queue]
    bench.pump()
    entry = ErrorLogEntry.decode(admin.log_page(1, 64).data)
    assert (entry.sqid, entry.cid, entry.lba, status_code(entry.status)) == (1, cid, 5, ABORTED)


def test_there_are_never_too_many_aborts(admin: BenchQueue, io: BenchQueue, bench: Bench) -> None:
    assert IdentifyController.decode(admin.identify(1).data).acl == 3
    bench.is_storing = False
    writing = [io.begin(IoOpcode.WRITE, at, data=DATA) for at in range(8)]
    bench.pump()
    aborts = [admin.send(sqe(AdminOpcode.ABORT, cdw10=1 | cid << 16)) for cid in writing]
    bench.pump()
    assert admin.statuses(aborts) == [0] * 8
    settle(bench)
    assert io.statuses(writing) == [0] * 8
