"""Nobody keeps everybody else waiting: large requests go in pieces, and a pass does only so much for one store."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stacks.nvme.host import HostConfig
from stacks.nvme.stores import InlineExecutor, MemoryStore
from stacks.nvme.stores.contract import READ, StoreRequest
from stacks.nvme.stores.portions import PORTION_BLOCKS, portion_of
from stacks.nvme.target.zeroing import PIECE_BYTES
from tests.stacks.nvme.core_rig import NQN, CoreHost, connected, make_port, sqe
from tests.stacks.nvme.tcp_raw import outside, raw_io
from tests.stacks.nvme.tcp_rig import TcpRig
from tests.stacks.nvme.transfers import SECOND
from wire.nvme.kinds import TcpPduKind
from wire.nvme.opcodes import IoOpcode
from wire.nvme.status import StatusCode

BLOCK = 4096
OTHER = "nqn.2026-11.io.baremetal:other"


class Counting(MemoryStore):
    """Remembers how much each Write Zeroes asked for."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(size_bytes)
        self.zeroed: list[tuple[int, int]] = []
        self.flushes = 0

    def write_zeroes(self, block: int, blocks: int) -> None:
        self.zeroed.append((block, blocks))
        super().write_zeroes(block, blocks)

    def flush(self) -> None:
        self.flushes += 1


def requests(store: MemoryStore, *blocks: int) -> list[StoreRequest]:
    made = []
    for count in blocks:
        request = StoreRequest()
        request.verb, request.store, request.blocks = READ, store, count
        made.append(request)
    return made


def test_a_portion_takes_so_much_of_each_store_and_keeps_the_order() -> None:
    one, other = MemoryStore(1 << 20), MemoryStore(1 << 20)
    large, small = requests(one, *[PORTION_BLOCKS] * 3), requests(other, 1)
    assert portion_of([*large, *small]) == ([large[0], small[0]], large[1:])
    assert portion_of(small) == (small, ())
    mixed = requests(one, PORTION_BLOCKS - 1, 1, 1)
    assert portion_of(mixed) == (mixed[:2], mixed[2:])


TAKEN_BACK: dict[str, tuple[Callable[[CoreHost, MemoryStore], object], int]] = {
    "shrunk": (
        lambda io, store: (
            store.resize(1 << 20, may_shrink=True),
            io.port.target.subsystems[NQN].resize_namespace(1),
        ),
        StatusCode.LBA_OUT_OF_RANGE,
    ),
    "removed": (lambda io, _: io.port.target.subsystems[NQN].remove_namespace(1), StatusCode.INVALID_FIELD),
    "closed": (lambda io, _: io.queue.closed(), StatusCode.SUCCESS),
}


@pytest.mark.parametrize("name", TAKEN_BACK)
def test_what_waits_for_its_pass_is_taken_back_as_all_that_no_store_has(name: str) -> None:
    store = Counting(512 << 20)
    _, io = connected(make_port(store))
    executor = InlineExecutor(io.port.target)
    cids = [io.send(sqe(IoOpcode.WRITE_ZEROES, nsid=1, cdw10=4096 * number, cdw12=4095)) for number in range(1, 30)]
    assert executor.pump(0)
    assert len(store.zeroed) == 1
    change, status = TAKEN_BACK[name]
    change(io, store)
    asked = len(store.zeroed)
    while executor.pump(0):
        pass
    assert len(store.zeroed) == asked, "nothing reaches the store any more"
    if name != "closed":
        io.pump()
        assert [io.answers[cid].status for cid in cids] == [0, *[status] * 28]


def test_zeroes_go_in_pieces_with_one_flush_at_the_end() -> None:
    store = Counting(256 << 20)
    _, io = connected(make_port(store))
    piece = PIECE_BYTES // BLOCK
    assert io.io(IoOpcode.WRITE_ZEROES, 3, 2 * piece + 5, control=1 << 14).status == 0
    assert store.zeroed == [(3, piece), (3 + piece, piece), (3 + 2 * piece, 5)]
    assert store.flushes == 1


def test_zeroing_ends_between_two_pieces_when_the_namespace_is_taken_away() -> None:
    store = Counting(256 << 20)
    _, io = connected(make_port(store))

    def take_away(block: int, blocks: int) -> None:
        store.zeroed.append((block, blocks))
        io.port.target.subsystems[NQN].remove_namespace(1)

    store.write_zeroes = take_away  # type: ignore[method-assign]
    assert io.io(IoOpcode.WRITE_ZEROES, 0, 1 << 16).status == StatusCode.INVALID_FIELD
    assert len(store.zeroed) == 1


class Unlent(MemoryStore):
    """Lends nothing, so that reads go through an executor."""

    def view(self, block: int, blocks: int) -> memoryview | None:
        return None


def test_a_pass_ends_before_anothers_zeroes_do() -> None:
    busy = Counting(512 << 20)
    port = make_port(busy, Unlent(1 << 20))
    _, io = connected(port)
    executor = InlineExecutor(port.target)
    for _ in range(8):
        io.send(sqe(IoOpcode.WRITE_ZEROES, nsid=1, cdw12=(1 << 16) - 1))
    assert executor.pump(0)
    assert len(busy.zeroed) == 1
    cid = io.send(sqe(IoOpcode.READ, nsid=2), expect=BLOCK)
    assert executor.pump(0)
    assert [(command.cid, command.status_word) for command in port.poll_completions()] == [(cid, 0)]
    assert len(busy.zeroed) == 2
    while executor.pump(0):
        pass
    assert len(busy.zeroed) == 8 * (256 << 20) // PIECE_BYTES


def test_a_host_that_pauses_is_not_ended_for_its_own_queue() -> None:
    rig = TcpRig(MemoryStore(64 << 20))
    _, io = raw_io(rig, entries=64)
    for _ in range(40):
        io.core.output.append(io.capsule(1, sgl=outside(1 << 20), nsid=1, cdw10=0, cdw12=255))
    io.run()
    assert sum(each.kind is TcpPduKind.READY_TO_TRANSFER for each in io.take()) < 40, "some wait for memory"
    rig.run_for(20 * SECOND)
    assert not io.is_closed
    other = rig.connect(HostConfig(nqn=NQN, host_nqn=OTHER, keep_alive_ms=0)).namespace()
    writes = [other.write(0, memoryview(bytes(1 << 20))) for _ in range(20)]
    rig.finish(*writes)
    assert not any(each.status for each in writes)
