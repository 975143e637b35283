"""A namespace: a store under an identity, with the counts that SMART reports."""

from __future__ import annotations

import uuid

from stacks.nvme.stores.contract import Store
from stacks.nvme.stores.reservations import ReservationStore
from stacks.nvme.target.reservations.line import NamespaceReservations


class Namespace:
    """One namespace of a subsystem.

    nsid: 1 and up; store: its blocks; identifier: its UUID, which is also its NGUID.
    view: the store's `view`, or None where it has none.
    ana_group: the ANA group it belongs to, 1 and up.
    visible_to: NQNs of the hosts that have it, None for every host; for the others its NSID is inactive.
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
        "reads",
        "reservations",
        "store",
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
        self.block_shift = store.block_bytes.bit_length() - 1
        self.reads = 0
        self.writes = 0
        self.bytes_read = 0
        self.bytes_written = 0
        self.media_errors = 0

    def is_visible_to(self, host_nqn: str) -> bool:
        """Whether the host has it."""
        return self.visible_to is None or host_nqn in self.visible_to

    def measure(self) -> bool:
        """Take the size that the store has now; whether it is another one."""
        before, self.block_count = self.block_count, self.store.block_count
        return before != self.block_count
