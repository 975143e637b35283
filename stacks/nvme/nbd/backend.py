"""What an NBD server needs of what it serves. `stacks.nvme.host.HostNamespace` is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from stacks.nvme.host import Region


class Ended(Protocol):
    """How an operation ended.

    status: 0, or an NVMe `StatusCode`.
    """

    status: int

    @property
    def problem(self) -> str:
        """What went wrong, in words; empty for success."""


Done = Callable[[Ended], None]
"""Called once, when an operation is over; perhaps before the call that started it returns."""


class Backend(Protocol):
    """Blocks. Its operations start and return at once; views are borrowed until `done`.

    LocalError for a range that it does not have (any more), or when it cannot start anything.
    """

    def read(
        self, block: int, into: memoryview, *, region: Region | None = ..., offset: int = ..., done: Done
    ) -> object:
        """Fill `into`, whole blocks, from `block` on. region, offset: where it lies, if in registered memory."""

    def write(
        self,
        block: int,
        data: memoryview,
        *,
        is_fua: bool = ...,
        region: Region | None = ...,
        offset: int = ...,
        done: Done,
    ) -> object:
        """Write whole blocks. is_fua: they are on the medium when it is done."""

    def flush(self, *, done: Done) -> object:
        """Bring every write that is done onto the medium, whoever asked for it."""

    def write_zeroes(self, block: int, blocks: int, *, done: Done) -> object:
        """Make blocks read as zeroes; their space may be given back."""

    def deallocate(self, ranges: Sequence[tuple[int, int]], *, done: Done) -> object:
        """Give back the space of (block, blocks) ranges."""


class Register(Protocol):
    """Registers memory with whatever moves data, so that it need not be copied."""

    def register(self, buffer: object) -> Region:
        """Register a writable buffer."""

    def deregister(self, region: Region) -> None:
        """Let go of it; no operation on it is under way."""
