"""I/O commands against a target's core."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stacks.nvme.stores import MemoryStore, Store
from tests.stacks.nvme.core_rig import NQN, SQE_WORDS, Command, CoreHost, connected, make_port, ranges, sqe
from wire.nvme.commands_codec import SubmissionEntry
from wire.nvme.kinds import AnaState
from wire.nvme.opcodes import FLAGS_SGL, DatasetAttribute, Fuse, IoOpcode
from wire.nvme.status import DNR, StatusCode

BLOCK = bytes(range(256)) * 16
OTHER = b"other" * 819 + b"x"


@pytest.fixture
def io() -> CoreHost:
    return connected(make_port())[1]


@pytest.mark.parametrize("in_capsule", [False, True])
def test_a_block_is_read_as_it_was_written(io: CoreHost, in_capsule: bool) -> None:
    assert io.io(IoOpcode.WRITE, 5, 1, data=BLOCK, in_capsule=in_capsule).status == 0
    answer = io.io(IoOpcode.READ, 5, 1, expect=4096)
    assert (answer.status, answer.data) == (0, BLOCK)


@pytest.mark.parametrize("opcode", [IoOpcode.READ, IoOpcode.WRITE, IoOpcode.COMPARE, IoOpcode.WRITE_ZEROES])
@pytest.mark.parametrize(("block", "blocks"), [(256, 1), (255, 2), (1 << 63, 1), ((1 << 64) - 1, 2)])
def test_blocks_past_the_end_are_out_of_range(io: CoreHost, opcode: int, block: int, blocks: int) -> None:
    answer = io.io(opcode, block, blocks, data=bytes(4096 * blocks))
    assert answer.status == StatusCode.LBA_OUT_OF_RANGE
    assert answer.word & DNR


@pytest.mark.parametrize("opcode", [each for each in IoOpcode if each != IoOpcode.FABRICS])
@pytest.mark.parametrize(
    ("nsid", "status"),
    [
        (0, StatusCode.INVALID_NAMESPACE),
        (2, StatusCode.INVALID_FIELD),
        (1024, StatusCode.INVALID_FIELD),
        (1025, StatusCode.INVALID_NAMESPACE),
        (0xFFFFFFFF, StatusCode.INVALID_NAMESPACE),
    ],
)
def test_an_unknown_namespace_is_refused(io: CoreHost, opcode: int, nsid: int, status: StatusCode) -> None:
    supported = opcode in (0, 1, 2, 4, 5, 8, 9, 0x0C, 0x0D, 0x0E, 0x11, 0x15, 0x19)
    answer = io.io(opcode, 0, 1, data=bytes(4096), nsid=nsid)
    assert answer.status == (status if supported else StatusCode.INVALID_OPCODE)


@pytest.mark.parametrize("length", [0, 512, 4095, 8192])
def test_an_sgl_of_another_length_is_refused(io: CoreHost, length: int) -> None:
    answer = io.io(IoOpcode.READ, 0, 1, expect=length)
    assert answer.status == StatusCode.INVALID_SGL_DATA_LENGTH
    assert io.io(IoOpcode.WRITE, 0, 1, data=bytes(length)).status == StatusCode.INVALID_SGL_DATA_LENGTH


def test_more_than_mdts_is_refused(io: CoreHost) -> None:
    assert io.io(IoOpcode.READ, 0, 33, expect=33 * 4096).status == StatusCode.INVALID_FIELD


def test_read_data_does_not_go_into_a_capsule(io: CoreHost) -> None:
    assert io.io(IoOpcode.READ, 0, 1, data=bytes(4096), in_capsule=True).status == StatusCode.INVALID_SGL_TYPE


def with_flags(io: CoreHost, flags: int, cid: int) -> None:
    entry = SubmissionEntry(opcode=IoOpcode.READ, flags=flags, nsid=1, cid=cid, cdw10=cid)
    command = Command()
    command.words = SQE_WORDS(entry.encode(), 0)
    command.data_bytes = 4096
    io.queue.handle_capsule(command)
    io.pump()


@pytest.mark.parametrize("flags", [0x00, 0x80, 0xC0, 0x43, *(FLAGS_SGL | 1 << bit for bit in range(2, 6))])
def test_prps_reserved_bits_and_a_reserved_fuse_are_refused(io: CoreHost, flags: int) -> None:
    with_flags(io, flags, 9)
    assert io.answers[9].status == StatusCode.INVALID_FIELD


def test_half_of_a_fused_pair_waits_for_the_other_or_ends_without_it(io: CoreHost) -> None:
    with_flags(io, FLAGS_SGL | Fuse.FIRST, 9)
    assert io.answers == {}
    with_flags(io, FLAGS_SGL, 10)
    assert (io.answers[9].status, io.answers[10].status) == (StatusCode.ABORTED_MISSING_FUSED, 0)
    with_flags(io, FLAGS_SGL | Fuse.SECOND, 11)
    assert io.answers[11].status == StatusCode.ABORTED_MISSING_FUSED


@pytest.mark.parametrize("in_capsule", [False, True])
def test_compare_tells_equal_from_different(io: CoreHost, in_capsule: bool) -> None:
    io.io(IoOpcode.WRITE, 1, 1, data=BLOCK)
    io.io(IoOpcode.WRITE, 2, 1, data=OTHER)
    both = BLOCK + OTHER
    assert io.io(IoOpcode.COMPARE, 1, 2, data=both, in_capsule=in_capsule).status == 0
    assert io.io(IoOpcode.COMPARE, 1, 2, data=both[:-1] + b"!", in_capsule=in_capsule).status == 0x285


def test_a_long_compare_looks_at_every_piece(io: CoreHost) -> None:
    data = BLOCK * 32
    io.io(IoOpcode.WRITE, 0, 32, data=data)
    assert io.io(IoOpcode.COMPARE, 0, 32, data=data).status == 0
    assert io.io(IoOpcode.COMPARE, 0, 32, data=data[:-1] + b"\0").status == StatusCode.COMPARE_FAILURE


def test_written_zeroes_are_read(io: CoreHost) -> None:
    io.io(IoOpcode.WRITE, 0, 3, data=BLOCK * 3)
    assert io.io(IoOpcode.WRITE_ZEROES, 1, 1).status == 0
    assert io.io(IoOpcode.READ, 0, 3, expect=3 * 4096).data == BLOCK + bytes(4096) + BLOCK


def test_deallocated_ranges_read_as_zeroes(io: CoreHost) -> None:
    io.io(IoOpcode.WRITE, 0, 5, data=BLOCK * 5)
    entry = sqe(IoOpcode.DATASET_MANAGEMENT, nsid=1, cdw10=2, cdw11=DatasetAttribute.DEALLOCATE)
    assert io.do(entry, data=ranges((0, 1), (2, 0), (3, 1))).status == 0
    assert io.io(IoOpcode.READ, 0, 5, expect=5 * 4096).data == bytes(4096) + BLOCK * 2 + bytes(4096) + BLOCK


def test_room_for_all_ranges_may_be_sent_whatever_their_number(io: CoreHost) -> None:
    entry = sqe(IoOpcode.DATASET_MANAGEMENT, nsid=1, cdw10=0, cdw11=DatasetAttribute.DEALLOCATE)
    assert io.do(entry, data=ranges((0, 1)).ljust(4096, b"\0")).status == 0


def test_a_range_past_the_end_is_refused_and_changes_nothing(io: CoreHost) -> None:
    io.io(IoOpcode.WRITE, 0, 1, data=BLOCK)
    entry = sqe(IoOpcode.DATASET_MANAGEMENT, nsid=1, cdw10=1, cdw11=DatasetAttribute.DEALLOCATE)
    assert io.do(entry, data=ranges((0, 1), (255, 2))).status == StatusCode.LBA_OUT_OF_RANGE
    assert io.io(IoOpcode.READ, 0, 1, expect=4096).data == BLOCK
    assert io.do(entry, data=ranges((0, 1))).status == StatusCode.INVALID_SGL_DATA_LENGTH


def test_hints_other_than_deallocate_change_nothing(io: CoreHost) -> None:
    io.io(IoOpcode.WRITE, 0, 1, data=BLOCK)
    entry = sqe(IoOpcode.DATASET_MANAGEMENT, nsid=1, cdw11=DatasetAttribute.INTEGRAL_READ)
    assert io.do(entry, data=ranges((0, 1))).status == 0
    assert io.io(IoOpcode.READ, 0, 1, expect=4096).data == BLOCK


def test_a_read_only_namespace_refuses_every_change_and_says_so() -> None:
    store = MemoryStore(1 << 20)
    store.is_read_only = True
    admin, io = connected(make_port(store))
    for opcode in (IoOpcode.WRITE, IoOpcode.WRITE_ZEROES, IoOpcode.DATASET_MANAGEMENT):
        assert io.io(opcode, 0, 1, data=bytes(4096)).status == StatusCode.NAMESPACE_WRITE_PROTECTED
    assert io.io(IoOpcode.READ, 0, 1, expect=4096).status == 0
    assert admin.identify(0, nsid=1).data[99] == 1


class Broken(MemoryStore):
    """Fails with an errno."""

    number = 0

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        if self.number:
            raise OSError(self.number, "broken")
        super().write(block, data)


def test_a_full_medium_ends_in_capacity_exceeded_and_the_target_goes_on() -> None:
    store = Broken(1 << 20)
    admin, io = connected(make_port(store))
    store.number = 28
    assert io.io(IoOpcode.WRITE, 0, 1, data=BLOCK).status == StatusCode.CAPACITY_EXCEEDED
    store.number = 5
    assert io.io(IoOpcode.WRITE, 0, 1, data=BLOCK).status == StatusCode.WRITE_FAULT
    store.number = 0
    assert io.io(IoOpcode.WRITE, 0, 1, data=BLOCK).status == 0
    assert int.from_bytes(admin.log_page(2, 512).data[160:168], "little") == 1


def test_sqhd_counts_round_the_submission_queue(io: CoreHost) -> None:
    heads = [io.io(IoOpcode.READ, 0, 1, expect=4096).sqhd for _ in range(40)]
    assert heads == [(2 + index) % 32 for index in range(40)]


def test_commands_without_a_buffer_wait_and_then_go_on(io: CoreHost) -> None:
    free = io.port.pool.free_buffers
    entries = [sqe(IoOpcode.READ, nsid=1, cdw12=0) for _ in range(free + 15)]
    cids = [io.send(entry, expect=4096) for entry in entries]
    assert io.port.waiting
    io.pump()
    assert all(io.answers[cid].status == 0 for cid in cids)
    assert io.port.pool.free_buffers == free


def test_every_error_path_returns_its_buffer(io: CoreHost) -> None:
    free = io.port.pool.free_buffers
    io.io(IoOpcode.COMPARE, 0, 1, data=OTHER)
    io.io(IoOpcode.WRITE, 999, 1, data=OTHER)
    entry = sqe(IoOpcode.DATASET_MANAGEMENT, nsid=1, cdw11=4)
    io.do(entry, data=ranges((999, 1)))
    cid = io.send(sqe(IoOpcode.READ, nsid=1), expect=4096)
    io.queue.closed()
    io.pump()
    assert cid not in io.answers
    assert io.port.pool.free_buffers == free


def test_both_block_sizes_work_side_by_side() -> None:
    stores: list[Store] = [MemoryStore(1 << 20, block_bytes=512), MemoryStore(1 << 20)]
    admin, io = connected(make_port(*stores))
    assert io.io(IoOpcode.WRITE, 2047, 1, data=b"s" * 512, nsid=1).status == 0
    assert io.io(IoOpcode.READ, 2047, 1, expect=512, nsid=1).data == b"s" * 512
    assert io.io(IoOpcode.READ, 255, 1, expect=4096, nsid=2).status == 0
    assert [admin.identify(0, nsid=nsid).data[130] for nsid in (1, 2)] == [9, 12]


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (AnaState.OPTIMIZED, 0),
        (AnaState.NON_OPTIMIZED, 0),
        (AnaState.INACCESSIBLE, StatusCode.ANA_INACCESSIBLE),
        (AnaState.PERSISTENT_LOSS, StatusCode.ANA_PERSISTENT_LOSS),
        (AnaState.CHANGE, StatusCode.ANA_TRANSITION),
    ],
)
def test_the_ana_state_decides_whether_io_goes_through(io: CoreHost, state: AnaState, status: int) -> None:
    subsystem = io.port.target.subsystems[NQN]
    subsystem.set_ana_state(1, state)
    for opcode in (IoOpcode.READ, IoOpcode.WRITE, IoOpcode.WRITE_ZEROES, IoOpcode.COMPARE):
        answer = io.io(opcode, 0, 1, data=bytes(4096) if opcode != IoOpcode.WRITE_ZEROES else b"")
        assert answer.status == status
        assert not answer.word & DNR
    if state is not AnaState.PERSISTENT_LOSS:
        subsystem.set_ana_state(1, AnaState.OPTIMIZED)
        assert io.io(IoOpcode.READ, 0, 1, expect=4096).status == 0


def test_commands_that_wait_when_their_queue_closes_are_forgotten(io: CoreHost) -> None:
    free = io.port.pool.free_buffers
    for _ in range(free + 10):
        io.send(sqe(IoOpcode.READ, nsid=1), expect=4096)
    io.queue.closed()
    io.pump()
    assert io.answers == {}
    assert not io.port.waiting
    assert io.port.pool.free_buffers == free
