"""Two programs with a queue pair each, on devices of one process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import stacks.rdma.verbs.libibverbs_enums as e
from stacks.rdma.verbs import (
    CQ,
    MR,
    PD,
    QP,
    SGE,
    WC,
    AHAttr,
    Context,
    GlobalRoute,
    Host,
    QPAttr,
    QPCap,
    QPInitAttr,
    RecvWR,
    SendWR,
)
from tests.stacks.rdma.faces.addresses import fresh_address

ANY = e.IBV_ACCESS_LOCAL_WRITE | e.IBV_ACCESS_REMOTE_WRITE | e.IBV_ACCESS_REMOTE_READ | e.IBV_ACCESS_REMOTE_ATOMIC
WAIT_NS = 50 * 10**9


def fresh_host(devices: int = 2) -> Host:
    """A host with devices bm0, bm1, ... at addresses that nobody else uses."""
    return Host(tuple(fresh_address() for _ in range(devices)))


@dataclass
class Player:
    """One program: its context, domain, queue, region and queue pair."""

    context: Context
    pd: PD
    cq: CQ
    mr: MR
    qp: QP

    def sge(self, length: int | None = None, offset: int = 0) -> SGE:
        """A piece of its region."""
        return SGE(self.mr.buf + offset, self.mr.length - offset if length is None else length, self.mr.lkey)

    def post_recv(self, wr_id: int = 0) -> None:
        """Post its whole region."""
        self.qp.post_recv(RecvWR(wr_id, 1, [self.sge()]))

    def post_send(self, text: str, wr_id: int = 0) -> None:
        """Send a text."""
        self.mr.write(text, len(text))
        self.qp.post_send(SendWR(wr_id, num_sge=1, sg=[self.sge(len(text))]))

    def completion(self) -> WC:
        """Wait for one completion."""
        return completion(self.context.host, self.cq)


def completion(host: Host, cq: CQ) -> WC:
    """Wait for one completion of a queue."""
    assert host.wait_until(lambda: len(cq.core) > 0, timeout_ns=WAIT_NS)
    count, wcs = cq.poll()
    assert count == 1
    return wcs[0]


def player(
    host: Host, name: str = "bm0", *, length: int = 4096, make_cq: Callable[[Context], CQ] | None = None
) -> Player:
    """A program with an RC queue pair in INIT."""
    context = Context(name=name, host=host)
    pd = PD(context)
    cq = make_cq(context) if make_cq else CQ(context, 64)
    init = QPInitAttr(qp_type=e.IBV_QPT_RC, scq=cq, rcq=cq, cap=QPCap(16, 16, 4, 4))
    return Player(context, pd, cq, MR(pd, length, ANY), QP(pd, init, QPAttr(qp_access_flags=ANY)))


def route(context: Context) -> AHAttr:
    """The way to another program's device."""
    return AHAttr(is_global=1, gr=GlobalRoute(dgid=context.query_gid(1, 0)))


def join(one: Player, other: Player) -> None:
    """Connect two queue pairs by hand."""
    for near, far in ((one, other), (other, one)):
        near.qp.to_rts(
            QPAttr(
                dest_qp_num=far.qp.qp_num,
                ah_attr=route(far.context),
                timeout=14,
                retry_cnt=7,
                rnr_retry=7,
                min_rnr_timer=1,
            )
        )
