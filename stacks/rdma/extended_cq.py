"""Completion queues that say more, or less, in each entry, as their creator chose (libibverbs ibv_create_cq_ex).

What was not chosen reads 0. A time stamp is the `now` of the call to the core in which the work completed: nothing in a
core knows the time in between. Queues that were not asked for any of this are plain `Cq`, and pay nothing.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from stacks.rdma.completion import CompChannel, Cq, CqOwner, ExtendedWc, Wc
from stacks.runtime import LocalError


class CqFlags:
    """What the entries of an extended queue carry besides wr_id, status and opcode; the verbs numbers."""

    BYTE_LEN = 1
    IMM = 2
    QP_NUM = 4
    SRC_QP = 8
    SLID = 16
    SL = 32
    DLID_PATH_BITS = 64
    TIMESTAMP = 128
    CVLAN = 256
    FLOW_TAG = 512
    TM_INFO = 1024
    TIMESTAMP_WALLCLOCK = 2048
    STANDARD = BYTE_LEN | IMM | QP_NUM | SRC_QP | SLID | SL | DLID_PATH_BITS
    """What every plain queue has."""
    SUPPORTED = STANDARD | TIMESTAMP


class ExtendedCq(Cq):
    """A completion queue whose entries are `ExtendedWc` with the fields of `flags`.

    clock: the `now` of the current call to the core, in ns.
    """

    def __init__(
        self,
        depth: int,
        flags: int,
        *,
        clock: Callable[[], int],
        channel: CompChannel | None = None,
        owner: CqOwner | None = None,
    ) -> None:
        if unknown := flags & ~CqFlags.SUPPORTED:
            raise LocalError(f"completions of this device carry nothing for flags {unknown:#x}", errno=errno.EOPNOTSUPP)
        super().__init__(depth, channel=channel, owner=owner)
        self._flags = flags
        self._clock = clock

    def push(self, wc: Wc) -> None:
        """Add a completion; only the device does."""
        flags = self._flags
        super().push(
            ExtendedWc(
                wc.wr_id,
                wc.status,
                wc.opcode,
                wc.byte_len if flags & CqFlags.BYTE_LEN else 0,
                wc.qp_num if flags & CqFlags.QP_NUM else 0,
                wc.flags,
                wc.imm_data if flags & CqFlags.IMM else b"",
                wc.invalidated_rkey,
                wc.is_solicited,
                src_qp=wc.src_qp if flags & CqFlags.SRC_QP else 0,
                pkey_index=wc.pkey_index,
                sl=wc.sl if flags & CqFlags.SL else 0,
                timestamp_ns=self._clock() if flags & CqFlags.TIMESTAMP else 0,
            )
        )
