"""Write Uncorrectable: what is marked cannot be read by anybody, until something else is put there."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import namespace as namespace_module
from tests.stacks.nvme.core_rig import NQN, CoreHost, connected, copy_ranges, make_port, ranges, sqe
from wire.nvme.logs_codec import ErrorLogEntry, SmartLog
from wire.nvme.opcodes import DatasetAttribute, IoOpcode
from wire.nvme.status import DNR, StatusCode

BLOCK = bytes(range(256)) * 16


@pytest.fixture
def hosts() -> tuple[CoreHost, CoreHost]:
    return connected(make_port())


@pytest.fixture
def io(hosts: tuple[CoreHost, CoreHost]) -> CoreHost:
    return hosts[1]


def spoil(io: CoreHost, block: int, blocks: int) -> None:
    assert io.io(IoOpcode.WRITE_UNCORRECTABLE, block, blocks).status == 0


def read_status(io: CoreHost, block: int, blocks: int = 1) -> int:
    return io.io(IoOpcode.READ, block, blocks, expect=blocks * 4096).status


def test_marked_blocks_cannot_be_read_and_their_neighbours_can(io: CoreHost) -> None:
    io.io(IoOpcode.WRITE, 0, 8, data=BLOCK * 8)
    spoil(io, 3, 2)
    assert [read_status(io, block) for block in range(8)] == [0, 0, 0, 0x281, 0x281, 0, 0, 0]
    assert read_status(io, 2, 2) == StatusCode.UNRECOVERED_READ_ERROR
    assert read_status(io, 5, 3) == 0
    assert io.io(IoOpcode.READ, 4, 1, expect=4096).word & DNR


@pytest.mark.parametrize("opcode", [IoOpcode.READ, IoOpcode.COMPARE, IoOpcode.VERIFY, IoOpcode.COPY])
def test_nothing_that_reads_gets_past_a_marked_block(io: CoreHost, opcode: int) -> None:
    spoil(io, 6, 1)
    if opcode == IoOpcode.COPY:
        answer = io.do(sqe(opcode, nsid=1, cdw10=100, cdw12=1), data=copy_ranges((0, 4), (5, 3)))
    else:
        answer = io.io(opcode, 5, 3, data=b"" if opcode == IoOpcode.VERIFY else bytes(3 * 4096))
    assert answer.status == StatusCode.UNRECOVERED_READ_ERROR
    assert read_status(io, 100, 8) == 0


def test_a_write_over_part_of_the_marks_leaves_the_rest(io: CoreHost) -> None:
    spoil(io, 0, 10)
    io.io(IoOpcode.WRITE, 4, 2, data=BLOCK * 2)
    assert [read_status(io, block) for block in (3, 4, 5, 6)] == [0x281, 0, 0, 0x281]
    assert io.io(IoOpcode.READ, 4, 2, expect=8192).data == BLOCK * 2


def test_zeroes_and_deallocation_and_a_copy_put_something_else_there(io: CoreHost) -> None:
    io.io(IoOpcode.WRITE, 20, 1, data=BLOCK)
    spoil(io, 0, 4)
    io.io(IoOpcode.WRITE_ZEROES, 0, 1)
    entry = sqe(IoOpcode.DATASET_MANAGEMENT, nsid=1, cdw11=DatasetAttribute.DEALLOCATE)
    io.do(entry, data=ranges((1, 1)))
    io.do(sqe(IoOpcode.COPY, nsid=1, cdw10=2), data=copy_ranges((20, 1)))
    assert [read_status(io, block) for block in range(4)] == [0, 0, 0, 0x281]
    assert io.io(IoOpcode.READ, 0, 3, expect=3 * 4096).data == bytes(8192) + BLOCK


def test_a_hint_that_a_store_ignores_does_not_bring_blocks_back() -> None:
    store = MemoryStore(1 << 20)
    store.is_zero_after_deallocate = False
    _, io = connected(make_port(store))
    spoil(io, 1, 1)
    io.do(sqe(IoOpcode.DATASET_MANAGEMENT, nsid=1, cdw11=DatasetAttribute.DEALLOCATE), data=ranges((1, 1)))
    assert read_status(io, 1) == StatusCode.UNRECOVERED_READ_ERROR


class Stubborn(MemoryStore):
    """Takes no writes."""

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        raise OSError(5, "no")

    def write_zeroes(self, block: int, blocks: int) -> None:
        raise OSError(5, "no")

    def deallocate(self, block: int, blocks: int) -> None:
        raise OSError(5, "no")


def test_a_change_that_failed_does_not_bring_blocks_back() -> None:
    _, io = connected(make_port(Stubborn(1 << 20)))
    spoil(io, 1, 1)
    io.io(IoOpcode.WRITE, 1, 1, data=BLOCK)
    io.io(IoOpcode.WRITE_ZEROES, 1, 1)
    io.do(sqe(IoOpcode.DATASET_MANAGEMENT, nsid=1, cdw11=DatasetAttribute.DEALLOCATE), data=ranges((1, 1)))
    assert read_status(io, 1) == StatusCode.UNRECOVERED_READ_ERROR


def test_every_host_sees_the_marks() -> None:
    port = make_port()
    spoil(connected(port)[1], 9, 1)
    assert read_status(connected(port)[1], 9) == StatusCode.UNRECOVERED_READ_ERROR


def test_a_read_that_ran_into_a_mark_is_a_media_error_with_its_block(hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    spoil(io, 7, 3)
    read_status(io, 4, 8)
    entry = ErrorLogEntry.decode(admin.log_page(1, 64).data)
    assert (entry.lba, entry.nsid, entry.status >> 1 & 0x7FF) == (7, 1, 0x281)
    smart = SmartLog.decode(admin.log_page(2, 512).data)
    assert (smart.media_errors, smart.host_reads, smart.data_units_written) == (1, 0, 0)


def test_marks_beyond_what_memory_is_for_are_a_write_fault(io: CoreHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace_module, "MARKS_MAX", 3)
    for block in (0, 2, 4):
        spoil(io, block, 1)
    assert io.io(IoOpcode.WRITE_UNCORRECTABLE, 6, 1).status == StatusCode.WRITE_FAULT
    assert read_status(io, 6) == 0
    io.io(IoOpcode.WRITE, 2, 1, data=BLOCK)
    spoil(io, 6, 1)


def test_a_read_only_namespace_takes_no_marks() -> None:
    store = MemoryStore(1 << 20)
    store.is_read_only = True
    _, io = connected(make_port(store))
    assert io.io(IoOpcode.WRITE_UNCORRECTABLE, 0, 1).status == StatusCode.NAMESPACE_WRITE_PROTECTED


def test_a_namespace_without_marks_looks_no_further(io: CoreHost) -> None:
    namespace = io.port.target.subsystems[NQN].namespaces[1]
    spoil(io, 200, 1)
    assert namespace.plain_blocks == 200
    io.io(IoOpcode.WRITE, 200, 1, data=BLOCK)
    assert namespace.uncorrectable is None
    assert namespace.plain_blocks == namespace.block_count


def test_marks_beyond_the_end_of_a_namespace_that_shrank_are_gone() -> None:
    store = MemoryStore(1 << 20)
    _, io = connected(make_port(store))
    subsystem = io.port.target.subsystems[NQN]
    spoil(io, 100, 4)
    spoil(io, 126, 4)
    store.block_count = 102
    subsystem.resize_namespace(1)
    assert [read_status(io, 99), read_status(io, 101)] == [0, StatusCode.UNRECOVERED_READ_ERROR]
    store.block_count = 256
    subsystem.resize_namespace(1)
    assert [read_status(io, block) for block in (101, 102, 103, 126)] == [0x281, 0, 0, 0]
