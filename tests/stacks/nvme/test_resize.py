"""Namespaces that change under I/O: another size, another store."""

from __future__ import annotations

import pytest

from stacks.nvme.stores import MemoryStore
from stacks.runtime import LocalError
from tests.stacks.nvme.core_rig import sqe
from tests.stacks.nvme.fabrics_rig import BLOCK, FabricsRig, RigHost, disk
from wire.nvme.commands_codec import DatasetRange
from wire.nvme.identify_codec import IdentifyNamespace
from wire.nvme.opcodes import IoOpcode
from wire.nvme.status import StatusCode

DATA = b"\xa5" * BLOCK


class Elastic(MemoryStore):
    """A store whose size can be set, and that must never be asked for what is beyond it."""

    def __init__(self, blocks: int) -> None:
        super().__init__(64 * BLOCK)
        self.block_count = blocks

    def read(self, block: int, into: memoryview) -> None:
        assert block + len(into) // BLOCK <= self.block_count
        super().read(block, into)

    def write(self, block: int, data: list[memoryview]) -> None:  # type: ignore[override]
        assert block + sum(map(len, data)) // BLOCK <= self.block_count
        super().write(block, data)


@pytest.fixture
def store() -> Elastic:
    return Elastic(16)


@pytest.fixture
def rig(store: Elastic) -> FabricsRig:
    subsystem = disk(16)
    subsystem.add_namespace(store)
    return FabricsRig(subsystem)


@pytest.fixture
def host(rig: FabricsRig) -> RigHost:
    return rig.host()


def resize(rig: FabricsRig, store: Elastic, blocks: int) -> None:
    store.block_count = blocks
    rig.subsystem.resize_namespace(2)


def size(host: RigHost) -> int:
    return IdentifyNamespace.decode(host.admin.identify(0, nsid=2).data).nsze


def test_a_grown_namespace_is_announced_and_can_be_used_to_its_end(
    rig: FabricsRig, store: Elastic, host: RigHost
) -> None:
    assert host.read(2, 20) == StatusCode.LBA_OUT_OF_RANGE
    resize(rig, store, 32)
    assert host.events() == [0x00040002]
    assert host.changed_nsids() == [2]
    assert size(host) == 32
    assert (host.read(2, 31), host.read(2, 32)) == (0, StatusCode.LBA_OUT_OF_RANGE)


def test_a_shrunk_namespace_ends_where_it_says(rig: FabricsRig, store: Elastic, host: RigHost) -> None:
    resize(rig, store, 8)
    assert host.events() == [0x00040002]
    assert size(host) == 8
    assert (host.read(2, 7), host.read(2, 8)) == (0, StatusCode.LBA_OUT_OF_RANGE)


def test_a_namespace_of_the_same_size_is_no_news(rig: FabricsRig, host: RigHost) -> None:
    rig.subsystem.resize_namespace(2)
    assert host.events() == []


def test_what_cannot_be_resized_is_refused(rig: FabricsRig, store: Elastic, host: RigHost) -> None:
    with pytest.raises(LocalError, match="no namespace 3"):
        rig.subsystem.resize_namespace(3)
    store.block_bytes, store.block_count = 512, 128
    with pytest.raises(LocalError, match="size of its blocks"):
        rig.subsystem.resize_namespace(2)
    assert host.events() == []
    assert size(host) == 16


def test_growing_disturbs_nothing_under_way(rig: FabricsRig, store: Elastic, host: RigHost) -> None:
    cids = [
        host.io.send(sqe(IoOpcode.READ, nsid=2, cdw10=15), expect=BLOCK),
        host.io.send(sqe(IoOpcode.WRITE, nsid=2, cdw10=15), data=bytes(BLOCK)),
        host.io.send(sqe(IoOpcode.COMPARE, nsid=2, cdw10=15), data=bytes(BLOCK)),
    ]
    resize(rig, store, 32)
    host.io.pump()
    assert [host.io.answers[cid].status for cid in cids] == [0, 0, 0]


