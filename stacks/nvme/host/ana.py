"""Asymmetric namespace access as one controller reports it: the ANA log, and what it says about each namespace.

Follows NVM Express Base 2.0 5.16.1.13 and 8.1; the log is read whole, with the NSIDs of each group, as Linux does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.host.command import get_log_page
from stacks.nvme.host.script import Steps
from wire.nvme.kinds import AnaState
from wire.nvme.logs_codec import AnaGroup, AnaHeader
from wire.nvme.opcodes import NSID_BROADCAST, LogPage
from wire.nvme.text import decode_nsids

if TYPE_CHECKING:
    from stacks.nvme.host.controller import HostController


class AnaView:
    """The access states that a controller has for its groups.

    is_reported: whether it has an ANA log at all; without one every namespace is optimized.
    stale: namespaces on which a command was refused for their state, so that what is known is not true any more; they
    count as changing until the log was read again.
    """

    def __init__(self) -> None:
        self.is_reported = False
        self.stale: set[int] = set()
        self._states: dict[int, int] = {}
        self._groups: dict[int, int] = {}

    @property
    def is_changing(self) -> bool:
        """Whether a group is in the Change state, or a namespace counts as if its group were."""
        return CHANGE in self._states.values() or bool(self.stale)

    def state_of(self, nsid: int, group: int) -> int:
        """The `AnaState` of a namespace, which Identify has in `group`; Change while that is not known."""
        if not self.is_reported:
            return OPTIMIZED
        if nsid in self.stale:
            return CHANGE
        return self._states.get(self._groups.get(nsid, group), CHANGE)

    def take(self, log: memoryview) -> None:
        """Note what a log page says; a group that is not whole in it counts with the NSIDs that are there."""
        self._states, self._groups = {}, {}
        self.stale.clear()
        at = AnaHeader.SIZE
        for _ in range(AnaHeader.decode(log).groups):
            if at + AnaGroup.SIZE > len(log):
                break
            group = AnaGroup.decode(log, at)
            at += AnaGroup.SIZE
            self._states[group.group] = group.state & 0xF
            end = at + 4 * group.nsids
            for nsid in decode_nsids(log[at:end]):
                self._groups[nsid] = group.group
            at = end


def read_ana_log(host: HostController) -> Steps:
    """Read the ANA log into `host.ana`; a script."""
    identity = host.identity
    entire = AnaHeader.SIZE + identity.nanagrpid * AnaGroup.SIZE + 4 * (identity.mnan or identity.nn)
    groups_only = entire > host.max_transfer_bytes
    length = AnaHeader.SIZE + identity.nanagrpid * AnaGroup.SIZE if groups_only else entire
    log = memoryview(bytearray(min(length, host.max_transfer_bytes) & ~3))
    page = LogPage.ANA | (GROUPS_ONLY if groups_only else 0)
    answer = yield get_log_page(page, log, nsid=NSID_BROADCAST)
    assert answer is not None
    answer.check("read the ANA log")
    host.ana.take(log)


def reports_ana(host: HostController) -> bool:
    """Whether the controller has an ANA log (CMIC)."""
    return bool(host.identity.cmic & CMIC_ANA) and not host.is_discovery


OPTIMIZED, NON_OPTIMIZED = AnaState.OPTIMIZED.value, AnaState.NON_OPTIMIZED.value
INACCESSIBLE, PERSISTENT_LOSS = AnaState.INACCESSIBLE.value, AnaState.PERSISTENT_LOSS.value
CHANGE = AnaState.CHANGE.value

CMIC_ANA = 1 << 3
GROUPS_ONLY = 1 << 8
"""RGO, bit 0 of LSP in CDW10: groups without their NSIDs."""
