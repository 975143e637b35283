"""A store that nobody changes, made of one that could be."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import NoReturn

from stacks.nvme.stores.capacity import resized_block_count
from stacks.nvme.stores.contract import Store
from stacks.nvme.stores.wrapper import StoreWrapper


class ReadOnlyStore(StoreWrapper):
    """`inner` for reading; owned, and closed with this."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.is_read_only = True

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        """Refuse."""
        refuse(block, data)

    def flush(self) -> None:
        """Nothing was changed."""

    def deallocate(self, block: int, blocks: int) -> None:
        """Refuse."""
        refuse(block, blocks)

    def write_zeroes(self, block: int, blocks: int) -> None:
        """Refuse."""
        refuse(block, blocks)

    def resize(self, size_bytes: int, *, may_shrink: bool = False) -> None:
        """Refuse."""
        resized_block_count("the store", self, size_bytes, may_shrink=may_shrink)


def refuse(*_: object) -> NoReturn:
    """Raise what a change of a read-only store raises."""
    raise OSError(errno.EROFS, "the store is read-only")
