"""The reservation state of one namespace, as a value: who is registered, what is reserved, for whom.

A registration belongs to a host, that is to a 128-bit host identifier, and counts on each of its controllers
(NVM Express Base 2.0 8.19). A state never changes; `rules` makes new ones of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from stacks.nvme.target.reservations.table import Access, Relation, access_of
from wire.nvme.reservations import ReservationType


@dataclass(frozen=True, slots=True)
class ReservationState:
    """Registrations and the reservation of a namespace.

    registrants: host identifier to key, in the order of registering; keys are not zero.
    kind: the type of the reservation, None when there is none.
    holder: the host that has it; None when there is none, and for the types that all registrants hold together.
    generation: GEN, 32 bits. is_persistent: PTPL, whether all this outlives a loss of power.
    """

    registrants: Mapping[bytes, int] = field(default_factory=lambda: MappingProxyType({}))
    kind: ReservationType | None = None
    holder: bytes | None = None
    generation: int = 0
    is_persistent: bool = False

    @property
    def is_shared(self) -> bool:
        """Whether all registrants hold the reservation."""
        return self.kind in SHARED_TYPES

    def is_holder(self, host_id: bytes) -> bool:
        """Whether the host holds the reservation, alone or with all registrants."""
        return self.relation_of(host_id) is Relation.HOLDER

    def relation_of(self, host_id: bytes) -> Relation:
        """What the host is to the reservation; without one there is no holder."""
        if host_id not in self.registrants:
            return Relation.NON_REGISTRANT
        return Relation.HOLDER if self.is_shared or host_id == self.holder else Relation.REGISTRANT

    def access_of(self, host_id: bytes) -> Access:
        """What the host may do with the namespace's blocks."""
        return Access.READ_WRITE if self.kind is None else access_of(self.kind, self.relation_of(host_id))

    def with_registrant(self, host_id: bytes, key: int) -> ReservationState:
        """The state with a host registered under a key, which may be its next one."""
        return replace(self, registrants=MappingProxyType({**self.registrants, host_id: key}))

    def without(self, host_ids: frozenset[bytes]) -> ReservationState:
        """The state with hosts unregistered: a reservation whose holder, or last of all holders, is gone is released
        (NVMe Base 2.0 8.19.4).
        """
        left = {host: key for host, key in self.registrants.items() if host not in host_ids}
        state = replace(self, registrants=MappingProxyType(left))
        is_held = bool(left) if self.is_shared else self.holder in left
        return state if is_held or self.kind is None else state.released()

    def reserved(self, kind: ReservationType, host_id: bytes) -> ReservationState:
        """The state with a reservation of `kind` for a host, in place of any other."""
        return replace(self, kind=kind, holder=None if kind in SHARED_TYPES else host_id)

    def released(self) -> ReservationState:
        """The state without a reservation; registrations stay."""
        return replace(self, kind=None, holder=None)

    def counted(self) -> ReservationState:
        """The state one generation later; GEN wraps (NVMe Base 2.0 7.5)."""
        return replace(self, generation=(self.generation + 1) & GENERATION_MASK)


SHARED_TYPES = frozenset(
    (ReservationType.WRITE_EXCLUSIVE_ALL_REGISTRANTS, ReservationType.EXCLUSIVE_ACCESS_ALL_REGISTRANTS)
)
"""Held by all registrants at once."""

SOLITARY_TYPES = frozenset((ReservationType.WRITE_EXCLUSIVE, ReservationType.EXCLUSIVE_ACCESS))
"""Registering gives no rights under these, so nobody is told when they are released."""

GENERATION_MASK = 0xFFFFFFFF
