"""A store is anybody's code: whatever it raises ends one command, and the target goes on."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

import pytest

from stacks.nvme.stores import MemoryStore
from stacks.nvme.stores.contract import FLUSH, WRITE, StoreRequest
from stacks.nvme.stores.executor import run_together
from tests.stacks.nvme.core_rig import NQN, CoreHost, connected, make_port, sqe
from wire.nvme.kinds import AnaState
from wire.nvme.opcodes import IoOpcode
from wire.nvme.status import StatusCode

BLOCK = b"b" * 4096


class Broken(MemoryStore):
    """A store whose author made a mistake."""

    def __init__(self) -> None:
        super().__init__(1 << 20)
        self.is_broken = False
        self.error: OSError | None = None

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        """Write, or not."""
        if self.error is not None:
            raise self.error
        if self.is_broken:
            raise KeyError(block)
        super().write(block, data)

    def read(self, block: int, into: memoryview) -> None:
        """Read, or not."""
        if self.is_broken:
            raise ZeroDivisionError
        super().read(block, into)

    def flush(self) -> None:
        """Flush, or not."""
        if self.is_broken:
            raise RuntimeError("no cache today")


@pytest.fixture
def store() -> Broken:
    return Broken()


@pytest.fixture
def hosts(store: Broken) -> tuple[CoreHost, CoreHost]:
    return connected(make_port(store))


def smart(admin: CoreHost) -> list[int]:
    """Host reads and writes, data units read and written, media errors."""
    page = admin.log_page(2, 512).data
    return [int.from_bytes(page[at : at + 16], "little") for at in (64, 80, 32, 48, 160)]


def test_an_exception_of_a_store_is_an_internal_error_and_counted(
    store: Broken, hosts: tuple[CoreHost, CoreHost]
) -> None:
    _, io = hosts
    store.is_broken = True
    assert io.io(IoOpcode.WRITE, 7, 1, data=BLOCK).status == StatusCode.INTERNAL_ERROR
    assert io.port.target.last_store_failure == "KeyError: 7"
    assert io.io(IoOpcode.READ, 0, 1, expect=4096).status == StatusCode.INTERNAL_ERROR
    assert io.io(IoOpcode.COMPARE, 0, 1, data=BLOCK).status == StatusCode.INTERNAL_ERROR
    assert io.do(sqe(IoOpcode.FLUSH, nsid=1)).status == StatusCode.INTERNAL_ERROR
    assert io.port.target.store_failures == 4
    assert io.port.target.last_store_failure == "RuntimeError: no cache today"
    store.is_broken = False
    assert io.io(IoOpcode.WRITE, 7, 1, data=BLOCK).status == 0


def test_a_program_is_told_of_a_full_disk(store: Broken, hosts: tuple[CoreHost, CoreHost]) -> None:
    _, io = hosts
    told: list[tuple[int, str]] = []
    io.port.target.on_store_failure = lambda namespace, what: told.append((namespace.nsid, what))
    store.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert io.io(IoOpcode.WRITE, 7, 1, data=BLOCK).status == StatusCode.CAPACITY_EXCEEDED
    assert told == [(1, "no space left on device")]
    assert io.port.target.last_store_failure == "no space left on device"
    assert io.port.target.store_failures == 0
    store.error = None
    assert io.io(IoOpcode.WRITE, 7, 1, data=BLOCK).status == 0
    assert len(told) == 1


def test_a_flush_for_several_that_raises_ends_each_of_them(store: Broken) -> None:
    requests = [StoreRequest() for _ in range(3)]
    for request, verb in zip(requests, (FLUSH, WRITE, FLUSH), strict=True):
        request.verb, request.store, request.view = verb, store, memoryview(BLOCK)
    store.is_broken = True
    run_together(requests)
    assert [request.status for request in requests] == 3 * [StatusCode.INTERNAL_ERROR]


def test_smart_counts_only_what_succeeded(store: Broken, hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, io = hosts
    for is_broken in (True, False):
        store.is_broken = is_broken
        for opcode, data in ((IoOpcode.WRITE, BLOCK), (IoOpcode.READ, b""), (IoOpcode.COMPARE, BLOCK)):
            io.io(opcode, 0, 1, data=data, expect=4096)
    io.io(IoOpcode.COMPARE, 0, 1, data=bytes(4096))
    io.io(IoOpcode.WRITE, 999, 1, data=BLOCK)
    assert smart(admin) == [2, 1, 1, 1, 0]


def test_a_write_whose_namespace_goes_while_its_data_comes_does_not_reach_the_store(
    store: Broken, hosts: tuple[CoreHost, CoreHost]
) -> None:
    _, io = hosts
    subsystem = io.port.target.subsystems[NQN]
    cids = [io.send(sqe(opcode, nsid=1), data=BLOCK) for opcode in (IoOpcode.WRITE, IoOpcode.COMPARE)]
    cids.append(io.send(sqe(IoOpcode.DATASET_MANAGEMENT, nsid=1), data=BLOCK))
    subsystem.remove_namespace(1)
    store.close()
    subsystem.add_namespace(MemoryStore(1 << 20), nsid=2)
    io.pump()
    assert [io.answers[cid].status for cid in cids] == 3 * [StatusCode.INVALID_FIELD]
    assert io.port.target.store_failures == 0
    assert io.io(IoOpcode.WRITE, 0, 1, nsid=2, data=BLOCK).status == 0


def test_requests_of_a_store_that_was_closed_meanwhile_end_with_an_error(
    store: Broken, hosts: tuple[CoreHost, CoreHost]
) -> None:
    _, io = hosts
    free = io.port.pool.free_buffers
    cids = [io.send(sqe(IoOpcode.READ, nsid=1), expect=4096) for _ in range(3)]
    io.port.target.subsystems[NQN].remove_namespace(1)
    store.close()
    io.pump()
    assert [io.answers[cid].status for cid in cids] == 3 * [StatusCode.INVALID_FIELD]
    assert io.port.pool.free_buffers == free


def test_a_write_whose_namespace_becomes_inaccessible_is_told_so(hosts: tuple[CoreHost, CoreHost]) -> None:
    _, io = hosts
    cid = io.send(sqe(IoOpcode.WRITE, nsid=1), data=BLOCK)
    io.port.target.subsystems[NQN].set_ana_state(1, AnaState.INACCESSIBLE)
    io.pump()
    assert io.answers[cid].status == StatusCode.ANA_INACCESSIBLE


def test_an_offset_that_is_an_index_is_an_invalid_field(hosts: tuple[CoreHost, CoreHost]) -> None:
    admin, _ = hosts
    entry = sqe(2, nsid=0xFFFFFFFF, cdw10=2 | 127 << 16)
    entry.cdw14 = 1 << 23
    assert admin.do(entry, expect=512).status == StatusCode.INVALID_FIELD
