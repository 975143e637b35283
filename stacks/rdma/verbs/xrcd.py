"""XRC domains (IBTA annex A14): XRC target queue pairs and the shared receive queues that they deliver to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from stacks.rdma.verbs.errors import failing_with
from stacks.rdma.verbs.objects import VerbsObject

if TYPE_CHECKING:
    from stacks.rdma.verbs.device import Context


@dataclass(slots=True)
class XRCDInitAttr:
    """comp_mask: IBV_XRCD_INIT_ATTR_ bits. fd: processes that open the same file would share the domain; not here.

    DEVIATION: a device belongs to one process, so a domain has nobody to be shared with.
    """

    comp_mask: int = 0
    oflags: int = 0
    fd: int = -1


class XRCD(VerbsObject):
    """An XRC domain of a context."""

    CLOSING_RANK: ClassVar[int] = 0
    """Before the CQs: its target queue pairs complete to those of the shared receive queues."""

    def __init__(self, context: Context, init_attr: XRCDInitAttr | None = None) -> None:
        with context.host.lock, failing_with("Failed to allocate XRC Domain"):
            self.core = context.device.open_xrcd()
        super().__init__(context.host, (context,))
        self.context = context
        self.init_attr = init_attr or XRCDInitAttr()

    def _release(self) -> None:
        self.core.close()
