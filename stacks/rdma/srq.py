"""Shared receive queues, and the domains that XRC ones belong to (IBTA 10.2.9, 11.2.3, annex A14).

    post_recv -> entries -> the responder of whichever attached queue pair receives next -> its receive CQ

A limit is armed once by `modify`: when a receive is taken and fewer than that stay behind, SRQ_LIMIT_REACHED is raised
and the limit is 0 again. An XRC queue (with a domain and a CQ) is not attached to queue pairs but named in packets;
its receives complete to its own CQ.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stacks.rdma.enums import AsyncEventType
from stacks.rdma.work import RecvWr
from stacks.runtime import LocalError

if TYPE_CHECKING:
    from stacks.rdma.completion import Cq
    from stacks.rdma.device import Device
    from stacks.rdma.memory import Pd
    from stacks.rdma.qp import Qp


@dataclass(frozen=True, slots=True, kw_only=True)
class SrqAttributes:
    """What `Srq.query` tells: receives that fit, SGEs in each, and the limit that is armed (0 for none)."""

    max_wr: int
    max_sge: int
    limit: int


class Srq:
    """A shared receive queue; made by `Pd.create_srq`.

    number: 24 bits, unique in the device; XRC packets carry it. pd: protection domain of its memory. xrcd, cq: of an
    XRC queue, else None. entries: receives that are posted and not yet taken. is_failed: see `fail`.
    """

    def __init__(
        self,
        device: Device,
        pd: Pd,
        number: int,
        *,
        max_wr: int,
        max_sge: int,
        limit: int = 0,
        xrcd: Xrcd | None = None,
        cq: Cq | None = None,
    ) -> None:
        if (xrcd is None) != (cq is None):
            raise LocalError("an XRC shared receive queue takes a domain and a CQ, any other takes neither")
        _check_sizes(max_wr, limit)
        device.check_srq(max_wr, max_sge)
        self._device = device
        self.pd = pd
        self.number = number
        self.xrcd = xrcd
        self.cq = cq
        self.is_failed = False
        self._max_wr = max_wr
        self._max_sge = max_sge
        self._qps: set[Qp] = set()
        self._on_post: Callable[[], None] | None = None
        self._entries = _LimitedReceives(limit, self._limit_reached)
        self.entries: deque[RecvWr] = self._entries
        if xrcd is not None:
            xrcd.srqs.add(self)

    def post_recv(self, wr: RecvWr) -> None:
        """Queue a receive; LocalError when the queue is full (ENOMEM), failed, or the list too long."""
        if len(wr.sges) > self._max_sge:
            raise LocalError(f"a receive with {len(wr.sges)} SGEs, but max_sge is {self._max_sge}")
        self.post(wr)

    def modify(self, *, max_wr: int | None = None, limit: int | None = None) -> None:
        """Change the size, or arm the limit; what is not given stays.

        max_wr: receives that fit from now on; LocalError when more are posted, or fewer than the limit would fit.
        limit: SRQ_LIMIT_REACHED is raised once, when fewer than this are left; 0 disarms. Source: IBTA 11.2.3.3.
        """
        new_size = self._max_wr if max_wr is None else max_wr
        new_limit = self._entries.limit if limit is None else limit
        _check_sizes(new_size, new_limit)
        self._device.check_srq(new_size, self._max_sge)
        if new_size < len(self.entries):
            raise LocalError(f"{len(self.entries)} receives are posted: they do not fit into {new_size}")
        self._max_wr, self._entries.limit = new_size, new_limit

    def query(self) -> SrqAttributes:
        """Its sizes and the limit that is armed; a limit that was reached reads 0 (IBTA 11.2.3.2)."""
        return SrqAttributes(max_wr=self._max_wr, max_sge=self._max_sge, limit=self._entries.limit)

    def destroy(self) -> None:
        """Remove the queue with what is posted to it; LocalError (EBUSY) while queue pairs use it (IBTA 11.2.3.4)."""
        if self._qps:
            raise LocalError(
                f"{len(self._qps)} queue pairs use SRQ {self.number}: destroy them first", errno=errno.EBUSY
            )
        self._entries.clear()
        if self.xrcd is not None:
            self.xrcd.srqs.discard(self)
        self._device.remove_srq(self)

    def fail(self) -> None:
        """Break the queue as a device would: SRQ_ERR, the queue pairs on it go to ERR, nothing may be posted.

        Nothing in a software device breaks one by itself; this is for tests of programs. Source: IBTA 10.2.9.4, 11.6.3.
        """
        if self.is_failed:
            return
        self.is_failed = True
        self._device.raise_event(AsyncEventType.SRQ_ERR, srq=self)
        for qp in sorted(self._qps, key=lambda qp: qp.number):
            qp.enter_error()

    # What queue pairs call

    def post(self, wr: RecvWr) -> None:
        """As `post_recv`, without a look at the list."""
        if self._on_post is not None:
            self._on_post()
        if self.is_failed:
            raise LocalError(f"SRQ {self.number} has failed: destroy it and make a new one", errno=errno.EIO)
        if len(self.entries) >= self._max_wr:
            raise LocalError(f"SRQ {self.number} is full (max_wr is {self._max_wr})", errno=errno.ENOMEM)
        self.entries.append(wr)

    def watch(self, on_post: Callable[[], None] | None) -> None:
        """Call `on_post` before every post from now on, which may raise LocalError; None ends that."""
        self._on_post = on_post

    def withdraw(self) -> list[RecvWr]:
        """Nothing: receives stay for the other queue pairs."""
        return []

    def attach(self, qp: Qp) -> None:
        """Have `qp` take its receives from here; LocalError for an XRC queue, another domain, or a failed queue."""
        if self.xrcd is not None:
            raise LocalError(f"SRQ {self.number} is for XRC: packets name it, queue pairs are not attached")
        if qp.pd is not self.pd:
            # DEVIATION: the standard lets them differ and checks a receive's keys in the queue's domain.
            raise LocalError(f"SRQ {self.number} and the queue pair are of different protection domains")
        if self.is_failed:
            raise LocalError(f"SRQ {self.number} has failed: destroy it and make a new one", errno=errno.EIO)
        self._qps.add(qp)

    def detach(self, qp: Qp) -> None:
        """`qp` was destroyed."""
        self._qps.discard(qp)

    def _limit_reached(self) -> None:
        self._device.raise_event(AsyncEventType.SRQ_LIMIT_REACHED, srq=self)


class Xrcd:
    """An XRC domain: XRC target queue pairs and the shared receive queues that they deliver to (annex A14).

    srqs, qps: who is in it.
    """

    def __init__(self) -> None:
        self.srqs: set[Srq] = set()
        self.qps: set[Qp] = set()
        self.is_closed = False

    def close(self) -> None:
        """Give the domain up; LocalError (EBUSY) while anything is in it. Idempotent."""
        if self.srqs or self.qps:
            raise LocalError(
                f"{len(self.srqs)} SRQs and {len(self.qps)} queue pairs are in this XRC domain: destroy them first",
                errno=errno.EBUSY,
            )
        self.is_closed = True


class _LimitedReceives(deque[RecvWr]):
    """A deque that says once when a receive was taken and fewer than `limit` are left; a limit of 0 is none."""

    __slots__ = ("_on_limit", "limit")

    def __init__(self, limit: int, on_limit: Callable[[], None]) -> None:
        super().__init__()
        self.limit = limit
        self._on_limit = on_limit

    def popleft(self) -> RecvWr:
        wr = super().popleft()
        if len(self) < self.limit:
            self.limit = 0
            self._on_limit()
        return wr


def _check_sizes(max_wr: int, limit: int) -> None:
    if max_wr < 1:
        raise LocalError(f"a shared receive queue needs room for at least 1 receive, not {max_wr}")
    if not 0 <= limit <= max_wr:
        raise LocalError(f"the limit of a shared receive queue is 0 to max_wr ({max_wr}), not {limit}")
