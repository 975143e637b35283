"""The responder of selective repeat: packets that come too early wait here for those before them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from stacks.rdma.opcodes import DATA_OPCODES
from stacks.rdma.qp_states import RECEIVING
from stacks.rdma.receive_queue import ReceiveQueue
from stacks.rdma.reliable.responder import Responder
from wire.seqnum import psn_diff

if TYPE_CHECKING:
    from stacks.rdma.reliable.queue_pair import ReliableQp


class SelectiveResponder(Responder):
    """Keeps early SENDs and WRITEs, at most MAX_EARLY_PACKETS, and executes them in their turn.

    They are kept aside rather than placed where they belong: so memory is written in order, and checked in order, as
    with go-back-N. What does not fit is dropped, and reported as a gap if nothing was yet.
    """

    def __init__(self, qp: ReliableQp, queue: ReceiveQueue) -> None:
        super().__init__(qp, queue)
        self._early: dict[int, _Early] = {}
        self._arrivals: deque[int] = deque(maxlen=MAX_EARLY_PACKETS)

    def reset(self, psn: int) -> None:
        """As of every responder."""
        super().reset(psn)
        self._forget()

    def flush(self) -> None:
        """As of every responder."""
        super().flush()
        self._forget()

    def handle_request(self, opcode: int, *, psn: int, wants_ack: bool, is_solicited: bool, body: memoryview) -> None:
        """As of every responder, but a packet ahead of its turn may be kept."""
        expected = self.expected_psn
        distance = psn_diff(psn, expected & 0xFFFFFF)
        is_fitting = 0 < distance <= MAX_EARLY_PACKETS and len(body) <= self.path_mtu + MAX_EXTENSION_BYTES
        if is_fitting and opcode in DATA_OPCODES and not self._is_waiting:
            self._keep(expected + distance, _Early(opcode, wants_ack, is_solicited, bytes(body)))
            return
        super().handle_request(opcode, psn=psn, wants_ack=wants_ack, is_solicited=is_solicited, body=body)
        if self._early and self.expected_psn > expected:
            self._catch_up()

    def accepted(self, packets: int, messages: int, *, wants_ack: bool) -> None:
        """As of every responder."""
        super().accepted(packets, messages, wants_ack=wants_ack)
        if self._early and packets:
            self._catch_up()

    def resume(self) -> None:
        """As of every responder."""
        super().resume()
        if self._early and not self._is_waiting:
            self._catch_up()

    def poll_arrival(self) -> int | None:
        """The PSN (not wrapped) of an early packet that is not reported yet, or None."""
        arrivals = self._arrivals
        while arrivals:
            psn = arrivals.popleft()
            if psn > self.expected_psn:
                return psn
        return None

    def _keep(self, psn: int, early: _Early) -> None:
        counters = self._qp.counters
        counters.rcvd_ahead_pkts += 1
        if not self._early:
            counters.out_of_seq_request += 1
        # A repetition is reported again: the NAK may be what got lost.
        self._early.setdefault(psn, early)
        self._arrivals.append(psn)
        counters.send_seq_err += 1
        self._qp.ring()

    def _catch_up(self) -> None:
        """Execute what waited for the packets that have come."""
        early = self._early
        while (kept := early.pop(self.expected_psn, None)) is not None:
            before = self.expected_psn
            self.accept(
                kept.opcode, wants_ack=kept.wants_ack, is_solicited=kept.is_solicited, body=memoryview(kept.body)
            )
            if self.expected_psn == before or self._qp.state not in RECEIVING:
                break
        for psn in [psn for psn in early if psn < self.expected_psn]:
            del early[psn]

    def _forget(self) -> None:
        self._early.clear()
        self._arrivals.clear()


class _Early(NamedTuple):
    """A request that came ahead of its turn."""

    opcode: int
    wants_ack: bool
    is_solicited: bool
    body: bytes


MAX_EXTENSION_BYTES = 20
"""RETH and ImmDt: what is longer with them than the path MTU allows is not kept, for it will be refused."""
MAX_EARLY_PACKETS = 1024
"""How far ahead a packet may be: twice the largest window."""
