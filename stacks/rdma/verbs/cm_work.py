"""Work through an identifier's own queue pair: the short calls of rdma_verbs.h."""

from __future__ import annotations

import errno
from abc import abstractmethod
from typing import TYPE_CHECKING

from stacks.rdma.cm.events import CmEventType
from stacks.rdma.enums import Access, SendFlags, WrOpcode
from stacks.rdma.verbs.errors import PyverbsRDMAError
from stacks.rdma.verbs.mr import MR
from stacks.rdma.verbs.objects import VerbsObject
from stacks.rdma.verbs.wr import SGE, RecvWR, SendWR

if TYPE_CHECKING:
    from stacks.rdma.cm import RdmaEvent
    from stacks.rdma.verbs.ah import AH
    from stacks.rdma.verbs.cm_events import CMEventChannel
    from stacks.rdma.verbs.cq import WC, CQBase
    from stacks.rdma.verbs.pd import PD
    from stacks.rdma.verbs.qp import QP


class CmWork(VerbsObject):
    """The part of an identifier that registers memory, posts, and sleeps for completions and events."""

    event_channel: CMEventChannel

    @property
    @abstractmethod
    def pd(self) -> PD:
        """The domain of its queue pair and regions."""

    @property
    @abstractmethod
    def _own_qp(self) -> QP: ...

    def reg_msgs(self, size: int) -> MR:
        """Fresh memory for messages."""
        return MR(self.pd, size, Access.LOCAL_WRITE)

    def reg_read(self, size: int) -> MR:
        """Fresh memory that the peer may read."""
        return MR(self.pd, size, Access.LOCAL_WRITE | Access.REMOTE_READ)

    def reg_write(self, size: int) -> MR:
        """Fresh memory that the peer may write."""
        return MR(self.pd, size, Access.LOCAL_WRITE | Access.REMOTE_WRITE)

    def post_recv(self, mr: MR) -> None:
        """Post a whole region."""
        self._own_qp.post_recv(RecvWR(sg=[_piece(mr, mr.length)]))

    def post_send(self, mr: MR, flags: int = SendFlags.SIGNALED) -> None:
        """Send a whole region."""
        self._own_qp.post_send(SendWR(sg=[_piece(mr, mr.length)], send_flags=flags))

    def post_read(self, mr: MR, length: int, remote_addr: int, rkey: int, flags: int = 0) -> None:
        """Read `length` bytes of the peer's memory to the start of a region."""
        self._post_remote(WrOpcode.RDMA_READ, mr, length, remote_addr, rkey, flags)

    def post_write(self, mr: MR, length: int, remote_addr: int, rkey: int, flags: int = 0) -> None:
        """Write `length` bytes from the start of a region to the peer's memory."""
        self._post_remote(WrOpcode.RDMA_WRITE, mr, length, remote_addr, rkey, flags)

    def post_ud_send(
        self, mr: MR, ah: AH, rqpn: int = 0, flags: int = SendFlags.SIGNALED, length: int | None = None
    ) -> None:
        """Send a datagram of `length` bytes from the start of a region."""
        wr = SendWR(sg=[_piece(mr, mr.length if length is None else length)], send_flags=flags)
        wr.set_wr_ud(ah, rqpn, UDP_QKEY)
        self._own_qp.post_send(wr)

    def get_send_comp(self) -> WC:
        """Sleep until a send completed."""
        return self._completion(self._own_qp.send_cq)

    def get_recv_comp(self) -> WC:
        """Sleep until a receive completed."""
        return self._completion(self._own_qp.recv_cq)

    # Inside

    def _post_remote(self, opcode: WrOpcode, mr: MR, length: int, remote_addr: int, rkey: int, flags: int) -> None:
        wr = SendWR(opcode=opcode, sg=[_piece(mr, length)], send_flags=flags)
        wr.set_wr_rdma(rkey, remote_addr)
        self._own_qp.post_send(wr)

    def _completion(self, cq: CQBase) -> WC:
        self._host.wait_until(lambda: len(cq.core) > 0)
        return cq.take(1)[0]

    def _await(self, wanted: CmEventType, what: str) -> RdmaEvent:
        event = self.event_channel.next_event()
        if event.kind is not wanted:
            self.event_channel.core.ack(event)
            code = _ERRNO.get(event.kind, -event.status if event.status < 0 else errno.EPROTO)
            raise PyverbsRDMAError(f"{what}: {event.kind.name.lower().replace('_', ' ')}", code)
        return event


def _piece(mr: MR, length: int) -> SGE:
    return SGE(mr.buf, length, mr.lkey)


UDP_QKEY = 0x01234567
"""RDMA_UDP_QKEY: that of every UD queue pair which the connection manager made."""
_ERRNO = {
    CmEventType.REJECTED: errno.ECONNREFUSED,
    CmEventType.UNREACHABLE: errno.ETIMEDOUT,
    CmEventType.DISCONNECTED: errno.ECONNRESET,
}
