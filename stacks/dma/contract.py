"""The `Dma` contract: how an engine reaches host memory.

An engine is given a `Dma` that is already bound to its function. It maps ranges of addresses, gets views, and touches
nothing else. Whether the memory behind an address is one flat buffer, scattered pages, or not there yet, is the
implementation's business. Verbs' own checks (keys, access rights, bounds) come before it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


class Direction(enum.Enum):
    """Which way the engine moves bytes."""

    READ_MEMORY = "read"
    """The engine reads host memory (to send it)."""
    WRITE_MEMORY = "write"
    """The engine writes host memory (it received something)."""


class Mapping(Protocol):
    """A mapped range; usable while the `Dma`'s epoch is the one it was made in."""

    @property
    def views(self) -> tuple[memoryview, ...]:
        """The memory, in address order, as flat byte views that together cover exactly the range."""

    def wrote(self, length: int) -> None:
        """The engine has written the first `length` bytes; to be called before the completion is reported."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A range that cannot be reached now, or ever.

    address: the first address that failed.
    direction: the access that was tried.
    token: for a recoverable fault, what `handle_page_ready` will name; None when nothing will come.
    """

    address: int
    direction: Direction
    token: int | None

    @property
    def is_recoverable(self) -> bool:
        """Whether the access may be tried again once the page is there."""
        return self.token is not None


@runtime_checkable
class PagingDma(Protocol):
    """What a `Dma` has as well whose faults are recoverable."""

    def handle_page_ready(self, token: int) -> None:
        """The page of this token is there now. Raises LocalError for a token that is not open."""

    def handle_page_lost(self, token: int) -> None:
        """The page of this token will never come. Raises LocalError likewise."""


@runtime_checkable
class DurableDma(Protocol):
    """What a `Dma` has as well whose memory can be made to survive a loss of power."""

    def flush(self, address: int, length: int) -> Fault | None:
        """Make what is in [address, address + length) durable; a Fault where the range is not there."""


class Dma(Protocol):
    """An address space, bound to one function. Contract suite: tests/stacks/dma."""

    @property
    def epoch(self) -> int:
        """Rises whenever mappings made before may no longer be used."""

    @property
    def is_direct(self) -> bool:
        """Whether every attached buffer is one view that needs no `wrote`: engines may then keep and slice it."""

    def attach(self, buffer: object, *, writable: bool = True) -> int:
        """Give a buffer (anything with a contiguous buffer interface) an address in this space, and return it.

        No byte is copied where the implementation can avoid it; the buffer is held until `detach`.
        Raises LocalError when the buffer is read-only but `writable` is asked, or is not contiguous.
        """

    def detach(self, address: int) -> None:
        """Take the range that `attach` gave out of the space; raises the epoch."""

    def map(self, address: int, length: int, direction: Direction) -> Mapping | Fault:
        """Views that cover [address, address + length), or why not. Never raises for an address that is not there."""
