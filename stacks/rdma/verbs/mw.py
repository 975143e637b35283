"""Memory windows (IBTA 10.6.7, 11.2.8.10): remote rights over a part of a region, granted by a work request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stacks.rdma.enums import SendFlags
from stacks.rdma.memory import MwBind, MwType
from stacks.rdma.verbs.errors import failing_with
from stacks.rdma.verbs.objects import VerbsObject
from stacks.runtime import LocalError

if TYPE_CHECKING:
    from stacks.rdma.verbs.mr import MR
    from stacks.rdma.verbs.pd import PD


class MWBindInfo:
    """What a window is to grant: `mw_access_flags` over `length` bytes from `addr` on, of `mr`; length 0: nothing."""

    def __init__(self, mr: MR, addr: int, length: int, mw_access_flags: int) -> None:
        self.mr = mr
        self.addr = addr
        self.length = length
        self.mw_access_flags = mw_access_flags

    @property
    def core(self) -> MwBind:
        """The same for a core."""
        # LOCAL_WRITE is the region's affair; Linux takes it in a bind and does not look at it.
        return MwBind(self.mr.core, self.addr, self.length, int(self.mw_access_flags) & ~LOCAL_WRITE)


@dataclass(slots=True)
class MWBind:
    """A bind of a type 1 window, for `QP.bind_mw`. send_flags: IBV_SEND_ bits."""

    info: MWBindInfo
    send_flags: int = SendFlags.SIGNALED
    wr_id: int = 0


class MW(VerbsObject):
    """A memory window. mw_type: IBV_MW_TYPE_1 or _2. rkey: what peers name it by, once it is bound."""

    def __init__(self, pd: PD, mw_type: int) -> None:
        with pd.context.host.lock, failing_with("Failed to allocate MW"):
            self.core = pd.core.alloc_mw(_type(mw_type))
        super().__init__(pd.context.host, (pd,))
        self.pd = pd

    @property
    def rkey(self) -> int:
        """32 bits; the lowest byte changes with each bind."""
        return self.core.rkey

    @property
    def type(self) -> int:
        """An IBV_MW_TYPE_ number."""
        return self.core.mw_type

    def _release(self) -> None:
        self.core.dealloc()


def _type(number: int) -> MwType:
    try:
        return MwType(number)
    except ValueError:
        raise LocalError(f"there are memory windows of types 1 and 2, not {number}") from None


LOCAL_WRITE = 1
