"""What each block of a namespace may hold, while commands are under way that may fail or be aborted half done.

A block has a set of values, one where all is known. Commands that are under way have the blocks that they touch to
themselves, so what is known of them does not change until they end; only a smaller size takes blocks away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from wire.nvme.status import StatusCode

SMALL = 512
BAD = -1
"""Of a block that cannot be read."""

UNREADABLE, DIFFERENT = StatusCode.UNRECOVERED_READ_ERROR, StatusCode.COMPARE_FAILURE
OUT_OF_RANGE = StatusCode.LBA_OUT_OF_RANGE
ABORTED = (StatusCode.ABORTED_BY_REQUEST, StatusCode.ABORTED_FAILED_FUSED)

Span = tuple[int, int]


def content(numbers: Iterable[int]) -> bytes:
    """Blocks that are full of these numbers."""
    return b"".join(number.to_bytes(4, "little") * (SMALL // 4) for number in numbers)


@dataclass(slots=True, eq=False)
class Operation:
    """One that is under way.

    reads, writes: the spans that it touches. values: what it writes, for each block of `writes` in order, if it does.
    guess: what it compares with. may_abort: somebody asked.
    is_cut: the namespace has become smaller than it reaches; gone: what was known of the blocks that it lost so.
    """

    name: str
    reads: Sequence[Span] = ()
    writes: Sequence[Span] = ()
    values: Sequence[int] = ()
    guess: Sequence[int] | None = None
    is_cut: bool = False
    may_abort: bool = False
    gone: dict[int, set[int]] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """The first block behind all that it touches."""
        return max((block + blocks for block, blocks in (*self.reads, *self.writes)), default=0)

    def touches(self, other: Operation) -> bool:
        """Whether both touch a block."""
        return not blocks_of(*self.reads, *self.writes).isdisjoint(blocks_of(*other.reads, *other.writes))


def blocks_of(*spans: Span) -> set[int]:
    """The blocks of some spans."""
    return {block + index for block, blocks in spans for index in range(blocks)}


class BlocksAccount:
    """blocks: the values that each may have; numbers: those that they have at first."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self.blocks: list[set[int]] = [{number} for number in numbers]

    def part(self, *spans: Span) -> list[set[int]]:
        """What is known of the blocks of some spans."""
        return [self.blocks[block + index] for block, blocks in spans for index in range(blocks)]

    def guess(self, span: Span) -> list[int]:
        """Values that the blocks may have, 0 for one that cannot be read."""
        return [max(0, *values) for values in self.part(span)]

    def resize(self, blocks: int, under_way: Iterable[Operation]) -> None:
        """Blocks go, or new ones come, which hold zeroes; under_way: operations that this may cut short."""
        for operation in under_way:
            operation.is_cut = operation.end > blocks
            operation.gone = dict(enumerate(self.blocks[blocks:], blocks))
        del self.blocks[blocks:]
        self.blocks += [{0} for _ in range(blocks - len(self.blocks))]

    def ended(self, operation: Operation, status: int, data: bytes = b"") -> None:
        """An operation is over: check its status and what it read, and learn from it."""
        if (operation.may_abort and status in ABORTED) or (operation.is_cut and status == OUT_OF_RANGE):
            self._may_be_written(operation)
            return
        assert status in self._statuses(operation), f"{operation.name} ended with {status:#x}"
        if status == UNREADABLE and operation.name == "copy":
            # What came before the block that could not be read may be there.
            self._may_be_written(operation)
        if status:
            return
        self._was_read(operation, data)
        if operation.name == "copy":
            self._was_copied(operation)
        else:
            for block, value in zip(_in_order(operation.writes), operation.values, strict=True):
                self._put(block, {value})

    def _statuses(self, operation: Operation) -> set[int]:
        known = [self.blocks[block] for block in _in_order(operation.reads) if block < len(self.blocks)]
        # It may have been done before they went.
        gone = [operation.gone[block] for block in _in_order(operation.reads) if block in operation.gone]
        found: set[int] = set()
        if any(BAD in values for values in (*known, *gone)):
            found.add(UNREADABLE)
        if any(values == {BAD} for values in known):
            return found
        if operation.guess is None:
            return found | {0}
        pairs = list(zip(known, operation.guess, strict=False))
        # Blocks that were cut off under way hold anything.
        if operation.is_cut or any(values != {number} for values, number in pairs):
            found.add(DIFFERENT)
        if all(number in values for values, number in pairs):
            found.add(0)
        return found

    def _was_read(self, operation: Operation, data: bytes) -> None:
        for index, block in enumerate(_in_order(operation.reads)):
            if block >= len(self.blocks):
                continue
            known = self.blocks[block]
            known.discard(BAD)
            if operation.guess is not None:
                known &= {operation.guess[index]}
            elif data:
                number = int.from_bytes(data[index * SMALL : index * SMALL + 4], "little")
                assert data[index * SMALL : (index + 1) * SMALL] == content([number])
                assert number in known, f"block {block} has {number}, not one of {known}"
                self.blocks[block] = {number}

    def _was_copied(self, operation: Operation) -> None:
        to = operation.writes[0][0]
        for span in operation.reads:
            # A range is copied whole, also onto itself; what is known of its blocks goes with it.
            blocks = _in_order([span])
            known = [self.blocks[each] if each < len(self.blocks) else operation.gone[each] for each in blocks]
            for index, values in enumerate(map(set, known)):
                self._put(to + index, values)
            to += span[1]

    def _may_be_written(self, operation: Operation) -> None:
        values: Sequence[set[int]] = [{each} for each in operation.values]
        if operation.name == "copy":
            # What its later ranges take may be what its earlier ones have put.
            blocks = _in_order((*operation.reads, *operation.writes))
            anything = set().union(*operation.gone.values(), *(self.blocks[b] for b in blocks if b < len(self.blocks)))
            values = [anything - {BAD}] * len(blocks)
        for block, new in zip(_in_order(operation.writes), values, strict=False):
            if block < len(self.blocks):
                self.blocks[block] |= new

    def _put(self, block: int, values: set[int]) -> None:
        if block < len(self.blocks):
            self.blocks[block] = values


def _in_order(spans: Sequence[Span]) -> list[int]:
    return [block + index for block, blocks in spans for index in range(blocks)]
