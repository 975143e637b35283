"""Copy and Verify against a target's core."""

from __future__ import annotations

import pytest

from stacks.nvme.stores import MemoryStore
from stacks.nvme.stores.contract import run
from stacks.nvme.target.copy import COPY_BLOCKS_MAX, COPY_RANGE_BLOCKS_MAX
from tests.stacks.nvme.core_rig import NQN, CoreHost, connected, copy_ranges, make_port, sqe
from wire.nvme.logs_codec import ErrorLogEntry, SmartLog
from wire.nvme.opcodes import IoOpcode
from wire.nvme.status import IoCommandStatus, StatusCode

SMALL = 512


def content(first: int, blocks: int) -> bytes:
    return b"".join((first + index).to_bytes(4, "little") * (SMALL // 4) for index in range(blocks))


class Watched(MemoryStore):
    """A store that remembers what was asked of it, and can refuse to read or write a block."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(size_bytes, block_bytes=SMALL)
        self.calls: list[tuple[str, int, int]] = []
        self.bad: set[tuple[str, int]] = set()

    def _called(self, verb: str, block: int, length: int) -> None:
        self.calls.append((verb, block, length))
        for at in range(block, block + length // SMALL):
            if (verb, at) in self.bad:
                raise OSError(5, "bad block")

    def read(self, block: int, into: memoryview) -> None:
        self._called("read", block, len(into))
        super().read(block, into)

    def write(self, block: int, data: object) -> None:
        self._called("write", block, sum(map(len, data)))  # type: ignore[arg-type, call-overload]
        super().write(block, data)  # type: ignore[arg-type]

    def flush(self) -> None:
        self.calls.append(("flush", 0, 0))


@pytest.fixture
def store() -> Watched:
    return Watched(64 << 20)


@pytest.fixture
def hosts(store: Watched) -> tuple[CoreHost, CoreHost]:
    admin, io = connected(make_port(store))
    for first in range(0, 2048, 256):
        io.io(IoOpcode.WRITE, first, 256, data=content(first, 256))
    store.calls.clear()
    return admin, io


@pytest.fixture
def io(hosts: tuple[CoreHost, CoreHost]) -> CoreHost:
    return hosts[1]


def copy(io: CoreHost, target: int, *pairs: tuple[int, int], control: int = 0, extra: int = 0) -> tuple[int, int]:
    entry = sqe(
        IoOpcode.COPY,
        nsid=1,
        cdw10=target & 0xFFFFFFFF,
        cdw11=target >> 32,
        cdw12=len(pairs) - 1 | control << 16 | extra,
    )
    answer = io.do(entry, data=copy_ranges(*pairs))
    return answer.status, answer.dw0


def blocks_at(store: MemoryStore, block: int, blocks: int) -> bytes:
    view = MemoryStore.view(store, block, blocks)
    assert view is not None
    return bytes(view)


def test_ranges_lie_behind_one_another_at_the_destination(store: Watched, io: CoreHost) -> None:
    assert copy(io, 5000, (7, 3), (2000, 1), (0, 2)) == (0, 0)
    assert blocks_at(store, 4999, 8) == bytes(SMALL) + content(7, 3) + content(2000, 1) + content(0, 2) + bytes(SMALL)


def test_a_store_is_never_asked_for_more_than_a_piece(store: Watched, io: CoreHost) -> None:
    assert copy(io, 10000, (1, 2000)) == (0, 0)
    assert blocks_at(store, 10000, 2000) == content(1, 2000)
    assert max(length for _, _, length in store.calls) == 64 << 10
    assert [verb for verb, _, _ in store.calls] == ["read", "write"] * 16


@pytest.mark.parametrize("distance", [-300, -1, 1, 300])
def test_a_range_that_is_moved_over_itself_arrives_whole(store: Watched, io: CoreHost, distance: int) -> None:
    assert copy(io, 500 + distance, (500, 600)) == (0, 0)
    assert blocks_at(store, 500 + distance, 600) == content(500, 600)


def test_fua_is_one_flush_behind_each_write(store: Watched, io: CoreHost) -> None:
    copy(io, 10000, (0, 200), control=1 << 14)
    assert [verb for verb, _, _ in store.calls] == ["read", "write", "flush", "read", "write", "flush"]


@pytest.mark.parametrize(
    ("target", "pairs", "extra", "status"),
    [
        (0, [(0, 1)], 1 << 8, StatusCode.INVALID_FIELD),
        (0, [(0, 1)] * 129, 0, IoCommandStatus.COMMAND_SIZE_LIMIT_EXCEEDED),
        (0, [(0, COPY_RANGE_BLOCKS_MAX + 1)], 0, IoCommandStatus.COMMAND_SIZE_LIMIT_EXCEEDED),
        (0, [(0, COPY_RANGE_BLOCKS_MAX)] * 9, 0, IoCommandStatus.COMMAND_SIZE_LIMIT_EXCEEDED),
        (131071, [(0, 2)], 0, StatusCode.LBA_OUT_OF_RANGE),
        (0, [(5, 1), (131071, 2)], 0, StatusCode.LBA_OUT_OF_RANGE),
        (1 << 63, [(0, 1)], 0, StatusCode.LBA_OUT_OF_RANGE),
        (0, [((1 << 64) - 1, 1)], 0, StatusCode.LBA_OUT_OF_RANGE),
    ],
)
def test_what_cannot_be_copied_is_refused_before_anything_is_written(
    store: Watched, io: CoreHost, target: int, pairs: list[tuple[int, int]], extra: int, status: int
) -> None:
    assert copy(io, target, *pairs, extra=extra) == (status, 0)
    assert store.calls == []


def test_limits_are_those_that_identify_tells(hosts: tuple[CoreHost, CoreHost]) -> None:
    page = hosts[0].identify(0, nsid=1).data
    mssrl, mcl, msrc = page[74:76], page[76:80], page[80]
    assert int.from_bytes(mssrl, "little") == COPY_RANGE_BLOCKS_MAX
    assert int.from_bytes(mcl, "little") == COPY_BLOCKS_MAX
    assert msrc == 127


@pytest.mark.parametrize("length", [0, 31, 33, 8192])
def test_a_list_that_is_too_short_or_too_long_is_refused(io: CoreHost, length: int) -> None:
    # Longer than needed is fine up to a whole list.
    answer = io.do(sqe(IoOpcode.COPY, nsid=1, cdw10=5000), data=copy_ranges((1, 1)).ljust(length, b"\0")[:length])
    assert answer.status == (0 if length == 33 else StatusCode.INVALID_SGL_DATA_LENGTH)


def test_a_list_with_room_for_all_ranges_is_taken(store: Watched, io: CoreHost) -> None:
    assert io.do(sqe(IoOpcode.COPY, nsid=1, cdw10=5000), data=copy_ranges((1, 1)).ljust(4096, b"\0")).status == 0
    assert blocks_at(store, 5000, 2) == content(1, 1) + bytes(SMALL)


def test_a_copy_that_fails_tells_the_first_range_that_is_not_there(
    store: Watched, hosts: tuple[CoreHost, CoreHost]
) -> None:
    admin, io = hosts
    store.bad = {("read", 900)}
    assert copy(io, 5000, (0, 4), (10, 4), (880, 100)) == (StatusCode.UNRECOVERED_READ_ERROR, 2)
    assert ErrorLogEntry.decode(admin.log_page(1, 64).data).lba == 880
    store.bad = {("write", 5005)}
    assert copy(io, 5000, (0, 4), (10, 4)) == (StatusCode.WRITE_FAULT, 1)
    store.bad = {("write", 5000)}
    assert copy(io, 5000, (0, 4), (10, 4)) == (StatusCode.WRITE_FAULT, 0)


def test_a_copy_ends_between_two_pieces_when_its_queue_stops(store: Watched, hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    cid = io.send(sqe(IoOpcode.COPY, nsid=1, cdw10=10000), data=copy_ranges((0, 2000)), in_capsule=True)
    first = io.port.target.poll_store_requests()
    controller = admin.queue.controller
    assert controller is not None
    controller.fail()
    io.port.target.handle_store_completions(first, 0)
    io.pump()
    assert io.answers[cid].status == StatusCode.ABORTED_SQ_DELETION
    assert store.calls == []


@pytest.mark.parametrize("opcode", [IoOpcode.COPY, IoOpcode.VERIFY, IoOpcode.COMPARE])
def test_what_goes_in_pieces_ends_when_its_namespace_is_taken_away(
    store: Watched, hosts: tuple[CoreHost, CoreHost], opcode: int
) -> None:
    _, io = hosts
    if opcode == IoOpcode.COPY:
        cid = io.send(sqe(opcode, nsid=1, cdw10=10000), data=copy_ranges((0, 2000)), in_capsule=True)
    else:
        cid = io.send(sqe(opcode, nsid=1, cdw12=1999), data=bytes(2000 * SMALL) if opcode == IoOpcode.COMPARE else b"")
    first = io.port.target.poll_store_requests()
    io.port.target.subsystems[NQN].remove_namespace(1)
    for request in first:
        run(request)
    asked = len(store.calls)
    io.port.target.handle_store_completions(first, 0)
    io.pump()
    assert io.answers[cid].status == StatusCode.INVALID_FIELD
    assert store.calls[asked:] == []


def test_the_list_gives_its_buffer_back_before_the_copying(io: CoreHost) -> None:
    free = io.port.pool.free_buffers
    io.send(sqe(IoOpcode.COPY, nsid=1, cdw10=10000), data=copy_ranges((0, 2000)))
    (command,) = io.port.poll_fetches()
    assert command.view is not None
    command.view[:] = copy_ranges((0, 2000))
    assert io.port.pool.free_buffers == free - 1
    io.port.handle_fetched(command)
    assert io.port.pool.free_buffers == free
    io.pump()
    assert io.port.pool.free_buffers == free


def test_a_copy_counts_as_a_read_and_a_write(hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    before = SmartLog.decode(admin.log_page(2, 512).data)
    copy(io, 10000, (0, 2000))
    after = SmartLog.decode(admin.log_page(2, 512).data)
    assert (after.host_reads, after.host_writes - before.host_writes) == (1, 1)
    assert (after.data_units_read, after.data_units_written - before.data_units_written) == (2, 2)


def test_verify_reads_in_pieces_and_keeps_nothing(store: Watched, hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    assert io.io(IoOpcode.VERIFY, 3, 2000).status == 0
    assert [length for _, _, length in store.calls] == [64 << 10] * 15 + [80 * SMALL]
    smart = SmartLog.decode(admin.log_page(2, 512).data)
    assert (smart.host_reads, smart.data_units_read) == (0, 2)


def test_verify_tells_what_a_read_would_tell(store: Watched, hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    store.bad = {("read", 1000)}
    assert io.io(IoOpcode.VERIFY, 0, 2000).status == StatusCode.UNRECOVERED_READ_ERROR
    assert ErrorLogEntry.decode(admin.log_page(1, 64).data).lba == 896
    assert io.io(IoOpcode.VERIFY, 131071, 2).status == StatusCode.LBA_OUT_OF_RANGE
    assert io.io(IoOpcode.VERIFY, 0, 1, control=1 << 13).status == StatusCode.INVALID_FIELD


@pytest.mark.parametrize("opcode", [IoOpcode.VERIFY, IoOpcode.COMPARE])
def test_with_fua_what_is_looked_at_is_on_the_medium(store: Watched, io: CoreHost, opcode: int) -> None:
    data = content(0, 200) if opcode == IoOpcode.COMPARE else b""
    assert io.io(opcode, 0, 200, data=data, control=1 << 14).status == 0
    assert [verb for verb, _, _ in store.calls] == ["flush", "read", "read"]
