"""The responder: takes requests in PSN order, executes them, and answers (IBTA 9.7.4, 9.7.5.2, 9.9.2.2).

The checks come in the order of the standard: PSN, opcode sequence, operation allowed, receive work request or READ
resource, length, R_Key; then the request is executed. What fails raises RemoteError with the AETH syndrome to answer.
Each PSN is expected once: one below is a duplicate and only answered again, one above opens a gap, which is reported
by one NAK and closed by the missing packet.

PSNs are counted without wrapping. Answers leave in the order of their PSNs: READ and atomic responses queue up, and
one ACK or NAK, always the latest, follows when that queue is empty; so acknowledgements coalesce by burst. One send
of this side's own requests may go ahead of an ACK (`Qp.poll_transmit`), never of a NAK.

Left out: end-to-end credits (every ACK says "no credit information").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stacks.rdma.completion import Wc
from stacks.rdma.enums import (
    SYNDROME_ACK,
    SYNDROME_NAK,
    AsyncEventType,
    Nak,
    WcOpcode,
)
from stacks.rdma.opcodes import ATOMIC_WRITE, CMP_SWAP, DATA_OPCODES, FETCH_ADD, FLUSH, READ_REQUEST, SEND
from stacks.rdma.receive_queue import ReceiveQueue
from stacks.rdma.receiving import MessageReceiver, PageAwaitedError
from stacks.rdma.reliable.read_service import ReadService
from stacks.runtime import RemoteError
from wire.seqnum import psn_diff

if TYPE_CHECKING:
    from stacks.rdma.reliable.queue_pair import ReliableQp


class Responder(MessageReceiver):
    """The receiving half of one queue pair."""

    def __init__(self, qp: ReliableQp, queue: ReceiveQueue) -> None:
        super().__init__(qp, queue)
        self._qp: ReliableQp = qp
        self.msn = 0
        self.reads = ReadService(qp, self)
        self.responses = self.reads.responses
        self.ack_syndrome: int | None = None
        """Syndrome of the acknowledgement that is due, or None."""
        self.answer_psn: int | None = None
        """Where a READ response stopped that a NAK is due for; without one it is about what is expected."""
        self.is_gap_reported = False
        self.holds: bool = qp.memory.config.page_faults == "wait"
        """Whether a request whose page is not there is kept until it is, rather than told to come again."""
        self._held: _Held | None = None
        self._relaxed = qp.memory.relaxed
        self._is_behind = False
        """Whether requests behind the held one were dropped."""

    def reset(self, psn: int) -> None:
        """Expect `psn` (24 bits), with nothing in progress; posted receives stay."""
        self.expected_psn = psn
        self.msn = 0
        self.forget_message()
        self.ack_syndrome = self.answer_psn = None
        self.is_gap_reported = self._is_behind = False
        self._held = None
        self.reads.reset()

    # Requests

    def handle_request(self, opcode: int, *, psn: int, wants_ack: bool, is_solicited: bool, body: memoryview) -> None:
        """One request: `psn` 24 bits, `body` everything between BTH and ICRC without padding."""
        distance = psn_diff(psn, self.expected_psn & 0xFFFFFF)
        if distance > 0:
            self._handle_gap()
        elif distance < 0:
            self._handle_duplicate(opcode, self.expected_psn + distance, body)
        else:
            self.accept(opcode, wants_ack=wants_ack, is_solicited=is_solicited, body=body)

    def accept(self, opcode: int, *, wants_ack: bool, is_solicited: bool, body: memoryview) -> None:
        """The request that is expected next."""
        self._close_gap()
        try:
            if (data := DATA_OPCODES.get(opcode)) is not None:
                self.place_data(data, is_solicited=is_solicited, body=body)
                self.expected_psn += 1
                self.msn += data.ends
            elif self.kind:
                raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, "a message was left unfinished")
            elif opcode == READ_REQUEST:
                self.reads.read(body)
                return
            elif opcode in (CMP_SWAP, FETCH_ADD):
                self.reads.atomic(opcode, body)
                return
            elif opcode == ATOMIC_WRITE:
                self.reads.atomic_write(opcode, body)
                return
            elif opcode == FLUSH:
                self.reads.flush(opcode, body)
                return
            else:
                raise RemoteError(SYNDROME_NAK | Nak.INVALID_REQUEST, f"opcode {opcode:#x} is not supported")
        except RemoteError as error:
            if isinstance(error, PageAwaitedError):
                self._give_back()
            if self.holds and isinstance(error, PageAwaitedError):
                self._held = _Held(self.expected_psn, opcode, wants_ack, is_solicited, bytes(body))
            else:
                self.refuse(error)
            return
        if wants_ack:
            self._acknowledge()

    def resume(self) -> None:
        """Memory that was not there may be there now: go on with the request that waits for it."""
        if self.responses:
            self._qp.ring()
        held, self._held = self._held, None
        if held is None:
            return
        # It may have come again meanwhile, and found its page.
        if held.psn == self.expected_psn:
            body = memoryview(held.body)
            self.accept(held.opcode, wants_ack=held.wants_ack, is_solicited=held.is_solicited, body=body)
        if self._is_behind and not self._is_waiting:
            self._is_behind = False
            self._handle_gap()

    @property
    def _is_waiting(self) -> bool:
        return self._held is not None and self._held.psn == self.expected_psn

    def _give_back(self) -> None:
        """What the packet took of the receive queue, unless for a SEND that has begun: it will take it again."""
        if self.current is not None and self.kind != SEND:
            self.receives.appendleft(self.current)
            self.current = None

    def accepted(self, packets: int, messages: int, *, wants_ack: bool) -> None:
        """A shortcut has executed the next `packets` requests, with which `messages` messages ended."""
        if packets:
            self.expected_psn += packets
            self.msn += messages
            self._close_gap()
        if wants_ack:
            self._acknowledge()

    def _acknowledge(self) -> None:
        # It takes the place of a sequence NAK that has not left: then the next gap is reported again.
        if self.ack_syndrome == _SEQUENCE_NAK:
            self.is_gap_reported = False
        self.ack_syndrome = SYNDROME_ACK
        self._qp.ring()

    def _close_gap(self) -> None:
        # A NAK that has not left yet will name what is expected then, and so report the gap behind this packet.
        self.is_gap_reported = self.ack_syndrome == _SEQUENCE_NAK

    # Out of order

    def _handle_gap(self) -> None:
        self._qp.counters.rcvd_ahead_pkts += 1
        if self._is_waiting:
            self._is_behind = True
        elif not self.is_gap_reported:
            # Once for each gap, as rxe counts them, and not for each packet behind it.
            self._qp.counters.out_of_seq_request += 1
            self.is_gap_reported = True
            self.ack_syndrome = _SEQUENCE_NAK
            self._qp.counters.send_seq_err += 1
            self._qp.ring()

    def _handle_duplicate(self, opcode: int, psn: int, body: memoryview) -> None:
        """Answer again, execute nothing but READs (IBTA 9.7.5.1.2, 9.9.2.2)."""
        self._qp.counters.duplicate_request += 1
        if opcode == READ_REQUEST:
            self.reads.replay_read(psn, body)
        elif opcode in _EXECUTED_ONCE:
            self.reads.replay_answer(opcode, psn)
        elif opcode in DATA_OPCODES and self.ack_syndrome is None:
            self.ack_syndrome = SYNDROME_ACK
            self._qp.ring()

    # Refusal

    def refuse(self, error: RemoteError, psn: int | None = None) -> None:
        """Answer with the error's syndrome; anything but RNR ends the queue pair (IBTA 9.9.2.3).

        psn: what the answer is about (not wrapped); by default what is expected next.
        """
        self.ack_syndrome, self.answer_psn = error.code, psn
        # Whatever else is in flight behind the refused request is a gap that the requester knows of.
        self.is_gap_reported = True
        self._qp.ring()
        if error.code & 0x60 != SYNDROME_NAK:
            self._qp.counters.send_rnr_err += 1
            return
        receive, self.current = self.current, None
        if receive is not None:
            self._qp.recv_cq.push(Wc(receive.wr_id, self.receive_status, WcOpcode.RECV, 0, self._qp.number))
        is_access = error.code & 0x1F == Nak.REMOTE_ACCESS_ERROR
        self._qp.raise_event(AsyncEventType.QP_ACCESS_ERR if is_access else AsyncEventType.QP_REQ_ERR)
        self._qp.enter_error()

    def poll_acknowledgement(self) -> tuple[int, int] | None:
        """The AETH syndrome and the PSN (not wrapped) of the acknowledgement that is due, or None."""
        syndrome = self.ack_syndrome
        if syndrome is None or self.responses:
            return None
        self.ack_syndrome = None
        if self._relaxed is not None:
            self._relaxed.settle()
        if self.answer_psn is not None and syndrome not in (SYNDROME_ACK, _SEQUENCE_NAK):
            psn, self.answer_psn = self.answer_psn, None
            return syndrome, psn
        return syndrome, self.expected_psn - (1 if syndrome == SYNDROME_ACK else 0)

    def flush(self) -> None:
        """Complete every receive of this queue pair with WR_FLUSH_ERR, in order, and drop what was to be answered."""
        self._held = None
        self.responses.clear()
        super().flush()


class _Held(NamedTuple):
    """A request that waits for a page, as it came. psn: not wrapped."""

    psn: int
    opcode: int
    wants_ack: bool
    is_solicited: bool
    body: bytes


_EXECUTED_ONCE = frozenset({CMP_SWAP, FETCH_ADD, FLUSH, ATOMIC_WRITE})
_SEQUENCE_NAK = SYNDROME_NAK | Nak.PSN_SEQUENCE_ERROR
