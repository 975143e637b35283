"""A namespace: a store under an identity, with the counts that SMART reports."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from stacks.nvme.stores.contract import Store
from stacks.nvme.stores.reservations import ReservationStore
from stacks.nvme.target.block_marks import BlockMarks
from stacks.nvme.target.reservations.line import NamespaceReservations


class Namespace:
    """One namespace of a subsystem.

    nsid: 1 and up; store: its blocks; identifier: its UUID, which is also its NGUID.
    view: the store's `view`, or None where it has none.
    uncorrectable: the blocks that Write Uncorrectable has marked, None while there are none.
    plain_blocks: every block below can be read; a read that ends by then needs no second look.
    ana_group: the ANA group it belongs to, 1 and up.
    recovery_limit: TLER of feature 05h; a store's recovery cannot be hurried, so it is only kept.
    visible_to: NQNs of the hosts that have it, None for every host; for the others its NSID is inactive.
    on_marks: called when blocks are marked, or not any more.
    reservations: who has registered with it, and what is reserved; kept: where those are kept through a loss of power.
    """

    __slots__ = (
        "ana_group",
        "block_bytes",
        "block_count",
        "block_shift",
        "bytes_read",
        "bytes_written",
        "identifier",
        "media_errors",
        "nsid",
        "on_marks",
        "plain_blocks",
        "reads",
        "recovery_limit",
        "reservations",
        "store",
        "uncorrectable",
        "view",
        "visible_to",
        "writes",
    )

    def __init__(
        self,
        nsid: int,
        store: Store,
        identifier: uuid.UUID,
        *,
        ana_group: int = 1,
        visible_to: frozenset[str] | None = None,
        kept: ReservationStore | None = None,
    ) -> None:
        self.nsid = nsid
        self.store = store
        self.identifier = identifier
        self.ana_group = ana_group
        self.visible_to = visible_to
        self.reservations = NamespaceReservations(kept)
        self.view = getattr(store, "view", None)
        self.block_bytes = store.block_bytes
        self.block_count = store.block_count
        self.plain_blocks = self.block_count
        self.uncorrectable: BlockMarks | None = None
        self.block_shift = store.block_bytes.bit_length() - 1
        self.reads = 0
        self.writes = 0
        self.bytes_read = 0
        self.bytes_written = 0
        self.media_errors = 0
        self.recovery_limit = 0
        self.on_marks: Callable[[], None] | None = None

    def is_visible_to(self, host_nqn: str) -> bool:
        """Whether the host has it."""
        return self.visible_to is None or host_nqn in self.visible_to

    def measure(self) -> bool:
        """Take the size that the store has now; whether it is another one."""
        before, self.block_count = self.block_count, self.store.block_count
        if before > self.block_count:
            self.written(self.block_count, before - self.block_count)
        self._bound_plain_blocks()
        return before != self.block_count

    def mark_uncorrectable(self, block: int, blocks: int) -> bool:
        """Mark blocks: they cannot be read from now on. False, and none is marked, when that is too many ranges."""
        marks = BlockMarks() if self.uncorrectable is None else self.uncorrectable
        if len(marks) >= MARKS_MAX:
            return False
        marks.add(block, blocks)
        self._use(marks)
        return True

    def written(self, block: int, blocks: int) -> None:
        """Blocks have been written, or made zero: they can be read again."""
        if self.uncorrectable is not None:
            self.uncorrectable.remove(block, blocks)
            self._use(self.uncorrectable)

    def first_uncorrectable(self, block: int, blocks: int) -> int | None:
        """The first block of a range that is marked, None when all of them can be read."""
        return None if self.uncorrectable is None else self.uncorrectable.first_in(block, blocks)

    def count_copy(self, length: int) -> None:
        """A Copy of so many bytes is done: it reads user data and writes user data (NVM Command Set 1.0 1.4.2)."""
        self.reads += 1
        self.writes += 1
        self.bytes_read += length
        self.bytes_written += length

    def _use(self, marks: BlockMarks) -> None:
        self.uncorrectable = marks or None
        self._bound_plain_blocks()
        if self.on_marks is not None:
            self.on_marks()

    def _bound_plain_blocks(self) -> None:
        marks = self.uncorrectable
        self.plain_blocks = self.block_count if marks is None else min(marks.first, self.block_count)


MARKS_MAX = 1 << 16
"""Ranges of uncorrectable blocks; marking more is a write fault, so that a host cannot fill our memory with them."""
