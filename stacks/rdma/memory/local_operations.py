"""Work requests that send nothing: they change this side's keys, in their turn (IBTA 10.6.5 to 10.6.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.rdma.enums import WcStatus, WrOpcode
from stacks.rdma.work import LocalWork

if TYPE_CHECKING:
    from stacks.rdma.qp import Qp


def execute(qp: Qp, opcode: WrOpcode, work: LocalWork) -> WcStatus:
    """Do what a request of `qp` asks; returns what it completes with.

    A refusal changes nothing: LOC_QP_OP_ERR, or MW_BIND_ERR for BIND_MW, as in Linux rxe (rxe_do_local_ops). The
    standard calls the first a memory management operation error (11.6.2).
    """
    if opcode is WrOpcode.BIND_MW:
        assert work.mw is not None
        assert work.bind is not None
        return WcStatus.SUCCESS if work.mw.bind(work.bind, work.rkey, qp) else WcStatus.MW_BIND_ERR
    if opcode is WrOpcode.REG_MR:
        assert work.mr is not None
        is_done = work.mr.register(work.rkey, work.access, qp)
    else:
        is_done = qp.memory.invalidate(work.invalidate_rkey, qp)
    return WcStatus.SUCCESS if is_done else WcStatus.LOC_QP_OP_ERR
