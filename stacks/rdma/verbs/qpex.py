"""Queue pairs with a call for each kind of send, as ibv_qp_ex has them.

    wr_start -> wr_id, wr_flags, wr_rdma_write(...), wr_set_sge(...) -> ... -> wr_complete

Everything between `wr_start` and `wr_complete` is posted together.
"""

from __future__ import annotations

from collections.abc import Sequence

from stacks.rdma.enums import SendFlags, WrOpcode
from stacks.rdma.verbs.ah import AH
from stacks.rdma.verbs.device import Context
from stacks.rdma.verbs.errors import PyverbsUserError, rdma_error
from stacks.rdma.verbs.mem_alloc import read
from stacks.rdma.verbs.mw import MW, MWBindInfo
from stacks.rdma.verbs.pd import PD
from stacks.rdma.verbs.qp import QP
from stacks.rdma.verbs.qp_attributes import QPAttr, QPInitAttr
from stacks.rdma.verbs.wr import SGE, DataBuffer
from stacks.rdma.work import SendWr
from stacks.runtime import LocalError


class QPEx(QP):
    """A queue pair, as `QP`. wr_id, wr_flags: of the next send that is begun."""

    def __init__(self, creator: PD | Context, init_attr: QPInitAttr, qp_attr: QPAttr | None = None) -> None:
        super().__init__(creator, init_attr, qp_attr)
        self.wr_id = 0
        self.wr_flags: int = 0
        self._batch: list[SendWr] = []
        self._is_started = False

    ind_table = None
    """Work queues with receive hashes: never here."""

    def wr_start(self) -> None:
        """Begin a batch."""
        self._batch.clear()
        self._is_started = True

    def wr_complete(self) -> None:
        """Post the batch; PyverbsRDMAError for the first that the queue refuses, and none behind it is posted."""
        batch, self._batch = self._batch, []
        self._is_started = False
        with self._host.lock:
            try:
                for wr in batch:
                    self.core.post_send(wr)
            except LocalError as error:
                raise rdma_error("Failed to complete work requests", error) from error
            finally:
                self._host.poll()

    def wr_abort(self) -> None:
        """Forget the batch."""
        self._batch.clear()
        self._is_started = False

    # What to do

    def wr_send(self) -> None:
        """A send."""
        self._begin(WrOpcode.SEND)

    def wr_send_imm(self, imm_data: int) -> None:
        """A send with 32 bits, a number."""
        self._begin(WrOpcode.SEND_WITH_IMM).imm_data = imm_data.to_bytes(4, "big")

    def wr_send_inv(self, invalidate_rkey: int) -> None:
        """A send that makes the receiver give up a key."""
        self._begin(WrOpcode.SEND_WITH_INV).invalidate_rkey = invalidate_rkey

    def wr_rdma_write(self, rkey: int, remote_addr: int) -> None:
        """A WRITE."""
        self._begin_remote(WrOpcode.RDMA_WRITE, rkey, remote_addr)

    def wr_rdma_write_imm(self, rkey: int, remote_addr: int, data: int) -> None:
        """A WRITE with 32 bits, a number, which takes a receive."""
        self._begin_remote(WrOpcode.RDMA_WRITE_WITH_IMM, rkey, remote_addr).imm_data = data.to_bytes(4, "big")

    def wr_rdma_read(self, rkey: int, remote_addr: int) -> None:
        """A READ."""
        self._begin_remote(WrOpcode.RDMA_READ, rkey, remote_addr)

    def wr_atomic_cmp_swp(self, rkey: int, remote_addr: int, compare: int, swap: int) -> None:
        """A compare and swap of 8 bytes."""
        wr = self._begin_remote(WrOpcode.ATOMIC_CMP_AND_SWP, rkey, remote_addr)
        wr.compare_add, wr.swap = compare, swap

    def wr_atomic_fetch_add(self, rkey: int, remote_addr: int, add: int) -> None:
        """A fetch and add of 8 bytes."""
        self._begin_remote(WrOpcode.ATOMIC_FETCH_AND_ADD, rkey, remote_addr).compare_add = add

    def wr_atomic_write(self, rkey: int, remote_addr: int, atomic_wr: bytes) -> None:
        """An ATOMIC WRITE of 8 bytes (annex A19)."""
        self._set_inline(self._begin_remote(WrOpcode.ATOMIC_WRITE, rkey, remote_addr), atomic_wr[:8])

    def wr_flush(self, rkey: int, remote_addr: int, length: int, placement: int, selectivity: int) -> None:
        """A FLUSH (annex A19). placement: IBV_FLUSH_GLOBAL, _PERSISTENT. selectivity: IBV_FLUSH_RANGE or _MR."""
        wr = self._begin_remote(WrOpcode.FLUSH, rkey, remote_addr)
        wr.flush_length, wr.flush_placement, wr.flush_selectivity = length, placement, selectivity

    def wr_bind_mw(self, mw: MW, rkey: int, bind_info: MWBindInfo) -> None:
        """A bind of a window of type 2, which gets `rkey`."""
        wr = self._begin(WrOpcode.BIND_MW)
        wr.mw, wr.bind, wr.rkey = mw.core, bind_info.core, rkey

    def wr_local_inv(self, invalidate_rkey: int) -> None:
        """An invalidation of a key of this side."""
        self._begin(WrOpcode.LOCAL_INV).invalidate_rkey = invalidate_rkey

    # What with

    def wr_set_ud_addr(self, ah: AH, remote_qpn: int, remote_rkey: int) -> None:
        """Where a datagram goes: a queue pair, and its Q_Key, of the device that `ah` points to."""
        wr = self._last
        wr.ah, wr.remote_qpn, wr.remote_qkey = ah.core, remote_qpn, remote_rkey

    def wr_set_xrc_srqn(self, remote_srqn: int) -> None:
        """Which shared receive queue of the peer an XRC initiator sends to."""
        self._last.remote_srqn = remote_srqn

    def wr_set_sge(self, sge: SGE) -> None:
        """Local memory: one piece."""
        self._last.sges = [sge]

    def wr_set_sge_list(self, sge_list: Sequence[SGE]) -> None:
        """Local memory: several pieces."""
        self._last.sges = list(sge_list)

    def wr_set_inline_data(self, addr: int, length: int) -> None:
        """Data that are copied now, from memory that need not be registered."""
        self._set_inline(self._last, read(addr, length))

    def wr_set_inline_data_list(self, buf_list: Sequence[DataBuffer]) -> None:
        """Data that are copied now, from several places."""
        self._set_inline(self._last, b"".join(bytes(buffer) for buffer in buf_list))

    # Inside

    @staticmethod
    def _set_inline(wr: SendWr, data: bytes) -> None:
        wr.inline_data = data
        wr.flags |= SendFlags.INLINE

    def _begin(self, opcode: WrOpcode) -> SendWr:
        if not self._is_started:
            raise PyverbsUserError("wr_start comes first")
        wr = SendWr(self.wr_id, opcode, (), int(self.wr_flags))
        self._batch.append(wr)
        return wr

    def _begin_remote(self, opcode: WrOpcode, rkey: int, remote_addr: int) -> SendWr:
        wr = self._begin(opcode)
        wr.rkey, wr.remote_address = rkey, remote_addr
        return wr

    @property
    def _last(self) -> SendWr:
        if not self._batch:
            raise PyverbsUserError("no work request was begun")
        return self._batch[-1]
