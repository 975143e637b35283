"""A subsystem: an NQN, the namespaces behind it, the hosts that may come, and the controllers that they got.

Everything here can be changed while hosts do I/O. Each change ends in `refresh`, which has every controller look again
and tell its host what is different for it. The methods are synchronous; what cannot be is a LocalError of one line, and
changes nothing.

    namespaces   add, remove, resize; show to a host or hide from it; move to another ANA group
    ANA          the state of a group at one port or at all; a change that takes a while
    hosts        who may connect; disconnect one
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import TYPE_CHECKING

from stacks.nvme.stores.checks import check_store
from stacks.nvme.stores.contract import Store
from stacks.nvme.stores.reservations import ReservationStore
from stacks.nvme.target.ana import AnaGroups
from stacks.nvme.target.ana_change import AnaChanges
from stacks.nvme.target.busy_time import BusyTime
from stacks.nvme.target.controller_kind import IO, ControllerKind, kind_of_nqn
from stacks.nvme.target.namespace import Namespace
from stacks.nvme.target.nqn import check_nqn, host_set
from stacks.nvme.target.reservations.sharing import Sharing
from stacks.runtime import LocalError
from wire.checksum import crc32
from wire.nvme.kinds import AnaState, ControllerType

if TYPE_CHECKING:
    from stacks.nvme.target.controller import Controller
    from stacks.nvme.target.target import Target


class Subsystem:
    """An NVM subsystem, a discovery subsystem, or one whose controllers are administrative.

    nqn: its name, at most 223 bytes; serial, model: for Identify, at most 20 and 40 characters.
    allowed_hosts: host NQNs that may connect; None lets everyone in.
    kind: the type of its controllers, by default that of the NQN: discovery for the well-known one, else I/O.
    cntlids: the controller IDs that it gives out; controllers_max: how many there can be at a time, None for as many as
    there are IDs.
    target: who serves it, if anyone does.
    Raises LocalError for a name that is no NQN, or IDs that cannot be.
    """

    def __init__(
        self,
        nqn: str,
        *,
        serial: str = "",
        model: str = "BareMetal NVMe",
        allowed_hosts: Collection[str] | None = None,
        kind: ControllerKind | None = None,
        cntlids: range | None = None,
        controllers_max: int | None = None,
    ) -> None:
        check_nqn(nqn)
        self.nqn = nqn
        self.serial = serial or f"BM{crc32(nqn.encode()):08X}"
        self.model = model
        self.kind = kind or kind_of_nqn(nqn)
        self.cntlids = _checked(range(1, CNTLID_MAX + 1) if cntlids is None else cntlids)
        self.controllers_max = controllers_max
        self.target: Target | None = None
        self.namespaces: dict[int, Namespace] = {}
        self.controllers: dict[int, Controller] = {}
        self.ana = AnaGroups()
        self.controllers_made = 0
        self.unsafe_shutdowns = 0
        self.busy_time = BusyTime()
        self.sharing = Sharing(self)
        self._allowed_hosts = host_set(allowed_hosts)
        self._ana_changes = AnaChanges(self)
        self._next_cntlid = 0

    @property
    def is_discovery(self) -> bool:
        """Whether its controllers are discovery controllers."""
        return self.kind.type is ControllerType.DISCOVERY

    # Namespaces

    def add_namespace(
        self,
        store: Store,
        *,
        nsid: int = 0,
        identifier: uuid.UUID | None = None,
        ana_group: int = 1,
        visible_to: Collection[str] | None = None,
        reservations: ReservationStore | None = None,
    ) -> Namespace:
        """Show `store` as a namespace, and tell the hosts.

        nsid: its number, 0 for the lowest free one; identifier: its UUID, by default derived from NQN and NSID.
        ana_group: the ANA group that it belongs to; visible_to: NQNs of the hosts that see it, None for every host.
        reservations: where its reservations are kept through a loss of power; without it, that cannot be asked for.
        Raises LocalError when the number is taken or too large, when these controllers have no namespaces, when `store`
        is no store, or when what was kept cannot be read.
        """
        if self.kind is not IO:
            raise LocalError(f"{self.nqn} has no namespaces: its controllers are {self.kind.type.name.lower()} ones")
        check_store(store)
        nsid = nsid or self.free_nsid()
        if nsid in self.namespaces:
            raise LocalError(f"{self.nqn} has a namespace {nsid} already")
        if not 1 <= nsid <= NAMESPACES_MAX:
            raise LocalError(f"namespace {nsid}: numbers go from 1 to {NAMESPACES_MAX}")
        hosts = host_set(visible_to)
        name = identifier or self.default_identifier(nsid)
        namespace = Namespace(nsid, store, name, ana_group=ana_group, visible_to=hosts, kept=reservations)
        self.ana.add(ana_group)
        namespace.on_marks = self._marks_changed
        self.namespaces[nsid] = namespace
        self.refresh()
        return namespace

    def free_nsid(self) -> int:
        """The lowest namespace number that is free; more than `NAMESPACES_MAX` when none is."""
        return next(number for number in range(1, NAMESPACES_MAX + 2) if number not in self.namespaces)

    def default_identifier(self, nsid: int) -> uuid.UUID:
        """The UUID of a namespace that nobody gave one."""
        return uuid.uuid5(uuid.NAMESPACE_URL, f"{self.nqn}/{nsid}")

    def remove_namespace(self, nsid: int) -> Namespace:
        """Hide a namespace and tell the hosts; its store stays the caller's. LocalError when there is none.

        Commands that have not reached the store fail.
        """
        namespace = self.namespace(nsid)
        del self.namespaces[nsid]
        self.refresh()
        if self.target is not None:
            self.target.line.fail_gone(namespace)
        return namespace

    def resize_namespace(self, nsid: int) -> None:
        """Take the size that the namespace's store has now, and tell the hosts if it is another one.

        Commands past a new end that have not reached the store fail; so shrink a store first, and call this at once.
        Raises LocalError when there is no such namespace, or its store has other blocks now.
        """
        namespace = self.namespace(nsid)
        if namespace.store.block_bytes != namespace.block_bytes:
            raise LocalError(f"namespace {nsid} cannot change the size of its blocks; remove and add it")
        if namespace.measure():
            if self.target is not None:
                self.target.line.fail_past_end(namespace)
            self.refresh((nsid,))

    def set_visible_to(self, nsid: int, hosts: Collection[str] | None) -> None:
        """Show a namespace to these hosts and no others, or (None) to every host. LocalError when there is none."""
        self.namespace(nsid).visible_to = host_set(hosts)
        self.refresh()

    def show_namespace(self, nsid: int, host_nqn: str) -> None:
        """Show a namespace to one host more; LocalError when every host sees it."""
        self.set_visible_to(nsid, self._seers(nsid) | {host_nqn})

    def hide_namespace(self, nsid: int, host_nqn: str) -> None:
        """Hide a namespace from a host that it was shown to; LocalError when it was not, or every host sees it."""
        seers = self._seers(nsid)
        if host_nqn not in seers:
            raise LocalError(f"namespace {nsid} is not visible to {host_nqn}")
        self.set_visible_to(nsid, seers - {host_nqn})

    def move_namespace(self, nsid: int, ana_group: int) -> None:
        """Have a namespace belong to another ANA group; LocalError when there is no such namespace or group number."""
        namespace = self.namespace(nsid)
        self.ana.add(ana_group)
        namespace.ana_group = ana_group
        self.refresh()

    def namespace(self, nsid: int) -> Namespace:
        """The namespace of that number; LocalError when there is none."""
        if nsid not in self.namespaces:
            raise LocalError(f"{self.nqn} has no namespace {nsid}")
        return self.namespaces[nsid]

    # Asymmetric namespace access

    def set_ana_state(self, group: int, state: AnaState, *, portid: int | None = None) -> None:
        """Change the access state of an ANA group at one port, or (None) at all, and tell the hosts (NVMe Base 2.0
        8.1). The group is made if need be; LocalError for a number that cannot be.

        Change is left by itself after ANATT, to what was before. Nothing follows persistent loss for a controller that
        has reported it: another state disconnects these, and their hosts come back to new ones.
        """
        self._ana_changes.set_state(group, state, portid)

    def change_ana_state(self, group: int, state: AnaState, *, duration_ns: int, portid: int | None = None) -> None:
        """Go to another ANA state through Change, which takes `duration_ns`; LocalError for more than ANATT."""
        self._ana_changes.change_state(group, state, portid, duration_ns=duration_ns)

    def remove_ana_group(self, group: int) -> None:
        """Forget an ANA group; LocalError when it is not there, is the first, or has a namespace."""
        if group not in self.ana or group == 1:
            raise LocalError(f"there is no ANA group {group} to remove")
        if any(each.ana_group == group for each in self.namespaces.values()):
            raise LocalError(f"ANA group {group} has namespaces")
        self._ana_changes.cancel_all(group)
        self.ana.remove(group)
        self.refresh()

    def forget_port(self, portid: int) -> None:
        """A port is gone, and with it the ANA states that it had of its own."""
        for group in self.ana:
            self._ana_changes.cancel(group, portid)
        self.ana.forget_port(portid)

    def serve(self, target: Target) -> None:
        """A target serves it from now on; LocalError when one does already."""
        if self.target is not None:
            raise LocalError(f"{self.nqn} is served already")
        self.target = target
        self.start_clock()

    def start_clock(self) -> None:
        """There is a clock (now): what takes time begins to."""
        self._ana_changes.arm()

    def end_serving(self) -> None:
        """The target serves it no more; its hosts are disconnected."""
        for controller in list(self.controllers.values()):
            controller.fail()
        self._ana_changes.disarm()
        self.target = None

    # Hosts and their controllers

    @property
    def allowed_hosts(self) -> frozenset[str] | None:
        """The host NQNs that may connect; None lets everyone in. Set it, and who may not any more is disconnected."""
        return self._allowed_hosts

    @allowed_hosts.setter
    def allowed_hosts(self, hosts: Collection[str] | None) -> None:
        allowed = host_set(hosts)
        if allowed == self._allowed_hosts:
            return
        self._allowed_hosts = allowed
        for controller in list(self.controllers.values()):
            if not self.admits(controller.host_nqn):
                controller.fail()
        if self.target is not None:
            self.target.discovery.changed()

    def allow_host(self, host_nqn: str) -> None:
        """Let one host more connect; LocalError when everyone may."""
        self.allowed_hosts = self._allowed() | {host_nqn}

    def deny_host(self, host_nqn: str) -> None:
        """Let a host connect no more, and disconnect it; LocalError when it may not, or everyone may."""
        allowed = self._allowed()
        if host_nqn not in allowed:
            raise LocalError(f"{host_nqn} may not connect to {self.nqn}")
        self.allowed_hosts = allowed - {host_nqn}

    def admits(self, host_nqn: str) -> bool:
        """Whether the host may connect."""
        return self._allowed_hosts is None or host_nqn in self._allowed_hosts

    def disconnect_host(self, host_nqn: str) -> int:
        """End every association of a host, which may come back; how many there were."""
        controllers = [each for each in self.controllers.values() if each.host_nqn == host_nqn]
        for controller in controllers:
            controller.fail()
        return len(controllers)

    def disconnect_controller(self, cntlid: int) -> None:
        """End one association; LocalError when there is no such controller."""
        if cntlid not in self.controllers:
            raise LocalError(f"{self.nqn} has no controller {cntlid}")
        self.controllers[cntlid].fail()

    def next_cntlid(self) -> int:
        """A controller ID that is not in use, 0 when there is none; IDs come back as late as possible."""
        limit = len(self.cntlids) if self.controllers_max is None else self.controllers_max
        if len(self.controllers) >= limit:
            return 0
        for _ in self.cntlids:
            cntlid = self.cntlids[self._next_cntlid % len(self.cntlids)]
            self._next_cntlid += 1
            if cntlid not in self.controllers:
                return cntlid
        return 0

    def refresh(self, changed: Collection[int] = ()) -> None:
        """Have every controller look again; changed: namespaces that are the same and yet different."""
        for controller in list(self.controllers.values()):
            controller.refresh(changed)

    def _marks_changed(self) -> None:
        if self.target is not None:
            self.target.access_changed()

    def _seers(self, nsid: int) -> frozenset[str]:
        seers = self.namespace(nsid).visible_to
        if seers is None:
            raise LocalError(f"namespace {nsid} is visible to every host; say first which hosts see it")
        return seers

    def _allowed(self) -> frozenset[str]:
        if self._allowed_hosts is None:
            raise LocalError(f"{self.nqn} lets every host in; say first which hosts may connect")
        return self._allowed_hosts


def _checked(cntlids: range) -> range:
    if not cntlids or min(cntlids[0], cntlids[-1]) < 1 or max(cntlids[0], cntlids[-1]) > CNTLID_MAX:
        raise LocalError(f"controller IDs go from 1 to {CNTLID_MAX:#06x}")
    return cntlids


NAMESPACES_MAX = 1024
"""NN and MNAN of Identify; the ANA log that Linux reads grows with it by four bytes each."""

CNTLID_MAX = 0xFFEF
"""Higher controller IDs are reserved (NVMe Base 2.0 figure 275)."""
