"""The ANA groups of a subsystem: the access state of each, which may be another one at each port.

A namespace belongs to one group; what a controller reports of a group is the state at the port that its host came
through. So a host with two paths finds one of them optimized and the other not, and fails over when that changes.

Follows NVM Express Base 2.0 8.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from stacks.runtime import LocalError
from wire.nvme.kinds import AnaState


class AnaGroups:
    """Groups by number, 1 to `ANA_GROUPS_MAX`; group 1 is always there, others come when they are first named.

    A place is a port by its ID, or None for all ports that have no state of their own.
    """

    def __init__(self) -> None:
        self._states: dict[tuple[int, int | None], AnaState] = {(1, None): AnaState.OPTIMIZED}

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(group for group, place in self._states if place is None))

    def __contains__(self, group: int) -> bool:
        return (group, None) in self._states

    def add(self, group: int) -> None:
        """Have the group, optimized where nothing else was said; LocalError for a number that cannot be."""
        if not 1 <= group <= ANA_GROUPS_MAX:
            raise LocalError(f"ANA group {group}: numbers go from 1 to {ANA_GROUPS_MAX}")
        self._states.setdefault((group, None), AnaState.OPTIMIZED)

    def remove(self, group: int) -> None:
        """Forget a group and its states."""
        for place in self.places(group):
            del self._states[group, place]

    def places(self, group: int) -> list[int | None]:
        """Where the group has a state."""
        return [place for each, place in self._states if each == group]

    def state(self, group: int, portid: int | None = None) -> AnaState:
        """The state of a group at a port, or (None) at the ports that have none of their own."""
        return self._states.get((group, portid)) or self._states[group, None]

    def put(self, group: int, state: AnaState, place: int | None) -> None:
        """Change the state of a group at one place."""
        self._states[group, place] = state

    def spread(self, group: int) -> None:
        """Let what holds at the ports without a state of their own hold at all of them."""
        for place in self.places(group):
            if place is not None:
                del self._states[group, place]

    def forget_port(self, portid: int) -> None:
        """The port is gone: whoever gets its number later begins with what holds everywhere."""
        for group in self:
            self._states.pop((group, portid), None)


ANA_GROUPS_MAX = 128
"""ANAGRPMAX and NANAGRPID of Identify, as in Linux nvmet: a host makes room for the log once, so groups that are
added later must fit."""

ANATT_SECONDS = 10
"""ANATT: a host that sees the Change state for longer resets its controller (NVMe Base 2.0 8.1)."""

ANA_CAPABILITIES = 0x1F
"""ANACAP: all five states. Bit 6 is 0, since a namespace may move to another group while it is attached."""

ACCESSIBLE = frozenset((AnaState.OPTIMIZED, AnaState.NON_OPTIMIZED))
"""The states in which commands reach a namespace."""
