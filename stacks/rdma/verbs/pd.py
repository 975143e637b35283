"""Protection domains (IBTA 10.2.3, 11.2.1.7): memory, queue pairs and address handles work together inside one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from stacks.rdma.memory import MrAdvice, Pd
from stacks.rdma.verbs.errors import failing_with
from stacks.rdma.verbs.objects import VerbsObject

if TYPE_CHECKING:
    from stacks.rdma.verbs.device import Context
    from stacks.rdma.verbs.wr import SGE


class PD(VerbsObject):
    """A protection domain of a context. handle: of another context's domain, to import instead."""

    CLOSING_RANK: ClassVar[int] = 3

    def __init__(self, creator: Context, *, handle: int | None = None) -> None:
        super().__init__(creator.host, (creator,))
        self.context = creator
        self.core: Pd
        self.handle: int
        if handle is not None:
            self.core, self.handle = creator.handles.find(handle, PD).core, handle
            return
        with self._host.lock:
            self.core = creator.device.alloc_pd()
        self.handle = creator.handles.add(self)

    def advise_mr(self, advice: int, flags: int, sg_list: Sequence[SGE]) -> None:  # noqa: ARG002  # never in the background
        """Ask for the pages of on-demand regions before they are needed; advice: an _IBV_ADVISE_MR_ADVICE_ number."""
        with self._host.lock, failing_with("Failed to advise MR"):
            self.core.advise(MrAdvice(advice), sg_list)

    def unimport(self) -> None:
        """Give up what was imported; its owner keeps it."""


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
        self.handle = attr.pd.handle
