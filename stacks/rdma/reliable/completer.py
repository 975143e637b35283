"""The completer: responses, retries and timers of the requester (IBTA 9.7.5.1, 9.9).

Every response acknowledges all requests before it. What it says beyond that:

    ACK                     everything up to its PSN arrived
    NAK, PSN sequence       go back to its PSN (consumes retry_cnt)
    NAK, other codes        the request at its PSN failed; the queue pair ends
    RNR NAK                 the same from its PSN, after the time it names (consumes rnr_retry)
    READ response, atomic   data for the oldest READ or atomic that is out; what is missing before it is asked for again

Progress refills both retry counts. Responses outside what is in flight are old or forged, and are dropped.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from stacks.dma.contract import Fault
from stacks.rdma.enums import RNR_TIMER_NS, SYNDROME_NAK, SYNDROME_RNR, Nak, WcStatus, WrOpcode
from stacks.rdma.opcodes import ACKNOWLEDGE, ANSWERED_EMPTY, ATOMIC_ACKNOWLEDGE, ATOMICS, READ_RESPONSE
from stacks.rdma.reliable.pieces import ReadPiece
from wire.roce import AtomicAckEth
from wire.seqnum import psn_diff

if TYPE_CHECKING:
    from stacks.rdma.reliable.queue_pair import ReliableQp


class Completer:
    """Handles what comes back to one queue pair's requester.

    retry_cnt, rnr_retry: 0 to 7; an rnr_retry of 7 never ends. ack_timeout_ns: 0 for none.
    """

    def __init__(self, qp: ReliableQp) -> None:
        self._qp = qp
        self._requester = qp.requester
        self.retry_cnt = self.rnr_retry = 7
        self.ack_timeout_ns = 0
        self.resume_ns = 0
        """Nothing is sent before this time, after an RNR NAK."""
        self._retries = self._rnr_retries = 0
        self._recovering_psn: int | None = None
        """The PSN that was gone back to, while nothing has been acknowledged since."""

    def reset(self, *, retry_cnt: int, rnr_retry: int, ack_timeout_ns: int) -> None:
        """Take the attributes that come with RTS."""
        self.retry_cnt, self.rnr_retry, self.ack_timeout_ns = retry_cnt, rnr_retry, ack_timeout_ns
        self._retries, self._rnr_retries = retry_cnt, rnr_retry
        self._recovering_psn = None
        self.resume_ns = 0

    @property
    def retries_used(self) -> tuple[int, int]:
        """Retries and RNR retries since the last progress."""
        return self.retry_cnt - self._retries, self.rnr_retry - self._rnr_retries

    def handle_response(self, opcode: int, psn: int, body: memoryview, now: int) -> None:
        """One response: `psn` 24 bits, `body` everything between BTH and ICRC without padding."""
        requester = self._requester
        number = requester.una + psn_diff(psn, requester.una & 0xFFFFFF)
        if opcode == ACKNOWLEDGE:
            if len(body) == _AETH_BYTES:
                self._handle_ack(number, body[0], now)
        elif number < requester.una or number >= requester.next_psn:
            self._qp.counters.duplicate_response += 1
        elif opcode == ATOMIC_ACKNOWLEDGE:
            self._handle_atomic(number, body, now)
        else:
            self._handle_read_response(opcode, number, body, now)

    def handle_timeout(self, now: int) -> None:
        """The timer of this queue pair expired: an RNR wait is over, or an acknowledgement did not come."""
        if self.resume_ns:
            self.resume_ns = 0
            self._arm(now)
            self._qp.ring()
        elif self._requester.in_flight:
            self._go_back(now)

    def arm_after_send(self, now: int) -> None:
        """Start the timer if packets are out and it is not running."""
        if self.ack_timeout_ns and not self._qp.timers.is_armed(self._qp):
            self._qp.timers.arm(self._qp, now + self.ack_timeout_ns)

    # Acknowledgements

    def _handle_ack(self, number: int, syndrome: int, now: int) -> None:
        kind = syndrome & 0x60
        requester = self._requester
        if number >= requester.sent_psn:
            self._qp.counters.duplicate_response += 1
        elif not kind:
            if number >= requester.una:
                self._advance(number + 1, now)
        elif number >= requester.una:
            self._handle_nak(kind, syndrome & 0x1F, number, now)

    def _handle_nak(self, kind: int, code: int, number: int, now: int) -> None:
        is_progress = number > self._requester.una
        if not self._advance(number, now):
            return
        if kind == SYNDROME_RNR:
            self._wait_for_receiver(code, now)
        elif kind == SYNDROME_NAK and code == Nak.PSN_SEQUENCE_ERROR:
            # As rxe counts them: one about the oldest packet acknowledges nothing, and is not told apart from a repeat.
            self._qp.counters.rcvd_seq_err += is_progress
            self._go_back_once(now)
        else:
            known = _NAK_STATUS.get(code) if kind == SYNDROME_NAK else None
            self._requester.fail_oldest(WcStatus.BAD_RESP_ERR if known is None else known)

    def _advance(self, una: int, now: int) -> bool:
        """Acknowledge everything before `una`; False when a READ or atomic on the way has no response yet."""
        requester = self._requester
        missing = requester.missing_response()
        is_lost = missing is not None and una > missing
        if missing is not None and is_lost:
            una = missing
        if una > requester.una:
            self._progress(una, now)
        # After a rewind the READ may not have been asked for again yet: then there is nothing to go back for.
        if is_lost and requester.pieces:
            self._go_back_once(now)
        return not is_lost

    def _progress(self, una: int, now: int) -> None:
        self._retries, self._rnr_retries = self.retry_cnt, self.rnr_retry
        self._recovering_psn = None
        # A duplicate of what the receiver was not ready for may have found it ready: the wait is over.
        self.resume_ns = 0
        self._requester.advance(una)
        self._arm(now)
        self._qp.ring()

    # READ and atomic responses

    def _handle_read_response(self, opcode: int, number: int, body: memoryview, now: int) -> None:
        pieces = self._requester.pieces
        if not pieces:
            self._qp.counters.duplicate_response += 1
            return
        piece = pieces[0]
        if number != piece.next_psn:
            if number > piece.next_psn:
                self._advance(number, now)
            return
        is_in_place = opcode == _expected_opcode(piece) or (_is_resumed(piece) and opcode == _next_opcode(piece))
        if piece.is_repeated and not is_in_place:
            # Of an earlier request for the same data, and overtaken by the repetition, whose own responses count.
            self._qp.counters.duplicate_response += 1
            return
        has_aeth = opcode != READ_RESPONSE.middle
        data = body[_AETH_BYTES:] if has_aeth else body
        if not is_in_place or (has_aeth and not _is_ack(body)) or not self._is_expected(piece, data):
            self._requester.fail_oldest(WcStatus.BAD_RESP_ERR)
            return
        self._take_read_data(piece, data, now)

    def _is_expected(self, piece: ReadPiece, data: memoryview) -> bool:
        """Whether the piece is a READ, and this as much data as it waits for, or one that is answered without any."""
        mtu = self._requester.egress.path_mtu
        wqe = piece.wqe
        rest = wqe.length - (piece.next_psn - wqe.first_psn) * mtu
        if wqe.opcode in ANSWERED_EMPTY:
            return not data
        return wqe.opcode is WrOpcode.RDMA_READ and len(data) == min(rest, mtu)

    def _take_read_data(self, piece: ReadPiece, data: memoryview, now: int) -> None:
        requester = self._requester
        offset = (piece.next_psn - piece.wqe.first_psn) * requester.egress.path_mtu
        # Earlier requests are acknowledged by this response; they complete first, and must not be failed by it.
        if piece.next_psn > requester.una:
            self._progress(piece.next_psn, now)
            if not requester.pieces:
                # Their completions overflowed the CQ, which ended the queue pair.
                return
        status = requester.place(piece, data, offset)
        if isinstance(status, Fault):
            requester.park(piece.wqe)
            self._arm(now)
            return
        if status is not WcStatus.SUCCESS:
            requester.fail_oldest(status)
            return
        self.read_progressed(piece, 1, now)

    def read_progressed(self, piece: ReadPiece, count: int, now: int) -> None:
        """`count` more responses to the oldest piece were placed, and all before them have arrived."""
        piece.next_psn += count
        if piece.next_psn > piece.last_psn:
            self._requester.pieces.popleft()
        self._progress(piece.next_psn, now)

    def _handle_atomic(self, number: int, body: memoryview, now: int) -> None:
        pieces = self._requester.pieces
        if not pieces:
            self._qp.counters.duplicate_response += 1
            return
        if number != pieces[0].next_psn:
            if number > pieces[0].next_psn:
                self._advance(number, now)
            return
        piece = pieces[0]
        if len(body) != _AETH_BYTES + AtomicAckEth.SIZE or not _is_ack(body) or piece.wqe.opcode not in ATOMICS:
            self._requester.fail_oldest(WcStatus.BAD_RESP_ERR)
            return
        original = AtomicAckEth.decode(body, _AETH_BYTES).original
        self._take_read_data(piece, memoryview(original.to_bytes(8, sys.byteorder)), now)

    # Recovery

    def _go_back_once(self, now: int) -> None:
        """Go back unless that was done already: packets sent before it go on raising the same complaint.

        A wait for the receiver has gone back too.
        """
        if self._recovering_psn != self._requester.una and not self.resume_ns:
            self._go_back(now)

    def _go_back(self, now: int) -> None:
        """Send again from the oldest unacknowledged packet, as often as retry_cnt says (IBTA 9.9.2.1.2)."""
        requester = self._requester
        if not self._retries:
            self._qp.counters.retry_exceeded_err += 1
            requester.fail_oldest(WcStatus.RETRY_EXC_ERR)
            return
        self._qp.counters.completer_retry_err += 1
        self._retries -= 1
        self._recovering_psn = requester.una
        requester.window.lost()
        requester.rewind()
        self._arm(now)
        self._qp.ring()

    def _wait_for_receiver(self, code: int, now: int) -> None:
        self._qp.counters.rcvd_rnr_err += 1
        if self.rnr_retry != _ENDLESS:
            if not self._rnr_retries:
                self._qp.counters.retry_rnr_exceeded_err += 1
                self._requester.fail_oldest(WcStatus.RNR_RETRY_EXC_ERR)
                return
            self._rnr_retries -= 1
        self._requester.rewind()
        self.resume_ns = now + RNR_TIMER_NS[code]
        self._qp.timers.arm(self._qp, self.resume_ns)

    def _arm(self, now: int) -> None:
        if self._requester.in_flight and self.ack_timeout_ns:
            self._qp.timers.arm(self._qp, now + self.ack_timeout_ns)
        else:
            self._qp.timers.cancel(self._qp)


def _expected_opcode(piece: ReadPiece) -> int:
    """Which READ response comes next: first and last are those of the request, not of the whole READ."""
    if piece.next_psn == piece.first_psn:
        return READ_RESPONSE.only if piece.next_psn == piece.last_psn else READ_RESPONSE.first
    return _next_opcode(piece)


def _next_opcode(piece: ReadPiece) -> int:
    return READ_RESPONSE.last if piece.next_psn == piece.last_psn else READ_RESPONSE.middle


def _is_resumed(piece: ReadPiece) -> bool:
    """Whether a READ was asked for again from its middle on: rxe answers as though the first request went on.

    IBTA 9.7.5.1.2 has the repetition answered as a request of its own. Either way the PSN says which data it is, and so
    it does for a response to the first request that was only overtaken.
    """
    return piece.is_repeated and piece.first_psn > piece.wqe.first_psn


def _is_ack(body: memoryview) -> bool:
    """Whether a response begins with an AETH that acknowledges; a NAK has no business in one that carries data."""
    return len(body) >= _AETH_BYTES and not body[0] & 0x60


_AETH_BYTES = 4
_ENDLESS = 7
_NAK_STATUS = {
    int(Nak.INVALID_REQUEST): WcStatus.REM_INV_REQ_ERR,
    int(Nak.REMOTE_ACCESS_ERROR): WcStatus.REM_ACCESS_ERR,
    int(Nak.REMOTE_OPERATIONAL_ERROR): WcStatus.REM_OP_ERR,
}
