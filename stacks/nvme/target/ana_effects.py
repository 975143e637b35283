"""What a namespace's ANA state does to commands that name it: most end with a status of the path.

A host keeps such a command for another path, or for later; so none of these statuses carries DNR.

Follows NVM Express Base 2.0 8.1 (effects on command processing) and NVM Command Set 1.0 5.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.target.errors import CommandError
from wire.nvme.kinds import AnaState
from wire.nvme.opcodes import NSID_BROADCAST, FeatureId
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.controller import Controller


def not_reached(nsid: int, state: AnaState) -> CommandError:
    """The error of a command for a namespace whose group is in that state."""
    return CommandError(PATH_STATUSES[state], f"namespace {nsid} is not reached this way")


def check_feature(controller: Controller, fid: int, nsid: int, *, is_set: bool) -> None:
    """CommandError when Set or Get Features is not possible for a namespace in its state.

    Only features of a namespace are affected; but while a namespace is lost no feature is set through it, and while any
    is out of reach none is set for all.
    """
    attachments = controller.attachments
    if nsid == NSID_BROADCAST:
        named = list(attachments.attached.values()) if is_set else []
    else:
        named = [attachments.attached[nsid]] if nsid in attachments.attached else []
    for namespace in named:
        state = attachments.state_of(namespace)
        is_lost = is_set and (state is AnaState.PERSISTENT_LOSS or nsid == NSID_BROADCAST)
        if state in PATH_STATUSES and (is_lost or fid in NAMESPACE_FEATURES):
            raise not_reached(namespace.nsid, state)


PATH_STATUSES: dict[AnaState, StatusCode] = {
    AnaState.INACCESSIBLE: StatusCode.ANA_INACCESSIBLE,
    AnaState.PERSISTENT_LOSS: StatusCode.ANA_PERSISTENT_LOSS,
    AnaState.CHANGE: StatusCode.ANA_TRANSITION,
}
"""Of the states in which no command reaches a namespace."""

WITHOUT_CAPACITY = frozenset((AnaState.INACCESSIBLE, AnaState.PERSISTENT_LOSS))
"""States in which NUSE and NVMCAP of Identify Namespace are 0."""

NAMESPACE_FEATURES = frozenset(
    (
        FeatureId.LBA_RANGE_TYPE.value,
        FeatureId.ERROR_RECOVERY.value,
        FeatureId.WRITE_ATOMICITY.value,
        FeatureId.RESERVATION_NOTIFICATION_MASK.value,
        FeatureId.RESERVATION_PERSISTENCE.value,
        FeatureId.NAMESPACE_WRITE_PROTECT.value,
    )
)