def test_shrinking_refuses_what_is_under_way_behind_the_new_end_and_nothing_else(
    rig: FabricsRig, store: Elastic, host: RigHost
) -> None:
    def send(block: int) -> list[int]:
        ranges = DatasetRange(slba=block, blocks=1).encode()
        deallocate = sqe(IoOpcode.DATASET_MANAGEMENT, nsid=2, cdw11=4)
        return [
            host.io.send(sqe(IoOpcode.READ, nsid=2, cdw10=block), expect=BLOCK),
            host.io.send(sqe(IoOpcode.WRITE, nsid=2, cdw10=block), data=bytes(BLOCK)),
            host.io.send(sqe(IoOpcode.WRITE, nsid=2, cdw10=block), data=bytes(BLOCK), in_capsule=True),
            host.io.send(sqe(IoOpcode.COMPARE, nsid=2, cdw10=block), data=bytes(BLOCK)),
            host.io.send(sqe(IoOpcode.WRITE_ZEROES, nsid=2, cdw10=block)),
            host.io.send(deallocate, data=ranges, in_capsule=True),
            host.io.send(deallocate, data=ranges),
        ]

    behind, before = send(8), send(7)
    flush = host.io.send(sqe(IoOpcode.FLUSH, nsid=2))
    elsewhere = host.io.send(sqe(IoOpcode.READ, nsid=1, cdw10=15), expect=BLOCK)
    resize(rig, store, 8)
    host.io.pump()
    assert [host.io.answers[cid].status for cid in behind] == 7 * [StatusCode.LBA_OUT_OF_RANGE]
    assert [host.io.answers[cid].status for cid in (*before, flush, elsewhere)] == 9 * [0]
    assert rig.target.store_failures == 0


def test_a_long_compare_stops_where_its_namespace_ends_now(rig: FabricsRig, store: Elastic, host: RigHost) -> None:
    resize(rig, store, 64)
    blocks = 32
    cid = host.io.send(sqe(IoOpcode.COMPARE, nsid=2, cdw12=blocks - 1), data=bytes(blocks * BLOCK))
    (command,) = rig.ports[0].poll_fetches()
    assert command.view is not None
    command.view[:] = bytes(blocks * BLOCK)
    rig.ports[0].handle_fetched(command)
    (piece,) = rig.target.poll_store_requests()
    assert piece.view is not None
    store.read(piece.block, piece.view)
    resize(rig, store, 24)
    rig.target.handle_store_completions([piece], 0)
    host.io.pump()
    assert host.io.answers[cid].status == StatusCode.LBA_OUT_OF_RANGE


def test_a_store_is_exchanged_under_io(rig: FabricsRig, store: Elastic, host: RigHost) -> None:
    first = host.io.send(sqe(IoOpcode.READ, nsid=2), expect=BLOCK)
    write = host.io.send(sqe(IoOpcode.WRITE, nsid=2), data=DATA)
    removed = rig.subsystem.remove_namespace(2)
    other = MemoryStore(4 * BLOCK)
    rig.subsystem.add_namespace(other, nsid=2, identifier=removed.identifier)
    host.io.pump()
    assert host.io.answers[first].status == StatusCode.INVALID_FIELD, "no store had it yet"
    assert host.io.answers[write].status == StatusCode.INVALID_FIELD, "the namespace that it was for is gone"
    assert host.events() == [0x00040002]
    assert host.changed_nsids() == [2]
    assert size(host) == 4
    assert host.io.io(IoOpcode.WRITE, 3, 1, nsid=2, data=DATA).status == 0
    into = bytearray(BLOCK)
    other.read(3, memoryview(into))
    assert into == DATA


def test_namespaces_that_go_and_come_under_many_writes_leave_nothing_behind(rig: FabricsRig, host: RigHost) -> None:
    free = rig.ports[0].pool.free_buffers
    for round_number in range(20):
        for number in range(8):
            host.io.send(sqe(IoOpcode.WRITE, nsid=2), data=DATA)
            host.io.send(sqe(IoOpcode.READ, nsid=2), expect=BLOCK)
            if number == 4:
                host.io.pump()
        if round_number % 2:
            rig.subsystem.add_namespace(MemoryStore(16 * BLOCK), nsid=2)
        else:
            rig.subsystem.remove_namespace(2)
        host.io.pump()
    assert {answer.status for answer in host.io.answers.values()} == {0, StatusCode.INVALID_FIELD}
    assert rig.ports[0].pool.free_buffers == free
    assert host.io.queue.is_idle
