"""ibv_srq_pingpong: several queue pairs to and fro over one shared receive queue, until all together did enough.

All of theirs share one buffer, so that what one sends is what any of them received last: ours sends the same on all.
"""

from __future__ import annotations

from interop.peers.hand import connect_by_hand
from interop.peers.inbox import Inbox
from interop.peers.link import PATIENCE_NS, SECONDS
from interop.peers.pingpong import USUAL_PATH_MTU, page_pattern
from interop.peers.rendezvous import Place, meet
from interop.peers.terms import PeerError, Terms
from stacks.rdma import Mr, Qp, SendWr, Wc, WcOpcode, WcStatus, WrOpcode
from stacks.rdma.srq import Srq
from stacks.rdma.sync import Endpoint

QPS = 16
PLACES = 256
"""What theirs exchanges, whatever the number of queue pairs."""
RECEIVES = 64
LINGER_NS = SECONDS // 2


def run(endpoint: Endpoint, terms: Terms) -> str:
    """Be either side."""
    game = _Game(endpoint, terms)
    meet(terms, list(game.qps), game.get_ready, slots=PLACES)
    return game.play()


class _Game:
    """The queue pairs, what each of them waits for, and how much was done."""

    def __init__(self, endpoint: Endpoint, terms: Terms) -> None:
        self._endpoint = endpoint
        self._terms = terms
        self._srq: Srq = endpoint.pd.create_srq(max_wr=RECEIVES)
        self._inbox = Inbox(endpoint, slots=RECEIVES, size=terms.size)
        self._inbox.prepare(self._srq)
        self._cq = endpoint.create_cq(RECEIVES + 2 * QPS)
        made = [endpoint.create_qp(send_cq=self._cq, recv_cq=self._cq, srq=self._srq) for _ in range(QPS)]
        self.qps: dict[int, Qp] = {qp.number: qp for qp in made}
        self._memory = page_pattern(0, terms.size)
        self._mr: Mr = endpoint.pd.reg_mr(bytearray(self._memory))
        self._waits = {number: {WcOpcode.RECV} for number in self.qps}
        self._done = {WcOpcode.SEND: 0, WcOpcode.RECV: 0}

    def get_ready(self, ours: list[Place], theirs: list[Place]) -> None:
        for own, other in zip(ours, theirs, strict=True):
            connect_by_hand(self.qps[own.qpn], own, other, self._terms.path_mtu or USUAL_PATH_MTU)

    def play(self) -> str:
        if not self._terms.is_server:
            for qp in self.qps.values():
                self._send(qp)
        while min(self._done.values()) < self._terms.count:
            entries = self._endpoint.wait_cq(self._cq, timeout_ns=PATIENCE_NS)
            if not entries:
                raise PeerError(f"nothing completes after {self._done}")
            for wc in entries:
                self._take(wc)
        # Theirs has enough only when its last messages are acknowledged.
        self._endpoint.wait_until(lambda: False, timeout_ns=LINGER_NS)
        return f"{self._terms.count} messages of {self._terms.size} bytes went to and fro over {QPS} queue pairs"

    def _take(self, wc: Wc) -> None:
        if wc.status is not WcStatus.SUCCESS:
            raise PeerError(f"request {wc.wr_id} of queue pair {wc.qp_num} ended with {wc.status.name}")
        if wc.opcode is WcOpcode.RECV:
            self._check(self._inbox.data(wc))
            self._inbox.post(self._srq, wc.wr_id)
        self._done[wc.opcode] += 1
        self._waits[wc.qp_num].discard(wc.opcode)
        if not self._waits[wc.qp_num] and self._done[WcOpcode.SEND] < self._terms.count:
            self._send(self.qps[wc.qp_num])

    def _check(self, data: bytes) -> None:
        # Before ours arrive their buffer is all zeros, and it may change while a packet is made of it.
        is_ours = all(one in (0, other) for one, other in zip(data, self._memory, strict=False))
        if len(data) != len(self._memory) or not is_ours:
            raise PeerError(f"a message of {len(data)} bytes is neither ours nor zeros")

    def _send(self, qp: Qp) -> None:
        qp.post_send(SendWr(0, WrOpcode.SEND, [self._mr.sge()]))
        self._waits[qp.number] = {WcOpcode.SEND, WcOpcode.RECV}
