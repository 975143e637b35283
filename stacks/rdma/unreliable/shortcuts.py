"""Whole-burst shortcuts of UC: the same functions as the reliable transports', where nothing is being dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.rdma.connected import ConnectedQp
from stacks.rdma.enums import QpState
from stacks.rdma.opcodes import SEND_MIDDLE, SEND_ONLY, UNRELIABLE, WRITE_MIDDLE, WRITE_ONLY
from stacks.rdma.reliable.shortcuts import PLAIN, PLAIN_MASK, middles, one_by_one, send_onlies, write_onlies
from stacks.rdma.runs import Run

if TYPE_CHECKING:
    from stacks.rdma.unreliable.queue_pair import UnreliableQp


def handle_run(qp: UnreliableQp, run: Run, now: int) -> int:
    """Take packets from the front of a run; returns how many. The rest is for the complete check."""
    taken = 0
    is_plain = run.payload_bytes >= 0 and run.word0 & PLAIN_MASK == PLAIN
    if is_plain and qp.state is QpState.RTS and not qp.responder.is_dropping:
        shortcut = _SHORTCUTS.get(run.word0 >> 24)
        if shortcut is not None:
            taken = shortcut(qp, run, now)
    return one_by_one(qp, run, taken, now)


_SHORTCUTS: dict[int, Callable[[ConnectedQp, Run, int], int]] = {
    UNRELIABLE << 5 | SEND_ONLY: send_onlies,
    UNRELIABLE << 5 | WRITE_ONLY: write_onlies,
    UNRELIABLE << 5 | SEND_MIDDLE: middles,
    UNRELIABLE << 5 | WRITE_MIDDLE: middles,
}
