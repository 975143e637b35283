"""The requester of an unreliable transport: sends leave as fast as they are taken, and complete when they have left.

    post -> ring of WQEs -> poll_transmit -> a send -> the transport has it -> completions

The views of a send are borrowed until the driver is done with it, so an entry completes then and not when its packets
are made: a program may write over its memory as soon as it sees the completion (IBTA 10.8.3.2, 9.8.2.1.1).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from stacks.rdma.completion import Wc
from stacks.rdma.enums import SendFlags, WcStatus, WrOpcode
from stacks.rdma.memory.inline import inline_sges
from stacks.rdma.opcodes import WC_OPCODES
from stacks.rdma.sending import MessageSender
from stacks.rdma.work import SendWqe, SendWr, check_wr
from stacks.runtime import LocalError
from transports.datagram import Transmit

if TYPE_CHECKING:
    from stacks.rdma.qp import Qp


class UnreliableRequester(MessageSender):
    """The sending half of one queue pair of UC; UD has more to say about each entry."""

    opcodes: frozenset[WrOpcode] = frozenset(
        {WrOpcode.SEND, WrOpcode.SEND_WITH_IMM, WrOpcode.RDMA_WRITE, WrOpcode.RDMA_WRITE_WITH_IMM}
    )

    def __init__(self, qp: Qp, capacity: int) -> None:
        super().__init__(qp, capacity)
        self._leaving: dict[Transmit, int] = {}
        """Sends that the transport has not taken yet, in order, and the first PSN of each."""

    def reset(self, psn: int) -> None:
        """Start with `psn` (24 bits), with nothing queued."""
        self.next_psn = self.post_psn = psn
        self._cursor = 0
        self._parked = None
        self._leaving.clear()
        self._ring.clear()

    def post(self, wr: SendWr, flags: int) -> None:
        """Queue a request that the queue pair has checked.

        Raises LocalError when the queue is full, or for an operation that the transport does not have (IBTA 9.8.1).
        """
        if len(self._ring) >= self._capacity:
            self._look_closer()
        if wr.opcode not in self.opcodes:
            raise LocalError(f"{wr.opcode.name} is not an operation of {self._qp.qp_type.name}")
        sges = inline_sges(self._qp, wr) if flags & SendFlags.INLINE else wr.sges
        length = sum(sge.length for sge in sges)
        check_wr(wr, length, 0)
        last = self.post_psn + self._packets(wr, length) - 1
        wqe = SendWqe(wr, length, self.post_psn, last, flags)
        wqe.sges = sges
        self._queued(wqe, wr)
        self.post_psn = last + 1
        self._ring.append(wqe)

    def _packets(self, wr: SendWr, length: int) -> int:  # noqa: ARG002  # for those that look at more of it
        """How many packets a request takes; LocalError where the transport cannot say it."""
        return max(1, -(-length // self.egress.path_mtu))

    def _queued(self, wqe: SendWqe, wr: SendWr) -> None:
        """Add to an entry what the transport wants of its request."""

    def poll_transmit(self) -> Transmit | None:
        """The next send, or None while nothing is queued."""
        waiting = len(self._ring) - self._cursor
        if not waiting:
            return None
        first = self.next_psn
        transmit = self._poll_lone() if waiting == 1 and self._qp.shortcuts else None
        if transmit is None:
            transmit = self._build(MAX_PACKETS)
        if transmit is not None:
            self._leaving[transmit] = first
            self._qp.expect_sent(transmit)
        return transmit

    def handle_sent(self, transmit: Transmit) -> None:
        """The transport is done with a send: what has left completely is complete."""
        if self._leaving.pop(transmit, None) is None:
            # Of a queue that was flushed or reset since.
            return
        left = next(iter(self._leaving.values())) if self._leaving else self.next_psn
        ring, qp = self._ring, self._qp
        before = len(ring)
        while ring and ring[0].last_psn < left:
            wqe = ring.popleft()
            if wqe.opcode in _SENDS:
                qp.counters.rdma_sends += 1
            if wqe.flags & SendFlags.SIGNALED:
                qp.send_cq.push(Wc(wqe.wr_id, WcStatus.SUCCESS, WC_OPCODES[wqe.opcode], wqe.length, qp.number))
        self._cursor -= before - len(ring)
        if ring and ring[0].status is not WcStatus.SUCCESS:
            self.fail_oldest(ring[0].status)

    # Failure

    def fail_oldest(self, status: WcStatus) -> None:
        """The oldest entry ends with `status`, and the send queue stops in SQE; the rest is flushed (IBTA 10.3.1.6)."""
        if self._ring:
            wqe = self._ring.popleft()
            self._qp.counters.rdma_sends += wqe.opcode in _SENDS
            self._qp.complete_send(wqe.wr_id, WC_OPCODES[wqe.opcode], 0, status)
        self._qp.enter_send_error()

    def flush(self) -> None:
        """Complete everything with WR_FLUSH_ERR, in order."""
        ring, self._ring = self._ring, deque()
        self._cursor = 0
        self._parked = None
        self._leaving.clear()
        self.post_psn = self.next_psn
        for wqe in ring:
            self._qp.complete_send(wqe.wr_id, WC_OPCODES[wqe.opcode], 0, WcStatus.WR_FLUSH_ERR)

    def discard(self) -> None:
        """Forget everything without completions, as a reset does."""
        self.reset(0)


MAX_PACKETS = 128
"""Of one send; the egress allows fewer."""
_SENDS = frozenset({WrOpcode.SEND, WrOpcode.SEND_WITH_IMM})
