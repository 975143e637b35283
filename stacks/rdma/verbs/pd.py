"""Protection domains (IBTA 10.2.3, 11.2.1.7): memory, queue pairs and address handles work together inside one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from stacks.rdma.verbs.objects import VerbsObject

if TYPE_CHECKING:
    from stacks.rdma.verbs.device import Context


class PD(VerbsObject):
    """A protection domain of a context."""

    CLOSING_RANK: ClassVar[int] = 3

    def __init__(self, creator: Context) -> None:
        super().__init__(creator.host, (creator,))
        self.context = creator
        with self._host.lock:
            self.core = creator.device.alloc_pd()
