"""How the ANA states of a subsystem change: at once, or through the Change state.

    OPTIMIZED, NON_OPTIMIZED, INACCESSIBLE  <-->  each other, at once or through CHANGE
    CHANGE           --time--> the state that was to follow, or else the one from before
    PERSISTENT_LOSS  --> any other, for controllers that have not reported it: the others end

A host that sees Change for more than ANATT seconds resets its controller, so no group stays there for longer: a change
that nobody finished has failed.

Follows NVM Express Base 2.0 8.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.target.ana import ANATT_SECONDS
from stacks.runtime import LocalError
from wire.nvme.kinds import AnaState

if TYPE_CHECKING:
    from stacks.nvme.target.subsystem import Subsystem


class AnaChange:
    """A change under way at one place (see `AnaGroups`), the timer that ends it, and the state that follows."""

    def __init__(
        self, changes: AnaChanges, group: int, place: int | None, *, after: AnaState, duration_ns: int
    ) -> None:
        self.group = group
        self.place = place
        self.after = after
        self.duration_ns = duration_ns
        self._changes = changes

    def handle_deadline(self) -> None:
        """The time is over."""
        self._changes.finish(self)


class AnaChanges:
    """The changes under way in a subsystem, at most one for a group and place."""

    def __init__(self, subsystem: Subsystem) -> None:
        self._subsystem = subsystem
        self._under_way: dict[tuple[int, int | None], AnaChange] = {}

    def set_state(self, group: int, state: AnaState, portid: int | None) -> None:
        """See `Subsystem.set_ana_state`."""
        ana = self._subsystem.ana
        ana.add(group)
        if state is AnaState.CHANGE:
            self._begin(group, portid, after=None, duration_ns=ANATT_NS)
            return
        if portid is None:
            self.cancel_all(group)
            ana.spread(group)
        self.cancel(group, portid)
        ana.put(group, state, portid)
        self._changed(group)

    def change_state(self, group: int, state: AnaState, portid: int | None, *, duration_ns: int) -> None:
        """See `Subsystem.change_ana_state`."""
        if not 0 < duration_ns <= ANATT_NS:
            raise LocalError(f"a change of ANA state takes more than 0 and at most {ANATT_SECONDS} seconds")
        self._subsystem.ana.add(group)
        after = None if state is AnaState.CHANGE else state
        self._begin(group, portid, after=after, duration_ns=duration_ns)

    def cancel(self, group: int, place: int | None) -> None:
        """What was to follow there does not."""
        change = self._under_way.pop((group, place), None)
        if change is not None and self._subsystem.target is not None:
            self._subsystem.target.cancel(change)

    def cancel_all(self, group: int) -> None:
        """What was to follow for a group does not, anywhere."""
        for place in self._subsystem.ana.places(group):
            self.cancel(group, place)

    def arm(self) -> None:
        """Begin to count the time of everything under way."""
        for change in self._under_way.values():
            self._arm(change)

    def disarm(self) -> None:
        """Count no time any more."""
        for change in self._under_way.values():
            if self._subsystem.target is not None:
                self._subsystem.target.cancel(change)

    def finish(self, change: AnaChange) -> None:
        """A change's time is over."""
        del self._under_way[change.group, change.place]
        self._subsystem.ana.put(change.group, change.after, change.place)
        self._changed(change.group)

    def _begin(self, group: int, portid: int | None, *, after: AnaState | None, duration_ns: int) -> None:
        ana = self._subsystem.ana
        for place in ana.places(group) if portid is None else [portid]:
            before = ana.state(group, place)
            if before is AnaState.CHANGE and after is None:
                continue
            ana.put(group, AnaState.CHANGE, place)
            self.cancel(group, place)
            change = AnaChange(self, group, place, after=after or before, duration_ns=duration_ns)
            self._under_way[group, place] = change
            self._arm(change)
        self._changed(group)

    def _arm(self, change: AnaChange) -> None:
        if self._subsystem.target is not None:
            self._subsystem.target.arm(change, change.duration_ns)

    def _changed(self, group: int) -> None:
        # A controller that has reported persistent loss never reports anything else of that group.
        for controller in list(self._subsystem.controllers.values()):
            seen = controller.attachments.groups.get(group)
            is_lost = seen is not None and seen.state is AnaState.PERSISTENT_LOSS
            if is_lost and self._subsystem.ana.state(group, controller.port.portid) is not AnaState.PERSISTENT_LOSS:
                controller.fail()
        self._subsystem.refresh()


ANATT_NS = ANATT_SECONDS * 10**9
