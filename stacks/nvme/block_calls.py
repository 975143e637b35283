"""What can be done with blocks of a connected namespace without moving them, and the compare that writes, in both
faces: a base class for each `Namespace`.

    namespace.copy(1000, [(0, 8), (64, 8)])
    namespace.compare_and_write(0, expected, data)
"""

from __future__ import annotations

from collections.abc import Sequence

from stacks.nvme.host import Transfer
from stacks.nvme.sized import Sized

Data = bytes | bytearray | memoryview


class BlockCalls(Sized):
    """For programs without an event loop."""

    def _finish(self, transfer: Transfer) -> None:
        raise NotImplementedError

    def copy(self, block: int, ranges: Sequence[tuple[int, int]], *, is_fua: bool = False) -> None:
        """Copy (block, blocks) ranges to `block` on, one behind the other."""
        self._finish(self.core.copy(block, ranges, is_fua=is_fua))

    def verify(self, block: int, blocks: int = 1) -> None:
        """Return when the controller has read the blocks; CommandFailed when it cannot."""
        self._finish(self.core.verify(block, blocks))

    def write_uncorrectable(self, block: int, blocks: int = 1) -> None:
        """Make blocks unreadable until they are written again."""
        self._finish(self.core.write_uncorrectable(block, blocks))

    def compare_and_write(self, block: int, expected: Data, data: Data, *, is_fua: bool = False) -> None:
        """Write blocks if they hold `expected`, as one step that nothing comes between; CommandFailed with
        COMPARE_FAILURE, and they stay as they are, when they do not. At most `core.compare_and_write_blocks` blocks.
        """
        self._finish(self.core.compare_and_write(block, _view(expected), _view(data), is_fua=is_fua))


class AsyncBlockCalls(Sized):
    """For programs with one."""

    async def _finish(self, transfer: Transfer) -> None:
        raise NotImplementedError

    async def copy(self, block: int, ranges: Sequence[tuple[int, int]], *, is_fua: bool = False) -> None:
        """Copy (block, blocks) ranges to `block` on, one behind the other."""
        await self._finish(self.core.copy(block, ranges, is_fua=is_fua))

    async def verify(self, block: int, blocks: int = 1) -> None:
        """Return when the controller has read the blocks; CommandFailed when it cannot."""
        await self._finish(self.core.verify(block, blocks))

    async def write_uncorrectable(self, block: int, blocks: int = 1) -> None:
        """Make blocks unreadable until they are written again."""
        await self._finish(self.core.write_uncorrectable(block, blocks))

    async def compare_and_write(self, block: int, expected: Data, data: Data, *, is_fua: bool = False) -> None:
        """Write blocks if they hold `expected`, as one step that nothing comes between; CommandFailed with
        COMPARE_FAILURE, and they stay as they are, when they do not. At most `core.compare_and_write_blocks` blocks.
        """
        await self._finish(self.core.compare_and_write(block, _view(expected), _view(data), is_fua=is_fua))


def _view(data: Data) -> memoryview:
    return memoryview(data).cast("B")
