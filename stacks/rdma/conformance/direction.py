"""One requester and its responder: the requests that go one way, and the answers that come back.

The sender's rule: a request has the PSN after the one before it; or that of the NAK that is open, which closes it; or,
with no NAK open, one that is not acknowledged, which begins a retransmission after a timeout. The receiver's: a NAK
names the first PSN that is missing, once a gap; acknowledgements never go back.
"""

from __future__ import annotations

from dataclasses import dataclass

from stacks.rdma.conformance.findings import Rule
from stacks.rdma.conformance.messages import MessageOrder
from stacks.rdma.conformance.observed import Observed
from stacks.rdma.conformance.reads import Reads
from wire.roce.opcodes import Operation, Position
from wire.seqnum import psn_add, psn_diff

Problem = tuple[Rule, str]


@dataclass(slots=True)
class DirectionCounts:
    """What was seen of one direction."""

    packets: int = 0
    payload_bytes: int = 0
    retransmitted: int = 0
    missing: int = 0
    timeouts: int = 0
    acks: int = 0
    sequence_naks: int = 0
    rnr_naks: int = 0
    fatal_naks: int = 0
    ecn_marked: int = 0
    cnps: int = 0


class Direction:
    """Requests of one queue pair, and what its peer answers.

    is_reliable: whether there are answers at all. is_lossy: packets may have been lost before the place of capture, so
    that PSNs which are skipped are no fault of the sender.
    """

    def __init__(self, *, is_reliable: bool, is_lossy: bool) -> None:
        self.counts = DirectionCounts()
        self.is_ended = False
        """Whether a NAK that ends the queue pair, or a DREQ, was seen."""
        self.has_answers = False
        self._is_reliable = is_reliable
        self._is_lossy = is_lossy
        self._reads = Reads(is_lossy=is_lossy)
        self._order = MessageOrder()
        self._next: int | None = None
        """The PSN of the next new request; None before the first."""
        self._at: int | None = None
        """The PSN expected next: that of the next new request, or lower while repeating."""
        self._open_read = 0
        """Length of the last READ request, while the PSNs that it takes are not known."""
        self._acked: int | None = None
        """The last PSN that was acknowledged."""
        self._nak: int | None = None
        self._nak_sent_again = True
        self._is_waiting = False

    # Requests

    def request(self, seen: Observed) -> list[Problem]:
        """A request on its way to the responder."""
        counts, psn = self.counts, seen.psn
        counts.packets += 1
        counts.payload_bytes += len(seen.known.payload)
        if self._next is None or self._at is None:
            self._next = self._at = psn
        self._settle_read(psn)
        if psn == self._nak:
            self._nak_sent_again = True
        distance = psn_diff(psn, self._at)
        problems: list[Problem] = []
        if distance > 0:
            problems += self._skipped(psn, distance)
        elif distance < 0:
            problems += self._went_back(seen)
        is_new = psn_diff(psn, self._next) >= 0
        if is_new:
            problems += [(Rule.OPCODE_ORDER, text) for text in [self._order.problem(seen)] if text]
        else:
            counts.retransmitted += 1
        self._advance(seen, problems, is_new=is_new)
        return problems

    def _advance(self, seen: Observed, problems: list[Problem], *, is_new: bool) -> None:
        taken: int | None = 1
        if seen.operation is Operation.READ_REQUEST:
            text = self._reads.asked(seen, is_new=is_new)
            if text:
                problems.append((Rule.READ_REQUEST, text))
            taken = self._reads.packets(seen.reth_length)
            self._open_read = seen.reth_length if taken is None else 0
        elif seen.operation in _ANSWERED_EMPTY:
            self._reads.owe_empty(seen.psn, is_new=is_new)
        self._at = psn_add(seen.psn, taken or 1)
        if self._next is None or psn_diff(self._at, self._next) > 0:
            self._next = self._at

    def _settle_read(self, psn: int) -> None:
        """The request behind a READ tells how many PSNs that took."""
        if self._open_read and self._at is not None:
            distance = psn_diff(psn, self._at) + 1
            if distance > 1 and self._reads.learn(distance, self._open_read):
                self._next = self._at = psn
            self._open_read = 0

    def _measure_read(self, seen: Observed) -> None:
        """The first response tells the path MTU, and so how many PSNs the READ takes; an Only says that it is one."""
        if not self._open_read:
            return
        taken = 1 if seen.info.position is Position.ONLY else self._reads.packets(self._open_read)
        if taken is not None and self._at is not None:
            self._open_read = 0
            self._at = psn_add(self._at, taken - 1)
            if psn_diff(self._at, self._next or 0) > 0:
                self._next = self._at

    def _skipped(self, psn: int, distance: int) -> list[Problem]:
        expected = self._at
        self.counts.missing += distance
        if psn_diff(psn, self._next or 0) > 0:
            self._order.restart()
        if self._is_lossy or not self._is_reliable:
            return []
        return [(Rule.SENDER, f"PSN {psn} where {expected} comes next: {distance} skipped")]

    def _went_back(self, seen: Observed) -> list[Problem]:
        psn = seen.psn
        nak, self._nak = self._nak, None
        if not self._is_reliable:
            return [(Rule.SENDER, f"PSN {psn} where {self._at} comes next: UC repeats nothing")]
        if nak is None and not self._is_waiting:
            self.counts.timeouts += 1
        self._is_waiting = False
        # A NAK implies that everything before it arrived: a READ or atomic without its answer is asked for again first.
        is_unanswered = seen.operation in _ANSWERED_WITH_DATA and nak is not None and psn_diff(psn, nak) < 0
        if nak is not None and psn != nak and not is_unanswered and not self._is_lossy:
            return [(Rule.SENDER, f"goes back to PSN {psn}, but the NAK that is open names {nak}")]
        return []

    # Answers

    def answer(self, seen: Observed) -> list[Problem]:
        """An answer on its way to the requester."""
        self.has_answers = True
        syndrome = seen.syndrome
        if seen.operation is Operation.READ_RESPONSE:
            text = self._reads.answered(seen)
            self._measure_read(seen)
            self._acknowledged(seen.psn)
            return [(Rule.READ_RESPONSE, text)] if text else []
        if syndrome is None or self._next is None:
            return []
        kind, code = syndrome & 0x60, syndrome & 0x1F
        if kind == _RNR:
            self.counts.rnr_naks += 1
            self._is_waiting = True
            return self._not_sent(seen.psn)
        if kind == _NAK:
            return self._handle_nak(seen.psn, code)
        self.counts.acks += 1
        return self._handle_ack(seen)

    def _handle_ack(self, seen: Observed) -> list[Problem]:
        problems = self._not_sent(seen.psn)
        is_pure = seen.operation is Operation.ACKNOWLEDGE
        if is_pure and self._acked is not None and psn_diff(seen.psn, self._acked) < 0:
            problems.append((Rule.RECEIVER, f"ACK of PSN {seen.psn} after one of {self._acked}: acknowledgements fall"))
        self._acknowledged(seen.psn)
        return problems

    def _handle_nak(self, psn: int, code: int) -> list[Problem]:
        problems = []
        if code:
            self.counts.fatal_naks += 1
            self.is_ended = True
            return self._not_sent(psn)
        self.counts.sequence_naks += 1
        if self._acked is not None and psn_diff(psn, self._acked) <= 0:
            problems.append((Rule.RECEIVER, f"NAK for PSN {psn}, which was acknowledged: {self._acked} was the last"))
        if psn == self._nak and not self._nak_sent_again:
            problems.append((Rule.RECEIVER, f"a second NAK for PSN {psn}, which was not sent again since the first"))
        elif self._nak is not None and psn != self._nak and psn_diff(psn, self._nak) <= 0:
            problems.append((Rule.RECEIVER, f"NAK for PSN {psn} while the one for {self._nak} is open"))
        problems += self._not_sent(psn)
        self._nak, self._nak_sent_again = psn, False
        self._acknowledged(psn_add(psn, -1))
        return problems

    def _not_sent(self, psn: int) -> list[Problem]:
        if self._next is not None and psn_diff(psn, self._next) >= 0 and not self._open_read and not self._is_lossy:
            return [(Rule.RECEIVER, f"an answer names PSN {psn}, but {self._next} was not sent yet")]
        return []

    def _acknowledged(self, psn: int) -> None:
        if self._acked is None or psn_diff(psn, self._acked) > 0:
            self._acked = psn
        if self._nak is not None and psn_diff(psn, self._nak) >= 0:
            self._nak = None

    def unfinished(self) -> str:
        """What is open at the end of the capture: last sent, last acknowledged and final PSN ought to be one."""
        if not self._is_reliable or self.is_ended or self._next is None:
            return ""
        if not self.has_answers:
            return f"{self.counts.packets} requests, and no answer to any"
        if self._nak is not None and not self._nak_sent_again:
            return f"the NAK for PSN {self._nak} was never followed"
        last = psn_add(self._next, -1)
        if not self._open_read and (self._acked is None or psn_diff(last, self._acked) > 0):
            return f"PSN {last} was sent last, and {self._acked} acknowledged last"
        return ""


_ANSWERED_EMPTY = frozenset({Operation.FLUSH, Operation.ATOMIC_WRITE})
"""Requests that a READ response without data answers (annex A19)."""
_ANSWERED_WITH_DATA = frozenset({Operation.READ_REQUEST, Operation.COMPARE_SWAP, Operation.FETCH_ADD, *_ANSWERED_EMPTY})
_NAK, _RNR = 0x60, 0x20
