"""The requester: turns the send queue into packets, and responses into completions (IBTA 9.7, 9.9).

    post -> ring of WQEs -> poll_transmit -> packets ... responses -> advance -> completions

PSNs are counted without wrapping. `una` is the oldest that is not acknowledged, `next_psn` the next to send, and
`sent_psn` follows the highest that was ever sent. Recovery is go-back-N: `next_psn` returns to `una` and the queue is
walked again from there (9.7.5.1.1, 9.9.2.4.1); an acknowledgement may then overtake it. A READ is
asked for in pieces no longer than the window, each a READ request of its own on the wire, so that responses do not
overrun the receive buffer; a piece that got lost is asked for again from the first missing packet.

Local operations (LOCAL_INV, BIND_MW, REG_MR) take no PSN: they are executed when the walk first comes to them, and
complete in order with the rest.

Left out: selective repeat, which `selective_requester` adds.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from stacks.dma.contract import Fault
from stacks.rdma.completion import Wc
from stacks.rdma.egress import ACK_REQUEST, Send
from stacks.rdma.enums import SendFlags, WcStatus, WrOpcode
from stacks.rdma.memory.gather import GatherError, check_writable, scatter
from stacks.rdma.memory.inline import inline_sges
from stacks.rdma.memory.local_operations import execute
from stacks.rdma.opcodes import ATOMICS, LOCAL_OPERATIONS, READ_REQUEST, REQUESTS, UNDIVIDED, WC_OPCODES
from stacks.rdma.reliable.pieces import PieceEnds, ReadPiece, atomic_extension, read_extension
from stacks.rdma.sending import MessageSender, packet_bytes
from stacks.rdma.work import ADDRESS_END, MAX_KEY, MAX_MESSAGE_BYTES, NEVER_PSN, SendWqe, SendWr, check_wr
from transports.datagram import Transmit

if TYPE_CHECKING:
    from stacks.rdma.reliable.queue_pair import ReliableQp
    from stacks.rdma.reliable.window import Window


class Requester(MessageSender):
    """The sending half of one queue pair. Its owner sets `egress` and `window` on the way to RTS.

    una: the oldest PSN that is not acknowledged. sent_psn: follows the highest that was ever sent.
    """

    def __init__(self, qp: ReliableQp, capacity: int) -> None:
        super().__init__(qp, capacity)
        self._qp: ReliableQp = qp
        self.window: Window = None  # type: ignore[assignment]  # as `egress`
        self.una = self.sent_psn = 0
        self.pieces: deque[ReadPiece] = deque()
        self._reads: deque[SendWqe] = deque()
        self._piece_ends = PieceEnds()
        self.max_rd_atomic = 1
        self._since_ack_request = 0

    def reset(self, psn: int) -> None:
        """Start with `psn` (24 bits)."""
        self.una = self.next_psn = self.sent_psn = self.post_psn = psn
        self._cursor = 0
        self.pieces.clear()
        self._reads.clear()
        self._piece_ends.clear()
        self._parked = None

    @property
    def in_flight(self) -> int:
        """PSNs sent and not acknowledged."""
        return self.next_psn - self.una

    @property
    def _begun_psn(self) -> int:
        return self.sent_psn

    def post(self, wr: SendWr, flags: int) -> None:
        """Queue a request that the queue pair has checked; LocalError when the queue is full."""
        ring, sges = self._ring, wr.sges
        if len(ring) >= self._capacity:
            self._look_closer()
        if flags & _INLINE:
            sges = inline_sges(self._qp, wr)
        length = sges[0].length if len(sges) == 1 else sum([sge.length for sge in sges])
        opcode = wr.opcode
        is_send = opcode is _SEND
        # The two that are posted most are looked at here, the same way.
        if (
            not 0 <= length <= MAX_MESSAGE_BYTES
            or (not is_send
            and not (opcode is _WRITE and 0 <= wr.rkey <= MAX_KEY and 0 <= wr.remote_address <= ADDRESS_END - length))
        ):
            check_wr(wr, length, self.max_rd_atomic)
        last = first = self.post_psn
        if length > self.egress.path_mtu:
            last += (length - 1) // self.egress.path_mtu
        wqe = SendWqe(wr, length, first, last, flags)
        wqe.sges = sges
        self.post_psn = last + 1
        ring.append(wqe)
        if not is_send and opcode not in REQUESTS:
            if opcode in LOCAL_OPERATIONS:
                self.post_psn, wqe.last_psn = first, NEVER_PSN
            else:
                self._reads.append(wqe)

    # Sending

    def poll_transmit(self) -> Transmit | None:
        """The next send of requests, or None while the queue is empty, the window full, or a READ must come first."""
        room = self.window.packets - (self.next_psn - self.una)
        waiting = len(self._ring) - self._cursor
        if room <= 0 or waiting <= 0:
            return None
        transmit = self._poll_lone() if waiting == 1 and self._qp.shortcuts else None
        if transmit is None:
            transmit = self._build(room)
        else:
            self._since_ack_request = 0
        if self.next_psn > self.sent_psn:
            self.sent_psn = self.next_psn
        return transmit

    def _prepare(self, wqe: SendWqe) -> bool:
        # A fence waits for the READs and atomics before it (IBTA 10.8.3.3): their entries are out until answered.
        # One at a local operation waits for all that is before it, as in rxe.
        if wqe.flags & SendFlags.FENCE and (
            self.pieces or (wqe.opcode in LOCAL_OPERATIONS and self._ring[0] is not wqe)
        ):
            return False
        return super()._prepare(wqe)

    def _look_up(self, wqe: SendWqe) -> tuple[memoryview, ...] | Fault:
        if wqe.opcode in REQUESTS or wqe.opcode is WrOpcode.ATOMIC_WRITE:
            return super()._look_up(wqe)
        if wqe.opcode in LOCAL_OPERATIONS:
            self._execute(wqe)
        else:
            check_writable(self._qp, wqe.sges)
        return ()

    def _execute(self, wqe: SendWqe) -> None:
        """Do a local operation, when the walk first comes to it; raises GatherError with what it ends with."""
        status = execute(self._qp, wqe.opcode, wqe.local)
        if status is not _SUCCESS:
            raise GatherError(status)
        wqe.last_psn = wqe.first_psn - 1
        if self._ring[0] is wqe:
            self._retire()
            # Of the entry that is gone: the walk steps on from it.
            self._cursor = -1

    def _asks_for_ack(self, packets: int, *, is_end: bool) -> bool:
        """On the last packet of every message, and within long ones often enough for the window."""
        self._since_ack_request += packets
        if is_end or self._since_ack_request * self.window.acks_per_window >= self.window.packets:
            self._since_ack_request = 0
            return True
        return False

    def _add_other(self, send: Send, wqe: SendWqe, room: int) -> bool:
        """Ask for a READ's next piece, or what is executed once; `max_rd_atomic` may be out at a time (IBTA 9.7.4)."""
        if wqe.opcode in LOCAL_OPERATIONS:
            return True
        if len(self.pieces) >= self.max_rd_atomic:
            return False
        if wqe.opcode is WrOpcode.RDMA_READ:
            opcode = READ_REQUEST
            last = min(wqe.last_psn, self.next_psn + room - 1)
            last = self._piece_ends.choose(self.next_psn, una=self.una, last_psn=last)
            mtu = self.egress.path_mtu
            offset = (self.next_psn - wqe.first_psn) * mtu
            asked = min(wqe.length - offset, (last - self.next_psn + 1) * mtu)
            extension = wqe.header + read_extension(wqe, offset, asked)
        else:
            opcode, last = UNDIVIDED[wqe.opcode], wqe.last_psn
            extension = wqe.header + atomic_extension(wqe) if wqe.opcode in ATOMICS else wqe.header
        payload = wqe.views or ()
        length = wqe.length if payload else 0
        if send.count and not self.egress.fits(send, packet_bytes(len(extension), length)):
            return False
        self._asks_for_ack(1, is_end=True)
        psn = self.next_psn & 0xFFFFFF | ACK_REQUEST
        self.egress.add(send, opcode, 0, psn=psn, extension=extension, payload=payload, length=length)
        is_repeated = self.next_psn < self.sent_psn
        self.pieces.append(ReadPiece(wqe, self.next_psn, last, is_repeated=is_repeated))
        self.next_psn = last + 1
        return True

    def step_over(self) -> None:
        """Move `next_psn` on from packets that need not be sent, where there are such."""

    # Responses

    def missing_response(self) -> int | None:
        """The oldest PSN that only a READ or atomic response can acknowledge, or None."""
        return max(self._reads[0].first_psn, self.una) if self._reads else None

    def advance(self, una: int) -> None:
        """Everything before `una` has arrived: complete what ended with it."""
        count = una - self.una
        self.una = una
        if self.next_psn < una:
            self._skip_to(una)
        self.window.acknowledged(count)
        self._retire()

    def _retire(self) -> None:
        ring, reads, una = self._ring, self._reads, self.una
        number, push = self._qp.number, self._qp.send_cq.push
        before, sends = len(ring), 0
        while ring and ring[0].last_psn < una:
            wqe = ring.popleft()
            if wqe.opcode in _SENDS:
                sends += 1
            if reads and reads[0] is wqe:
                reads.popleft()
            if wqe.flags & _SIGNALED:
                push(Wc(wqe.wr_id, _SUCCESS, WC_OPCODES[wqe.opcode], wqe.length, number))
        self._cursor -= before - len(ring)
        if self._cursor < 0:
            # It stood before a local operation that had been executed, and completed with what went before.
            self._cursor = 0
        self._qp.counters.rdma_sends += sends
        if ring and ring[0].status is not _SUCCESS:
            self.fail_oldest(ring[0].status)

    def rewind(self) -> None:
        """Go back to the oldest packet that is not acknowledged, and forget which READs are out."""
        self.pieces.clear()
        self.next_psn = self.una
        self._cursor = 0
        self._since_ack_request = 0
        self.window.rewound()

    def _skip_to(self, psn: int) -> None:
        """Responses to packets sent before a rewind overtook the repetition: go on behind them."""
        self.next_psn = psn
        while self._cursor < len(self._ring) and self._ring[self._cursor].last_psn < psn:
            self._cursor += 1

    def park(self, wqe: SendWqe) -> None:
        """A response found that the memory of `wqe` is not there: ask again after `resume`."""
        self.rewind()
        wqe.views = None
        self._parked = wqe

    def place(self, piece: ReadPiece, data: memoryview, offset: int) -> WcStatus | Fault:
        """Put response data at `offset` of the READ's local memory."""
        status = scatter(self._qp, piece.wqe.sges, offset, data)
        self._qp.memory.settle()
        return status

    # Failure

    def fail_oldest(self, status: WcStatus) -> None:
        """The oldest entry ends with `status`, and the queue pair with it; the rest is flushed."""
        if self._ring:
            wqe = self._ring.popleft()
            # It counts, as on rxe, and what is flushed does not.
            self._qp.counters.rdma_sends += wqe.opcode in _SENDS
            self._qp.complete_send(wqe.wr_id, WC_OPCODES[wqe.opcode], 0, status)
        self._qp.enter_error()

    def flush(self) -> None:
        """Complete everything with WR_FLUSH_ERR, in order."""
        ring, self._ring = self._ring, deque()
        self._cursor = 0
        self.pieces.clear()
        self._reads.clear()
        self._parked = None
        self.una = self.next_psn = self.sent_psn = self.post_psn
        for wqe in ring:
            self._qp.complete_send(wqe.wr_id, WC_OPCODES[wqe.opcode], 0, WcStatus.WR_FLUSH_ERR)

    def discard(self) -> None:
        """Forget everything without completions, as a reset does."""
        self._ring.clear()
        self.reset(0)


_SENDS = frozenset({WrOpcode.SEND, WrOpcode.SEND_WITH_IMM, WrOpcode.SEND_WITH_INV})
_SEND, _WRITE = WrOpcode.SEND, WrOpcode.RDMA_WRITE
_SIGNALED = SendFlags.SIGNALED
_INLINE = SendFlags.INLINE
_SUCCESS = WcStatus.SUCCESS
