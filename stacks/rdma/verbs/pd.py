"""Protection domains (IBTA 10.2.3, 11.2.1.7): memory, queue pairs and address handles work together inside one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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


class ParentDomainContext:
    """Allocators that a C driver would ask for its queues' memory. Ours are Python objects, and none is ever called."""

    def __init__(
        self, pd: PD, alloc_func: Callable[..., int], free_func: Callable[..., None], user_data: object = None
    ) -> None:
        self.pd = pd
        self.alloc_func = alloc_func
        self.free_func = free_func
        self.user_data = user_data


@dataclass(slots=True)
class ParentDomainInitAttr:
    """pd: the protection domain to stand on. pd_context: see ParentDomainContext. comp_mask: no meaning of its own."""

    pd: PD
    pd_context: ParentDomainContext | None = None
    comp_mask: int = 0


class ParentDomain(PD):
    """A protection domain that is another one, with allocators of the program's (ibv_alloc_parent_domain)."""

    CLOSING_RANK: ClassVar[int] = 2

    def __init__(self, context: Context, attr: ParentDomainInitAttr) -> None:
        VerbsObject.__init__(self, context.host, (context, attr.pd))
        self.context = context
        self.attr = attr
        self.core = attr.pd.core
