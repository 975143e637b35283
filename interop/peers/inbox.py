"""Receives of equal size in one region, taken in turn."""

from __future__ import annotations

from interop.peers.link import Link
from stacks.rdma import Qp, RecvWr, Wc
from stacks.rdma.srq import Srq
from stacks.rdma.sync import Endpoint


class Inbox:
    """Memory for `slots` messages of at most `size` bytes; a receive's wr_id is its slot."""

    def __init__(self, endpoint: Endpoint, *, slots: int, size: int) -> None:
        self._size = size
        self._slots = slots
        self._memory = bytearray(max(1, slots * size))
        self._mr = endpoint.pd.reg_mr(self._memory)

    def prepare(self, queue: Qp | Srq) -> None:
        """Post every receive."""
        for slot in range(self._slots):
            self.post(queue, slot)

    def post(self, queue: Qp | Srq, slot: int) -> None:
        """Post a receive again, once its data was looked at."""
        queue.post_recv(RecvWr(slot, [self._mr.sge(slot * self._size, self._size)]))

    def data(self, wc: Wc) -> bytes:
        """What a receive brought."""
        start = wc.wr_id * self._size
        return bytes(self._memory[start : start + wc.byte_len])

    def take(self, link: Link) -> bytes:
        """Wait for the next message, return its data, and post the receive again."""
        wc = link.receive()
        data = self.data(wc)
        self.post(link.qp, wc.wr_id)
        return data
