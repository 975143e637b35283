"""Runs of equal messages of one packet each, taken from a send queue together.

A shortcut in front of `Requester`'s way entry by entry: it takes only what needs no decision, and leaves the first
entry that does (several pieces of memory, a fence, a wrong key) to the long way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from stacks.rdma.enums import SendFlags, WcStatus
from stacks.rdma.work import SendWqe

if TYPE_CHECKING:
    from stacks.rdma.qp import Qp


class OnlyRun(NamedTuple):
    """What goes into the packets: the extended headers and the payload of each, in order."""

    extensions: list[bytes]
    payloads: list[memoryview]


def collect_onlies(qp: Qp, wqes: Iterable[SendWqe], limit: int) -> OnlyRun | None:
    """The entries from the front of `wqes` that are like the first, `limit` at most; None when there is none."""
    run = OnlyRun([], [])
    regions, pd = qp.memory.regions, qp.pd
    opcode: object = None
    length = 0
    for wqe in wqes:
        if not run.payloads:
            opcode, length = wqe.opcode, wqe.length
        if (
            len(run.payloads) >= limit
            or wqe.opcode is not opcode
            or wqe.length != length
            or wqe.first_psn != wqe.last_psn
            or wqe.flags & _SPECIAL
            or wqe.status is not WcStatus.SUCCESS
        ):
            break
        views = wqe.views
        if views is None:
            if len(wqe.sges) != 1:
                break
            sge = wqe.sges[0]
            region = regions.get(sge.lkey)
            if region is None or region.direct is None or region.pd is not pd:
                break
            offset = sge.address - region.address
            if offset < 0 or offset + length > region.length:
                break
            wqe.views = views = (region.direct[offset : offset + length],)
        elif len(views) != 1:
            break
        run.extensions.append(wqe.header + wqe.trailer)
        run.payloads.append(views[0])
    return run if run.payloads else None


_SPECIAL = SendFlags.FENCE | SendFlags.SOLICITED
