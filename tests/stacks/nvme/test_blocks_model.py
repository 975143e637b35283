"""Every command that reads or changes blocks, in any order and from two hosts, against a plain list of blocks."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import copy, pieces
from tests.stacks.nvme.bench import Bench, ranged
from tests.stacks.nvme.core_rig import NQN, copy_ranges, ranges, sqe
from wire.nvme.opcodes import DatasetAttribute, Fuse, IoOpcode
from wire.nvme.status import StatusCode

SMALL = 512
BLOCKS = 24
BAD = -1
UNREADABLE, DIFFERENT = StatusCode.UNRECOVERED_READ_ERROR, StatusCode.COMPARE_FAILURE
FAILED, OUT_OF_RANGE = StatusCode.ABORTED_FAILED_FUSED, StatusCode.LBA_OUT_OF_RANGE

hosts = st.integers(0, 1)
values = st.integers(0, 1000)
starts = st.integers(0, BLOCKS)
counts = st.integers(1, 6)
spans = st.tuples(starts, counts)


def content(numbers: list[int]) -> bytes:
    return b"".join(number.to_bytes(4, "little") * (SMALL // 4) for number in numbers)


class BlocksMachine(RuleBasedStateMachine):
    """blocks: the number that each block is full of, BAD for one that cannot be read."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(MemoryStore(BLOCKS * SMALL, block_bytes=SMALL))
        self.queues = [self.bench.host()[1] for _ in range(2)]
        self.blocks = [0] * BLOCKS
        self.reads = self.writes = 0

    def do(self, host: int, opcode: int, span: tuple[int, int], *, data: bytes = b"", in_capsule: bool = True) -> int:
        io = self.queues[host]
        cid = io.begin(opcode, *span, data=data, in_capsule=in_capsule)
        io.pump()
        status = io.status(cid)
        assert status is not None
        return status

    def fits(self, *spans: tuple[int, int]) -> bool:
        return all(block + blocks <= BLOCKS for block, blocks in spans)

    def part(self, span: tuple[int, int]) -> list[int]:
        return self.blocks[span[0] : span[0] + span[1]]

    def put(self, block: int, numbers: list[int]) -> None:
        self.blocks[block : block + len(numbers)] = numbers

    def readable(self, span: tuple[int, int]) -> int:
        """The status that reading has."""
        if not self.fits(span):
            return OUT_OF_RANGE
        return UNREADABLE if BAD in self.part(span) else 0

    @rule(host=hosts, span=spans, value=values, in_capsule=st.booleans())
    def write(self, host: int, span: tuple[int, int], value: int, in_capsule: bool) -> None:
        numbers = [value + index for index in range(span[1])]
        status = self.do(host, IoOpcode.WRITE, span, data=content(numbers), in_capsule=in_capsule)
        assert status == (0 if self.fits(span) else OUT_OF_RANGE)
        if not status:
            self.put(span[0], numbers)
            self.writes += 1

    @rule(host=hosts, span=spans)
    def zeroes(self, host: int, span: tuple[int, int]) -> None:
        status = self.do(host, IoOpcode.WRITE_ZEROES, span)
        assert status == (0 if self.fits(span) else OUT_OF_RANGE)
        if not status:
            self.put(span[0], [0] * span[1])

    @rule(host=hosts, parts=st.lists(spans, min_size=1, max_size=3))
    def deallocate(self, host: int, parts: list[tuple[int, int]]) -> None:
        io = self.queues[host]
        entry = sqe(IoOpcode.DATASET_MANAGEMENT, nsid=1, cdw10=len(parts) - 1, cdw11=DatasetAttribute.DEALLOCATE)
        answer = io.do(entry, data=ranges(*parts), in_capsule=True)
        assert answer.status == (0 if self.fits(*parts) else OUT_OF_RANGE)
        if not answer.status:
            for block, blocks in parts:
                self.put(block, [0] * blocks)

    @rule(host=hosts, span=spans)
    def spoil(self, host: int, span: tuple[int, int]) -> None:
        status = self.do(host, IoOpcode.WRITE_UNCORRECTABLE, span)
        assert status == (0 if self.fits(span) else OUT_OF_RANGE)
        if not status:
            self.put(span[0], [BAD] * span[1])

    @rule(host=hosts, parts=st.lists(spans, min_size=1, max_size=3), to=starts)
    def copy(self, host: int, parts: list[tuple[int, int]], to: int) -> None:
        io, total = self.queues[host], sum(blocks for _, blocks in parts)
        entry = ranged(IoOpcode.COPY, to, len(parts))
        answer = io.do(entry, data=copy_ranges(*parts), in_capsule=True)
        wrong = [status for status in map(self.readable, parts) if status]
        expected = next(iter(wrong), 0) if self.fits((to, total)) else OUT_OF_RANGE
        assert answer.status == expected
        if not expected:
            for span in parts:
                self.put(to, self.part(span))
                to += span[1]
            self.reads += 1
            self.writes += 1

    @rule(host=hosts, span=spans)
    def read(self, host: int, span: tuple[int, int]) -> None:
        io = self.queues[host]
        answer = io.do(ranged(IoOpcode.READ, *span), expect=span[1] * SMALL)
        assert answer.status == self.readable(span)
        if not answer.status:
            assert answer.data == content(self.part(span))
            self.reads += 1

    @rule(host=hosts, span=spans)
    def verify(self, host: int, span: tuple[int, int]) -> None:
        assert self.do(host, IoOpcode.VERIFY, span) == self.readable(span)

    @rule(host=hosts, span=spans, is_right=st.booleans(), in_capsule=st.booleans())
    def compare(self, host: int, span: tuple[int, int], is_right: bool, in_capsule: bool) -> None:
        expected = self.guess(span, is_right=is_right)
        status = self.do(host, IoOpcode.COMPARE, span, data=content(expected), in_capsule=in_capsule)
        assert status == (self.readable(span) or (0 if is_right else DIFFERENT))
        self.reads += not status

    @rule(host=hosts, span=spans, is_right=st.booleans(), value=values, in_capsule=st.booleans())
    def pair(self, host: int, span: tuple[int, int], is_right: bool, value: int, in_capsule: bool) -> None:
        io, numbers = self.queues[host], [value + index for index in range(span[1])]
        first = io.begin(IoOpcode.COMPARE, *span, data=content(self.guess(span, is_right=is_right)),
                         flags=Fuse.FIRST, in_capsule=in_capsule)  # fmt: skip
        second = io.begin(IoOpcode.WRITE, *span, data=content(numbers), flags=Fuse.SECOND, in_capsule=in_capsule)
        io.pump()
        status = self.readable(span) or (0 if is_right else DIFFERENT)
        assert io.statuses((first, second)) == ([status, FAILED] if status else [0, 0])
        if not status:
            self.put(span[0], numbers)
            self.reads += 1
            self.writes += 1

    def guess(self, span: tuple[int, int], *, is_right: bool) -> list[int]:
        found = [max(0, number) for number in self.part(span)]
        found += [0] * (span[1] - len(found))
        return found if is_right else [*found[:-1], found[-1] + 1]

    @invariant()
    def the_store_holds_what_it_should(self) -> None:
        for block, number in enumerate(self.blocks):
            if number != BAD:
                found = bytearray(SMALL)
                self.bench.store.read(block, memoryview(found))
                assert found == content([number]), block

    @invariant()
    def what_was_done_is_counted(self) -> None:
        namespace = self.bench.target.subsystems[NQN].namespaces[1]
        assert (namespace.reads, namespace.writes) == (self.reads, self.writes)
        first = self.blocks.index(BAD) if BAD in self.blocks else BLOCKS
        assert namespace.plain_blocks == first

    @invariant()
    def nothing_is_left_under_way(self) -> None:
        assert [queue.queue.in_flight for queue in self.queues] == [0, 0]
        assert self.bench.target.line.exclusions.active == []
        assert not self.bench.port.waiting.by_queue


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (copy, pieces):
        monkeypatch.setattr(module, "PIECE_BYTES", 2 * SMALL)


def run_blocks(examples: int, steps: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        BlocksMachine, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    )


@pytest.mark.slow
def test_blocks_hold_what_a_list_of_them_would() -> None:
    run_blocks(60, 40)


@pytest.mark.long
def test_blocks_hold_what_a_list_of_them_would_for_long() -> None:
    run_blocks(3000, 80)
