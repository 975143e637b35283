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
        "writes",
    )

    def __init__(
        self,
        nsid: int,
        store: Store,
        identifier: uuid.UUID,
        *,
        ana_group: int = 1,
        kept: ReservationStore | None = None,
    ) -> None:
        self.nsid = nsid
        self.store = store
        self.identifier = identifier
        self.ana_group = ana_group
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
