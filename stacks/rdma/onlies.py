"""Runs of equal messages of one packet each, taken from a send queue together.

A shortcut in front of `Requester`'s way entry by entry: it takes only what needs no decision, and leaves the first
entry that does (several pieces of memory, a fence, a wrong key) to the long way.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from stacks.rdma.enums import SendFlags, WcStatus
from stacks.rdma.work import NO_KEY, SendWqe

if TYPE_CHECKING:
    from stacks.rdma.memory.region import Region
    from stacks.rdma.qp import Qp


class OnlyRun(NamedTuple):
    """What goes into the packets: the extended headers and the payload of each, in order."""

    extensions: list[bytes]
    payloads: list[memoryview]


def collect_onlies(qp: Qp, wqes: Iterable[SendWqe], limit: int) -> OnlyRun:
    """The entries from the front of `wqes` that are like the first, `limit` at most; perhaps none."""
    run = OnlyRun([], [])
    extensions, payloads = run
    first: SendWqe | None = None
    region: Region | None = None
    key, length = NO_KEY, 0
    # What `plain_payload` asks, without the call, and without looking a key up again that was the last one's too.
    for wqe in islice(wqes, limit):
        if first is None:
            first, length = wqe, wqe.length
        elif wqe.opcode is not first.opcode or wqe.length != length:
            break
        if wqe.first_psn != wqe.last_psn or wqe.flags & _SPECIAL or len(wqe.sges) != 1 or wqe.status is not _SUCCESS:
            break
        sge = wqe.sges[0]
        if sge.lkey != key or region is None:
            key = sge.lkey
            region = qp.memory.regions.get(key)
        if region is None or region.direct is None or region.pd is not qp.pd:
            break
        offset = sge.address - region.address
        if offset < 0 or offset + length > region.length:
            break
        wqe.views = view = (region.direct[offset : offset + length],)
        extensions.append(wqe.header + wqe.trailer)
        payloads.append(view[0])
    return run


def plain_payload(qp: Qp, wqe: SendWqe) -> memoryview | None:
    """The memory of a message of one packet, in one view; None where anything about it is not plain."""
    if wqe.first_psn != wqe.last_psn or wqe.flags & _SPECIAL or len(wqe.sges) != 1 or wqe.status is not _SUCCESS:
        return None
    sge = wqe.sges[0]
    region = qp.memory.regions.get(sge.lkey)
    if region is None or region.direct is None or region.pd is not qp.pd:
        return None
    offset = sge.address - region.address
    length = wqe.length
    if offset < 0 or offset + length > region.length:
        return None
    wqe.views = view = (region.direct[offset : offset + length],)
    return view[0]


_SPECIAL = SendFlags.FENCE | SendFlags.SOLICITED
_SUCCESS = WcStatus.SUCCESS
