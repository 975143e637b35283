"""Address handles (IBTA 11.2.2): where a datagram goes."""

from __future__ import annotations

import errno

from stacks.rdma.verbs.addr import GRH, AHAttr, GlobalRoute
from stacks.rdma.verbs.cq import WC
from stacks.rdma.verbs.errors import PyverbsRDMAError, failing_with
from stacks.rdma.verbs.mem_alloc import read
from stacks.rdma.verbs.objects import VerbsObject
from stacks.rdma.verbs.pd import PD


class AH(VerbsObject):
    """An address handle: from attributes, or back to whoever sent the datagram of a completion.

    attr: where to. wc, grh, port_num: a receive completion and the header in its buffer, a GRH or the buffer's address.
    """

    def __init__(
        self,
        pd: PD,
        *,
        attr: AHAttr | None = None,
        wc: WC | None = None,
        grh: GRH | int | None = None,
        port_num: int = 1,
    ) -> None:
        if attr is None and grh is not None and wc is not None:
            attr = _way_back(GRH.parse(read(grh, 40)) if isinstance(grh, int) else grh)
        if attr is None or not attr.is_global or port_num != 1 or attr.gr.dgid.is_zero:
            # RoCE has no other addresses (IBTA annex A17.4.5.3).
            raise PyverbsRDMAError("Failed to create AH: it needs a global route out of port 1", errno.EINVAL)
        with pd.context.host.lock, failing_with("Failed to create AH"):
            self.core = pd.core.create_ah(attr.address_vector)
        super().__init__(pd.context.host, (pd,))
        self.pd = pd
        self.attr = attr

    def _release(self) -> None:
        self.core.destroy()


def _way_back(grh: GRH) -> AHAttr:
    return AHAttr(is_global=1, gr=GlobalRoute(dgid=grh.sgid, traffic_class=grh.traffic_class))
