"""Files into and out of a namespace, many pieces at a time, and what a block of the file's end needs besides."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from apps.errors import CommandError
from apps.nvme.destinations import Destination
from apps.nvme.session import failure
from stacks.nvme.host import Transfer
from stacks.nvme.sync import Namespace
from stacks.runtime import StackError
from wire.nvme.status import StatusCode

Progress = Callable[[int], None]
"""Called with the number of bytes that have just been moved."""


@dataclass(frozen=True, slots=True)
class Extent:
    """A range of a namespace in bytes; it starts at a block and may end inside of one."""

    offset: int
    length: int

    def check(self, namespace: Namespace) -> None:
        """CommandError when it does not start at a block, is empty, or leaves the namespace."""
        size = namespace.block_bytes
        if self.offset % size:
            raise CommandError(f"offset {self.offset} is inside a block", f"give a multiple of {size}")
        if self.length <= 0:
            raise CommandError(
                "there is nothing to do: the length is 0", "give a --length, or a file that is not empty"
            )
        if self.offset + self.length > namespace.size_bytes:
            raise CommandError(
                f"{self.length} bytes at {self.offset} do not fit a namespace of {namespace.size_bytes} bytes",
                "choose a smaller --length or --offset",
            )


class FileMover:
    """Moves one extent between a file and a namespace, in pieces, several under way.

    CommandError when the extent does not suit the namespace.
    """

    def __init__(self, namespace: Namespace, extent: Extent) -> None:
        extent.check(namespace)
        self._namespace = namespace
        self._extent = extent
        self._memory = memoryview(bytearray(PIECE_BYTES * PIECES))
        self._region = namespace.register(self._memory)
        self._ended: list[tuple[int, Transfer]] = []

    def write(self, descriptor: int, progress: Progress) -> None:
        """File to namespace, flushed; the rest of a last block that the file fills in part stays as it was."""

        def start(slot: int, at: int, length: int) -> None:
            view = self._view(slot, self._whole_blocks(length))
            if len(view) != length:
                self._read_last_block(view, at)
            read_file(descriptor, view[:length], at)
            self._move(self._namespace.core.write, slot, at, view)

        self._run(start, lambda *_: None, progress)
        self._namespace.flush()

    def read(self, into: Destination, progress: Progress) -> None:
        """Namespace to file, pipe or device."""

        def start(slot: int, at: int, length: int) -> None:
            self._move(self._namespace.core.read, slot, at, self._view(slot, self._whole_blocks(length)))

        def finish(slot: int, length: int) -> None:
            into.write(self._view(slot, length))

        self._run(start, finish, progress)

    def compare(self, descriptor: int, progress: Progress) -> None:
        """Have the target compare the namespace with the file. Difference where they differ."""

        def start(slot: int, at: int, length: int) -> None:
            view = self._view(slot, self._whole_blocks(length))
            if len(view) != length:
                self._read_last_block(view, at)
            read_file(descriptor, view[:length], at)
            block = (self._extent.offset + at) // self._namespace.block_bytes
            self._namespace.core.compare(block, view, done=partial(self._note, slot))

        try:
            self._run(start, lambda *_: None, progress)
        except Difference as difference:
            raise self._located(difference, descriptor) from difference

    def _located(self, difference: Difference, descriptor: int) -> Difference:
        """The same with the byte, which Compare does not tell: the piece is read and looked at here."""
        start, length = difference.offset, difference.length
        held = memoryview(bytearray(self._whole_blocks(length)))
        try:
            self._namespace.read_into(start // self._namespace.block_bytes, held)
        except StackError:
            # What the target compares it need not let us read: between which bytes it is, is known.
            return difference
        wanted = memoryview(bytearray(length))
        read_file(descriptor, wanted, start - self._extent.offset)
        pairs = enumerate(zip(wanted, held, strict=False))
        at = next((index for index, (ours, theirs) in pairs if ours != theirs), None)
        # None: somebody has written there meanwhile.
        return difference if at is None else Difference(start + at)

    def _run(
        self,
        start: Callable[[int, int, int], None],
        finish: Callable[[int, int], None],
        progress: Progress,
    ) -> None:
        """Start pieces while slots are free, finish them in order; `at` and `length` are bytes of the extent."""
        total, at, finished = self._extent.length, 0, 0
        free = list(range(PIECES))
        doing: dict[int, tuple[int, int]] = {}
        early: dict[int, tuple[int, int]] = {}
        while at < total or doing:
            while free and at < total:
                slot, length = free.pop(), min(PIECE_BYTES, total - at)
                doing[slot] = at, length
                start(slot, at, length)
                at += length
            if not self._ended:
                self._namespace.connection.run_until(lambda: bool(self._ended))
            ended, self._ended = self._ended, []
            for slot, transfer in ended:
                place, length = doing.pop(slot)
                check(transfer, self._extent.offset + place, length)
                progress(length)
                early[place] = slot, length
            while finished in early:
                slot, length = early.pop(finished)
                finish(slot, length)
                finished += length
                free.append(slot)

    def _move(self, move: Callable[..., Transfer], slot: int, at: int, view: memoryview) -> None:
        block = (self._extent.offset + at) // self._namespace.block_bytes
        move(block, view, region=self._region, offset=slot * PIECE_BYTES, done=partial(self._note, slot))

    def _read_last_block(self, view: memoryview, at: int) -> None:
        """The block in which the extent ends, into the end of `view`, which is a piece of whole blocks at `at`."""
        size = self._namespace.block_bytes
        block = (self._extent.offset + at + len(view)) // size - 1
        self._namespace.read_into(block, view[-size:])

    def _view(self, slot: int, length: int) -> memoryview:
        return self._memory[slot * PIECE_BYTES : slot * PIECE_BYTES + length]

    def _whole_blocks(self, length: int) -> int:
        size = self._namespace.block_bytes
        return -(-length // size) * size

    def _note(self, slot: int, transfer: Transfer) -> None:
        self._ended.append((slot, transfer))


class Difference(CommandError):  # noqa: N818 (it is what a comparison is for)
    """What was compared differs.

    offset: byte of the namespace that differs, the first that does in its piece; or, with a `length` of more than 1,
    where the piece starts that has a difference somewhere.
    """

    def __init__(self, offset: int, length: int = 1) -> None:
        place = f"at byte {offset}" if length == 1 else f"somewhere between byte {offset} and {offset + length - 1}"
        super().__init__(f"the namespace differs from the file, {place}")
        self.offset = offset
        self.length = length


def check(transfer: Transfer, offset: int, length: int) -> None:
    """CommandError when a transfer at byte `offset` of a namespace failed, Difference when a comparison did."""
    if transfer.status == StatusCode.COMPARE_FAILURE:
        raise Difference(offset, length)
    if transfer.status:
        raise failure(f"{transfer.what} failed at byte {offset}", transfer)


def read_file(descriptor: int, view: memoryview, at: int) -> None:
    """Fill `view` from byte `at` of a file. CommandError when it ends before."""
    while view:
        count = os.preadv(descriptor, [view], at)
        if not count:
            raise CommandError("the file became shorter while it was read")
        view, at = view[count:], at + count


PIECE_BYTES = 1 << 18
PIECES = 8
