"""Work requests (IBTA 10.7, 11.4): what a program posts, under the fields of ibv_send_wr and ibv_recv_wr.

The core has classes of its own for these; here each request wraps one, so that posting converts nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING

from stacks.rdma.enums import SendFlags, WrOpcode
from stacks.rdma.verbs.errors import unsupported
from stacks.rdma.verbs.mem_alloc import read
from stacks.rdma.work import RecvWr, SendWr, Sge

if TYPE_CHECKING:
    from stacks.rdma.verbs.ah import AH
    from stacks.rdma.verbs.mw import MW, MWBindInfo


class SGE(Sge):
    """A piece of registered memory: its address, length in bytes, and the L_Key of its region."""

    __slots__ = ()

    def __init__(self, addr: int, length: int, lkey: int) -> None:
        super().__init__(addr, length, lkey)

    @property
    def addr(self) -> int:
        """Where it starts."""
        return self.address

    @addr.setter
    def addr(self, val: int) -> None:
        self.address = val

    def read(self, length: int, offset: int) -> bytes:
        """Copy `length` bytes from `offset` on; the memory must be of this process."""
        return read(self.address + offset, length)

    def close(self) -> None:
        """Nothing: an SGE holds nothing."""


class RecvWR:
    """A receive. wr_id: comes back in the completion. sg: where a message goes. next_wr: posted with this one."""

    def __init__(
        self, wr_id: int = 0, num_sge: int = 0, sg: Sequence[SGE] | None = None, next_wr: RecvWR | None = None
    ) -> None:
        sges = list(sg or ())
        self.wr_id = wr_id
        self.sg_list = sges[:num_sge] if num_sge else sges
        self.next_wr = next_wr

    @property
    def num_sge(self) -> int:
        """How many pieces `sg` has."""
        return len(self.sg_list)

    @property
    def core(self) -> RecvWr:
        """The request as the core takes it, which keeps it until its completion."""
        return RecvWr(self.wr_id, self.sg_list)

    def close(self) -> None:
        """Nothing: a request holds nothing."""


class SendWR:
    """A send, WRITE, READ, atomic, bind or invalidation, according to `opcode` (an IBV_WR_ number).

    wr_id: comes back in the completion. sg: local memory. send_flags: IBV_SEND_ bits. imm_data: the 32 bits of
    immediate data as they lie in memory (so htonl of the number), or the R_Key to invalidate.
    next_wr: posted with this one.
    """

    def __init__(
        self,
        wr_id: int = 0,
        opcode: int = WrOpcode.SEND,
        num_sge: int = 0,
        imm_data: int = 0,
        sg: Sequence[SGE] | None = None,
        send_flags: int = SendFlags.SIGNALED,
        next_wr: SendWR | None = None,
    ) -> None:
        sges = list(sg or ())
        self.core = SendWr(wr_id, WrOpcode.SEND, sges[:num_sge] if num_sge else sges, int(send_flags))
        self.opcode = int(opcode)
        self.imm_data = imm_data
        self.next_wr = next_wr
        # An address handle or window that only this request names must outlive it.
        self._kept: AH | MW | None = None

    @property
    def wr_id(self) -> int:
        """What the completion will carry."""
        return self.core.wr_id

    @wr_id.setter
    def wr_id(self, val: int) -> None:
        self.core.wr_id = val

    @property
    def sg_list(self) -> Sequence[Sge]:
        """The pieces of local memory."""
        return self.core.sges

    @property
    def num_sge(self) -> int:
        """How many pieces of local memory it has."""
        return len(self.core.sges)

    @property
    def send_flags(self) -> int:
        """IBV_SEND_ bits."""
        return self.core.flags

    @send_flags.setter
    def send_flags(self, val: int) -> None:
        self.core.flags = int(val)

    @property
    def imm_data(self) -> int:
        """Immediate data as they lie in memory, or the R_Key to invalidate: one field, as in C."""
        return self.core.invalidate_rkey

    @imm_data.setter
    def imm_data(self, val: int) -> None:
        self.core.invalidate_rkey = val
        self.core.imm_data = val.to_bytes(4, sys.byteorder)

    @property
    def rkey(self) -> int:
        """The remote key; after `set_bind_wr`, the one that the window gets."""
        return self.core.rkey

    def set_wr_rdma(self, rkey: int, addr: int) -> None:
        """Name the peer's memory, for WRITE and READ."""
        self.core.rkey, self.core.remote_address = rkey, addr

    def set_wr_atomic(self, rkey: int, addr: int, compare_add: int, swap: int) -> None:
        """Name the peer's 8 bytes and the operands of an atomic."""
        self.set_wr_rdma(rkey, addr)
        self.core.compare_add, self.core.swap = compare_add, swap

    def set_wr_ud(self, ah: AH, rqpn: int, rqkey: int) -> None:
        """Say where a datagram goes: queue pair `rqpn` with Q_Key `rqkey` of the device that `ah` points to."""
        self._kept = ah
        self.core.ah, self.core.remote_qpn, self.core.remote_qkey = ah.core, rqpn, rqkey

    def set_qp_type_xrc(self, remote_srqn: int) -> None:
        """Name the shared receive queue of the peer, for an XRC initiator."""
        self.core.remote_srqn = remote_srqn

    def set_bind_wr(self, mw: MW, bind_info: MWBindInfo) -> None:
        """Bind a window of type 2; `rkey` is then the key that it gets."""
        self._kept = mw
        self.core.mw, self.core.bind, self.core.rkey = mw.core, bind_info.core, inc_rkey(mw.rkey)

    def prepared(self) -> SendWr:
        """The request as the core takes it; PyverbsRDMAError (EOPNOTSUPP) for an opcode that it does not have."""
        opcode = OPCODES.get(self.opcode)
        if opcode is None:
            raise unsupported(f"Failed to post send: there is no work request with opcode {self.opcode}")
        self.core.opcode = opcode
        return _inlined(self.core) if self.core.flags & SendFlags.INLINE else self.core

    def close(self) -> None:
        """Nothing: a request holds nothing."""


def _inlined(wr: SendWr) -> SendWr:
    # Inline data are copied when they are posted, from memory that need not be registered: by address alone.
    inlined = copy(wr)
    inlined.inline_data = b"".join(read(sge.address, sge.length) for sge in wr.sges)
    inlined.sges = ()
    return inlined


class DataBuffer:
    """Memory that need not be registered, for inline sends: `length` bytes at an address."""

    def __init__(self, addr: int, length: int) -> None:
        self.addr = addr
        self.length = length

    def __bytes__(self) -> bytes:
        return read(self.addr, self.length)


def inc_rkey(rkey: int) -> int:
    """The next key of a window: only its lowest byte counts up (verbs.h, ibv_inc_rkey)."""
    return rkey & 0xFFFFFF00 | rkey + 1 & 0xFF


OPCODES = {int(opcode): opcode for opcode in WrOpcode}
"""By number: members of an enum are slow to look up."""
