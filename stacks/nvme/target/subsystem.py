"""A subsystem: an NQN, the namespaces behind it, the hosts that may come, and the controllers that they got."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from stacks.nvme.stores.contract import Store
from stacks.nvme.stores.reservations import ReservationStore
from stacks.nvme.target.events import ANA_CHANGED, DISCOVERY_CHANGED, NAMESPACE_CHANGED, RESERVATION_NOTIFIED, Event
from stacks.nvme.target.namespace import Namespace
from stacks.nvme.target.reservations.table import Access
from stacks.runtime import LocalError
from wire.checksum import crc32
from wire.nvme.kinds import AnaState
from wire.nvme.opcodes import DISCOVERY_NQN, NQN_MAX_BYTES
from wire.nvme.reservations import ReservationNotice

if TYPE_CHECKING:
    from stacks.nvme.target.controller import Controller
    from stacks.nvme.target.queue import Queue


class Subsystem:
    """An NVM subsystem, or the discovery subsystem when its NQN is the well-known one.

    nqn: its name, at most 223 bytes; serial, model: for Identify, at most 20 and 40 characters.
    allowed_hosts: host NQNs that may connect; None lets everyone in.
    Raises LocalError for a name that is no NQN.
    """

    def __init__(
        self,
        nqn: str,
        *,
        serial: str = "",
        model: str = "BareMetal NVMe",
        allowed_hosts: Collection[str] | None = None,
    ) -> None:
        check_nqn(nqn)
        self.nqn = nqn
        self.serial = serial or f"BM{crc32(nqn.encode()):08X}"
        self.model = model
        self.allowed_hosts = allowed_hosts
        self.namespaces: dict[int, Namespace] = {}
        self.accessible: dict[int, Namespace] = {}
        """The namespaces whose ANA group lets I/O through: what a queue looks commands' NSIDs up in."""
        self.controllers: dict[int, Controller] = {}
        self.ana_states: dict[int, AnaState] = {1: AnaState.OPTIMIZED}
        self.ana_change_count = 0
        self.controllers_made = 0
        self.unsafe_shutdowns = 0
        self._departed: list[Queue] = []
        self._last_cntlid = 0

    @property
    def is_discovery(self) -> bool:
        """Whether its controllers are discovery controllers."""
        return self.nqn == DISCOVERY_NQN

    def add_namespace(
        self,
        store: Store,
        *,
        nsid: int = 0,
        identifier: uuid.UUID | None = None,
        reservations: ReservationStore | None = None,
    ) -> Namespace:
        """Show `store` as a namespace, and tell the hosts.

        nsid: its number, 0 for the lowest free one; identifier: its UUID, by default derived from NQN and NSID.
        reservations: where its reservations are kept through a loss of power; without it, that cannot be asked for.
        Raises LocalError when the number is taken or too large, or when what was kept cannot be read.
        """
        nsid = nsid or next(number for number in range(1, NAMESPACES_MAX + 2) if number not in self.namespaces)
        if nsid in self.namespaces:
            raise LocalError(f"{self.nqn} has a namespace {nsid} already")
        if not 1 <= nsid <= NAMESPACES_MAX:
            raise LocalError(f"namespace {nsid}: numbers go from 1 to {NAMESPACES_MAX}")
        identifier = identifier or uuid.uuid5(uuid.NAMESPACE_URL, f"{self.nqn}/{nsid}")
        namespace = Namespace(nsid, store, identifier, kept=reservations)
        self.namespaces[nsid] = namespace
        self._find_accessible()
        self._tell_change(nsid)
        return namespace

    def remove_namespace(self, nsid: int) -> Namespace:
        """Hide a namespace and tell the hosts; its store stays the caller's. LocalError when there is none."""
        if nsid not in self.namespaces:
            raise LocalError(f"{self.nqn} has no namespace {nsid}")
        namespace = self.namespaces.pop(nsid)
        self._find_accessible()
        self._tell_change(nsid)
        return namespace

    def set_ana_state(self, group: int, state: AnaState) -> None:
        """Change the access state of an ANA group, and tell the hosts (NVMe Base 2.0 2.4.1)."""
        self.ana_states[group] = state
        self._find_accessible()
        self.ana_change_count += 1
        self._raise(ANA_CHANGED)

    def restrictions(self, host_id: bytes) -> dict[int, Access]:
        """What reservations keep a host from: an entry for each namespace where it may not do everything."""
        found = {nsid: each.reservations.state.access_of(host_id) for nsid, each in self.namespaces.items()}
        return {nsid: access for nsid, access in found.items() if access is not Access.READ_WRITE}

    def reservations_changed(
        self, namespace: Namespace, notices: Iterable[tuple[bytes, ReservationNotice]] = ()
    ) -> None:
        """A namespace's reservations are different ones: from now on they count on every queue.

        notices: (host identifier, what to tell its controllers), as far as that is not masked.
        """
        for controller in self.controllers.values():
            controller.find_access()
        for host_id, notice in notices:
            if not namespace.reservations.mask >> notice & 1:
                self._notify(host_id, notice, namespace.nsid)

    def queues_of(self, host_ids: Collection[bytes]) -> Iterator[Queue]:
        """The I/O queues of these hosts, over all their controllers, and those that have gone but whose commands a
        store still has.
        """
        for controller in self.controllers.values():
            if controller.host_id in host_ids:
                yield from controller.io_queues.values()
        yield from (queue for queue in self._departed if queue.host_id in host_ids)

    def queue_departed(self, queue: Queue) -> None:
        """An I/O queue is no controller's any more; a store may have commands of it."""
        self._departed = [each for each in dict.fromkeys((*self._departed, queue)) if each.under_way]

    def discovery_changed(self) -> None:
        """Tell the hosts of a discovery subsystem that its log is a different one."""
        self._raise(DISCOVERY_CHANGED)

    def admits(self, host_nqn: str) -> bool:
        """Whether the host may connect."""
        return self.allowed_hosts is None or host_nqn in self.allowed_hosts

    def active_nsids(self) -> Sequence[int]:
        """The numbers of all namespaces, rising."""
        return sorted(self.namespaces)

    def next_cntlid(self) -> int:
        """A controller ID that is not in use, 0 when there is none; IDs come back as late as possible."""
        for _ in range(CNTLID_MAX):
            self._last_cntlid = self._last_cntlid % CNTLID_MAX + 1
            if self._last_cntlid not in self.controllers:
                return self._last_cntlid
        return 0

    def _find_accessible(self) -> None:
        # The queues hold this dict, so it changes in place.
        self.accessible.clear()
        for nsid, namespace in self.namespaces.items():
            if self.ana_states.get(namespace.ana_group) in (AnaState.OPTIMIZED, AnaState.NON_OPTIMIZED):
                self.accessible[nsid] = namespace
        for controller in self.controllers.values():
            controller.find_access()

    def _tell_change(self, nsid: int) -> None:
        for controller in self.controllers.values():
            controller.changed_namespaces.add(nsid)
        self._raise(NAMESPACE_CHANGED)

    def _notify(self, host_id: bytes, notice: ReservationNotice, nsid: int) -> None:
        for controller in self.controllers.values():
            if controller.host_id == host_id:
                controller.notices.add(notice, nsid)
                controller.raise_event(RESERVATION_NOTIFIED)

    def _raise(self, event: Event) -> None:
        for controller in self.controllers.values():
            controller.raise_event(event)


def check_nqn(nqn: str) -> None:
    """Raise LocalError, saying why, for what is no NVMe Qualified Name (NVMe Base 2.0 4.5)."""
    if not nqn.startswith("nqn.") or len(nqn) < len("nqn.2014-08.a"):
        raise LocalError(f"{nqn!r} is no NQN; one looks like nqn.2026-11.io.baremetal:disk")
    if len(nqn.encode()) > NQN_MAX_BYTES:
        raise LocalError(f"NQN {nqn[:40]}... is longer than {NQN_MAX_BYTES} bytes")


NAMESPACES_MAX = 1024
"""NN and MNAN of Identify; the ANA log that Linux reads grows with it by four bytes each."""

CNTLID_MAX = 0xFFEF
"""Higher controller IDs are reserved (NVMe Base 2.0 figure 275)."""
