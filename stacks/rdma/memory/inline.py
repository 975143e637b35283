"""Inline data: what a request sends is copied when it is posted, so its memory is free at once (ibv_post_send).

No L_Key is looked at, so the memory need not be registered for the queue pair's domain, nor for any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.dma.contract import Direction, Fault
from stacks.rdma.enums import WrOpcode
from stacks.rdma.opcodes import REQUESTS
from stacks.rdma.work import InlineSge, SendWr
from stacks.runtime import LocalError

if TYPE_CHECKING:
    from stacks.rdma.qp import Qp


def inline_sges(qp: Qp, wr: SendWr) -> tuple[InlineSge, ...]:
    """The data of a request with SendFlags.INLINE, copied: its `inline_data`, or what its SGEs name in the `Dma`.

    Raises LocalError for a request that sends no data, for more than the queue pair's max_inline_data, and for memory
    that is not there.
    """
    if wr.opcode not in REQUESTS and wr.opcode is not WrOpcode.ATOMIC_WRITE:
        raise LocalError(f"{wr.opcode.name} sends no data that could be inline")
    data = wr.inline_data
    if data is None:
        length = sum(sge.length for sge in wr.sges)
        # An ATOMIC WRITE carries its 8 bytes in the request, as libibverbs has it.
        _check_length(qp, wr, length)
        data = b"".join(_copy(qp, sge.address, sge.length) for sge in wr.sges)
    elif wr.sges:
        raise LocalError("a request has inline_data or SGEs, not both")
    else:
        _check_length(qp, wr, len(data))
    return (InlineSge(bytes(data)),)


def _check_length(qp: Qp, wr: SendWr, length: int) -> None:
    limit = qp.capacity.max_inline_data
    if length > limit and wr.opcode is not WrOpcode.ATOMIC_WRITE:
        raise LocalError(f"{length} bytes inline, but max_inline_data of QP {qp.number} is {limit}")


def _copy(qp: Qp, address: int, length: int) -> bytes:
    mapping = qp.memory.dma.map(address, length, Direction.READ_MEMORY)
    if isinstance(mapping, Fault):
        raise LocalError(f"the memory of {length} bytes at {address:#x} is not there to be copied")
    return b"".join(mapping.views)
