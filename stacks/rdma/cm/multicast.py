"""The multicast groups of an identifier.

On RoCE no subnet administrator is asked: a join is local, for the network learns of it by IGMP or MLD, which is whose
business the address is: the operating system's, or the simulated network's (Linux cma_iboe_join_multicast). The GID of
a group is its IP address, as of RoCEv2 (`wire.ibcm.gid_bytes`).

DEVIATION: IPv6 groups are joined as well; Linux refuses them on RoCEv2.
"""

from __future__ import annotations

import ipaddress
from errno import EADDRINUSE, EADDRNOTAVAIL, EOPNOTSUPP
from typing import TYPE_CHECKING

from stacks.rdma.attributes import AddressVector
from stacks.rdma.cm.channel import UdParam
from stacks.rdma.cm.events import CmEventType
from stacks.rdma.cm.queue_pair import RDMA_UDP_QKEY, MulticastQp
from stacks.rdma.enums import QpType
from stacks.runtime import LocalError

if TYPE_CHECKING:
    from stacks.rdma.cm.identifier import RdmaId


class MulticastGroups:
    """Which groups an identifier is in."""

    def __init__(self, owner: RdmaId) -> None:
        self._id = owner
        self._groups: set[str] = set()

    def join(self, group: str, context: object) -> None:
        """See `RdmaId.join_multicast`; group in its one text form."""
        if self._id.qp_type is not QpType.UD:
            raise LocalError(f"only UD queue pairs are in multicast groups, not {self._id.qp_type.name}")
        if not ipaddress.ip_address(group).is_multicast:
            raise LocalError(f"{group} is not a multicast address: 224.0.0.0 to 239.255.255.255, or ff00::/8")
        if group in self._groups:
            raise LocalError(f"the identifier is in group {group} already", errno=EADDRINUSE)
        status = self._attach(group)
        if status:
            self._id.tell(CmEventType.MULTICAST_ERROR, status=-status, context=context)
            return
        self._groups.add(group)
        vector = AddressVector(destination=group, traffic_class=self._id.options.tos, hop_limit=_HOP_LIMIT)
        ud = UdParam(av=vector, qp_num=MULTICAST_QPN, qkey=RDMA_UDP_QKEY)
        self._id.tell(CmEventType.MULTICAST_JOIN, ud=ud, context=context)

    def leave(self, group: str) -> None:
        """See `RdmaId.leave_multicast`."""
        if group not in self._groups:
            raise LocalError(f"the identifier is not in group {group}", errno=EADDRNOTAVAIL)
        self._groups.discard(group)
        if isinstance(self._id.qp, MulticastQp):
            self._id.qp.detach_mcast(group)

    def leave_all(self) -> None:
        """The identifier goes."""
        for group in sorted(self._groups):
            self.leave(group)

    def _attach(self, group: str) -> int:
        """Have the queue pair receive; an errno, 0 when it does. One that the owner moves is his to attach."""
        if self._id.qp is None:
            return 0
        if not isinstance(self._id.qp, MulticastQp):
            return EOPNOTSUPP
        try:
            self._id.qp.attach_mcast(group)
        except LocalError as error:
            return error.errno
        return 0


MULTICAST_QPN = 0xFFFFFF
"""Destination of a datagram to a group (IBTA 9.2.3)."""
_HOP_LIMIT = 64
