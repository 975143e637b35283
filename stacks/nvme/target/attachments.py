"""What one controller has of its subsystem: the namespaces attached to it, and the state of their ANA groups.

    Subsystem: namespaces, who may see them, ANA states at the port
        | refresh
    Attachments: attached --> Identify, logs          accessible --> Queue.namespaces, one look-up an I/O command
        |
    events for the host, only of what is different for it

Whatever changes in a subsystem, `refresh` looks at everything again; nothing else writes these tables.

Follows NVM Express Base 2.0 3.2.1, 5.2, 5.16.1.5 and 8.1.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stacks.nvme.target.ana import ACCESSIBLE
from stacks.nvme.target.events import ANA_CHANGED, NAMESPACE_CHANGED, Event
from stacks.nvme.target.namespace import Namespace
from wire.nvme.kinds import AnaState

if TYPE_CHECKING:
    from stacks.nvme.target.subsystem import Subsystem


@dataclass(frozen=True, slots=True)
class GroupSeen:
    """An ANA group as a controller reports it: its state, its namespaces among those attached, rising, and how often
    this has changed.
    """

    state: AnaState
    nsids: tuple[int, ...] = ()
    change_count: int = 0

    def after(self, before: GroupSeen | None) -> GroupSeen:
        """The same, counted on from what was seen before."""
        if before is None:
            return self
        is_same = (before.state, before.nsids) == (self.state, self.nsids)
        return replace(self, change_count=before.change_count + (not is_same))


class Attachments:
    """The tables of one controller; made for a host that came through a port.

    attached: active namespaces by NSID. accessible: those of them that commands reach. Both change in place.
    groups: ANA groups by number. ana_change_count: how often the ANA log changed since the controller was reset.
    changed_nsids: namespaces that the changed-namespace log names.
    """

    def __init__(self, subsystem: Subsystem, *, host_nqn: str, portid: int) -> None:
        self.host_nqn = host_nqn
        self.portid = portid
        self.attached: dict[int, Namespace] = {}
        self.accessible: dict[int, Namespace] = {}
        self.groups: dict[int, GroupSeen] = {}
        self.changed_nsids: set[int] = set()
        self.ana_change_count = 0
        self._group_of: dict[int, int] = {}
        self.refresh(subsystem)
        self.reset()

    def reset(self) -> None:
        """A Controller Level Reset: counts begin again, and nothing is news (NVMe Base 2.0 3.7.2)."""
        self.changed_nsids.clear()
        self.ana_change_count = 0
        self.groups = {group: GroupSeen(seen.state, seen.nsids) for group, seen in self.groups.items()}

    def state_of(self, namespace: Namespace) -> AnaState:
        """The ANA state of a namespace here."""
        return self.groups[namespace.ana_group].state

    def refresh(self, subsystem: Subsystem, changed: Collection[int] = ()) -> list[Event]:
        """Look at the subsystem again; the events that tell what is different for this host.

        changed: namespaces that are the same and yet different, such as in size.
        """
        old = dict(self.attached)
        new = {nsid: each for nsid, each in sorted(subsystem.namespaces.items()) if each.is_visible_to(self.host_nqn)}
        different = {nsid for nsid in old.keys() | new.keys() if old.get(nsid) is not new.get(nsid)}
        different.update(nsid for nsid in changed if nsid in new)
        self._replace(self.attached, new)
        events = [NAMESPACE_CHANGED] if different else []
        self.changed_nsids |= different
        if self._refresh_groups(subsystem):
            events.append(ANA_CHANGED)
        through = {nsid: each for nsid, each in new.items() if self.state_of(each) in ACCESSIBLE}
        self._replace(self.accessible, through)
        return events

    def _refresh_groups(self, subsystem: Subsystem) -> bool:
        # Whether a host is to be told: of another state or another group, but not of what a new namespace or a new
        # group brings (NVMe Base 2.0 8.1). Like Linux nvmet it is told of Change too, before its commands fail.
        before, members = self.groups, self._members(subsystem)
        self.groups = {}
        for group, nsids in members.items():
            seen = GroupSeen(subsystem.ana.state(group, self.portid), tuple(nsids))
            self.groups[group] = seen.after(before.get(group))
        self.ana_change_count += before != self.groups
        group_of = {nsid: group for group, nsids in members.items() for nsid in nsids}
        has_moved = any(self._group_of.get(nsid, group) != group for nsid, group in group_of.items())
        self._group_of = group_of
        return has_moved or any(
            group in before and before[group].state is not seen.state for group, seen in self.groups.items()
        )

    def _members(self, subsystem: Subsystem) -> dict[int, list[int]]:
        members: dict[int, list[int]] = {group: [] for group in subsystem.ana}
        for nsid, namespace in self.attached.items():
            members[namespace.ana_group].append(nsid)
        return members

    @staticmethod
    def _replace(table: dict[int, Namespace], content: dict[int, Namespace]) -> None:
        # In place: the queues hold it.
        table.clear()
        table.update(content)
