"""The requester: turns the send queue into packets, and responses into completions (IBTA 9.7, 9.9).

    post -> ring of WQEs -> poll_transmit -> packets ... responses -> advance -> completions

PSNs are counted without wrapping. `una` is the oldest that is not acknowledged, `next_psn` the next to send, and
`sent_psn` follows the highest that was ever sent. Recovery is go-back-N: `next_psn` returns to `una` and the queue is
walked again from there (9.7.5.1.1, 9.9.2.4.1); an acknowledgement may then overtake it. A READ is
asked for in pieces no longer than the window, each a READ request of its own on the wire, so that responses do not
overrun the receive buffer; a piece that got lost is asked for again from the first missing packet.

Left out: FLUSH, ATOMIC WRITE, memory windows, local operations, selective repeat.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from stacks.dma.contract import Fault
from stacks.rdma.completion import Wc
from stacks.rdma.egress import ACK_REQUEST, SOLICITED, Egress, Send
from stacks.rdma.enums import SendFlags, WcStatus, WrOpcode
from stacks.rdma.memory.gather import GatherError, check_writable, gather, packet_views, page_views, scatter
from stacks.rdma.opcodes import ATOMICS, READ_REQUEST, REQUESTS, WC_OPCODES, Segmented
from stacks.rdma.reliable.onlies import collect_onlies, plain_payload
from stacks.rdma.reliable.pieces import PieceEnds, ReadPiece, atomic_extension, read_extension
from stacks.rdma.work import MAX_MESSAGE_BYTES, SendWqe, SendWr, check_wr
from stacks.runtime import LocalError
from transports.datagram import Transmit

if TYPE_CHECKING:
    from stacks.rdma.reliable.queue_pair import ReliableQp
    from stacks.rdma.reliable.window import Window


class Requester:
    """The sending half of one queue pair. Its owner sets `egress` and `window` on the way to RTS."""

    def __init__(self, qp: ReliableQp, capacity: int) -> None:
        self._qp = qp
        self._capacity = capacity
        self._ring: deque[SendWqe] = deque()
        self._cursor = 0
        """Index in the ring of the entry that `next_psn` belongs to."""
        self.egress: Egress = None  # type: ignore[assignment]  # nothing is posted before it is set
        self.window: Window = None  # type: ignore[assignment]
        self.una = self.next_psn = self.sent_psn = self.post_psn = 0
        self.pieces: deque[ReadPiece] = deque()
        self._reads: deque[SendWqe] = deque()
        self._piece_ends = PieceEnds()
        self.max_rd_atomic = 1
        self._since_ack_request = 0
        self._parked: SendWqe | None = None
        """The entry whose memory is not there yet; the queue goes on with `resume`."""
        self._epoch = 0
        """Of the `Dma`, when the views that entries hold were made."""

    def reset(self, psn: int) -> None:
        """Start with `psn` (24 bits)."""
        self.una = self.next_psn = self.sent_psn = self.post_psn = psn
        self._cursor = 0
        self.pieces.clear()
        self._reads.clear()
        self._piece_ends.clear()
        self._parked = None

    @property
    def queued(self) -> int:
        """Entries of the send queue that have not completed."""
        return len(self._ring)

    @property
    def in_flight(self) -> int:
        """PSNs sent and not acknowledged."""
        return self.next_psn - self.una

    def post(self, wr: SendWr, flags: int) -> None:
        """Queue a request that the queue pair has checked; LocalError when the queue is full."""
        ring, sges = self._ring, wr.sges
        if len(ring) >= self._capacity:
            raise LocalError(f"the send queue of QP {self._qp.number} is full (max_send_wr is {self._capacity})")
        length = sges[0].length if len(sges) == 1 else sum([sge.length for sge in sges])
        is_send = wr.opcode is WrOpcode.SEND
        if not is_send or not 0 <= length <= MAX_MESSAGE_BYTES:
            check_wr(wr, length, self.max_rd_atomic)
        last = first = self.post_psn
        if length > self.egress.path_mtu:
            last += (length - 1) // self.egress.path_mtu
        wqe = SendWqe(wr, length, first, last, flags)
        self.post_psn = last + 1
        ring.append(wqe)
        if not is_send and wr.opcode not in REQUESTS:
            self._reads.append(wqe)

    # Sending

    def poll_transmit(self) -> Transmit | None:
        """The next send of requests, or None while the queue is empty, the window full, or a READ must come first."""
        room = self.window.packets - (self.next_psn - self.una)
        waiting = len(self._ring) - self._cursor
        if room <= 0 or waiting <= 0:
            return None
        shortcuts = self._qp.shortcuts
        if shortcuts and waiting == 1 and (transmit := self._poll_lone()) is not None:
            return transmit
        if self._qp.memory.dma.epoch != self._epoch:
            self._forget_views()
        send = self.egress.start()
        while room > 0 and self._cursor < len(self._ring):
            if shortcuts and (added := self._add_onlies(send, room)):
                room -= added
                continue
            wqe = self._ring[self._cursor]
            before = self.next_psn
            if not self._add(send, wqe, room, shortcuts=shortcuts):
                break
            room -= self.next_psn - before
            if self.next_psn > wqe.last_psn:
                self._cursor += 1
            if not shortcuts or send.is_closed:
                break
        if not send.count:
            return None
        if self.next_psn > self.sent_psn:
            self.sent_psn = self.next_psn
        return self.egress.finish(send)

    def _poll_lone(self) -> Transmit | None:
        """The shortcut for one message of one packet that nothing follows: the least steps where latency counts."""
        wqe = self._ring[self._cursor]
        opcodes = REQUESTS.get(wqe.opcode)
        payload = plain_payload(self._qp, wqe) if opcodes is not None else None
        if opcodes is None or payload is None:
            return None
        psn = self.next_psn
        self._cursor += 1
        self.next_psn = psn + 1
        if psn >= self.sent_psn:
            self.sent_psn = psn + 1
        self._since_ack_request = 0
        return self.egress.lone(opcodes.only, psn, extension=wqe.header + wqe.trailer, payload=payload)

    def _add(self, send: Send, wqe: SendWqe, room: int, *, shortcuts: bool) -> bool:
        """Add packets of one entry; False when the send is full or the entry cannot go on now."""
        if wqe.status is not WcStatus.SUCCESS:
            return False
        if wqe.views is None and not self._prepare(wqe):
            return False
        if wqe.opcode in REQUESTS:
            if shortcuts and self._add_middles(send, wqe, room):
                return not send.is_closed
            return self._add_data(send, wqe)
        return self._add_read_or_atomic(send, wqe, room)

    def _prepare(self, wqe: SendWqe) -> bool:
        """Check the local memory on first use; a failure stops the queue here until all before it has completed."""
        if wqe is self._parked or (wqe.flags & SendFlags.FENCE and self.pieces):
            return False
        try:
            if wqe.opcode in REQUESTS:
                found = gather(self._qp, wqe.sges)
                if isinstance(found, Fault):
                    self._parked = wqe
                    return False
                wqe.views = found
            else:
                check_writable(self._qp, wqe.sges)
                wqe.views = ()
        except GatherError as error:
            wqe.status = error.status
            if self._ring[0] is wqe:
                self.fail_oldest(wqe.status)
            return False
        return True

    def _forget_views(self) -> None:
        """Mappings made before may no longer be used: look the memory up again, also for what is sent again."""
        self._epoch = self._qp.memory.dma.epoch
        for wqe in self._ring:
            if wqe.views:
                wqe.views = None

    def _add_onlies(self, send: Send, room: int) -> int:
        """The shortcut for messages of one packet that are all alike; returns how many were added."""
        wqe = self._ring[self._cursor]
        if wqe.first_psn != wqe.last_psn or wqe.opcode not in REQUESTS:
            return 0
        size = _packet_bytes(len(wqe.header) + len(wqe.trailer), wqe.length)
        if send.count and send.segment_bytes != size:
            return 0
        limit = min(room, self.egress.room_for(send, size))
        run = collect_onlies(self._qp, islice(self._ring, self._cursor, None), limit)
        if not run.payloads:
            return 0
        opcode = REQUESTS[wqe.opcode].only
        self.egress.add_onlies(
            send, opcode, self.next_psn, extensions=run.extensions, payloads=run.payloads, length=wqe.length
        )
        count = len(run.payloads)
        self.next_psn += count
        self._cursor += count
        self._since_ack_request = 0
        return count

    def _add_middles(self, send: Send, wqe: SendWqe, room: int) -> bool:
        """The shortcut for packets inside a message that lie in one piece of memory; False where it does not apply."""
        start = self.next_psn - wqe.first_psn
        count = min(wqe.last_psn - self.next_psn, room, self.egress.max_middles - send.count)
        if start == 0 or count < 2 or (send.count and send.segment_bytes != self.egress.full_bytes):
            return False
        mtu = self.egress.path_mtu
        pages = page_views(wqe.views or (), start * mtu, mtu, count)
        if len(pages) < 2:
            return False
        opcode, psn = REQUESTS[wqe.opcode].middle, self.next_psn
        self.next_psn += len(pages) - 1
        self._since_ack_request += len(pages) - 1
        wants_ack = self._psn_word(wants_ack=False) >= ACK_REQUEST
        self.next_psn += 1
        self.egress.add_middles(send, opcode, psn, pages, wants_ack=wants_ack)
        return True

    def _add_data(self, send: Send, wqe: SendWqe) -> bool:
        mtu = self.egress.path_mtu
        index = self.next_psn - wqe.first_psn
        offset = index * mtu
        is_last = self.next_psn == wqe.last_psn
        length = wqe.length - offset if is_last else mtu
        opcode = _choose(REQUESTS[wqe.opcode], is_first=index == 0, is_last=is_last)
        extension = self._data_extension(wqe, is_first=index == 0, is_last=is_last)
        if send.count and not self.egress.fits(send, _packet_bytes(len(extension), length)):
            return False
        flags = SOLICITED if is_last and wqe.flags & SendFlags.SOLICITED else 0
        views = wqe.views or ()
        payload = views if length == wqe.length else packet_views(views, offset, length)
        psn = self._psn_word(wants_ack=is_last)
        self.egress.add(send, opcode, flags, psn=psn, extension=extension, payload=payload, length=length)
        self.next_psn += 1
        return True

    def _data_extension(self, wqe: SendWqe, *, is_first: bool, is_last: bool) -> bytes:
        return (wqe.header if is_first else b"") + (wqe.trailer if is_last else b"")

    def _add_read_or_atomic(self, send: Send, wqe: SendWqe, room: int) -> bool:
        """Ask for a READ's next piece, or for an atomic; at most `max_rd_atomic` may be out at once (IBTA 9.7.4)."""
        if len(self.pieces) >= self.max_rd_atomic:
            return False
        if wqe.opcode is WrOpcode.RDMA_READ:
            opcode = READ_REQUEST
            last = min(wqe.last_psn, self.next_psn + room - 1)
            last = self._piece_ends.choose(self.next_psn, una=self.una, last_psn=last)
            mtu = self.egress.path_mtu
            offset = (self.next_psn - wqe.first_psn) * mtu
            length = min(wqe.length - offset, (last - self.next_psn + 1) * mtu)
            extension = read_extension(wqe, offset, length)
        else:
            opcode, last, extension = ATOMICS[wqe.opcode], wqe.last_psn, atomic_extension(wqe)
        if send.count and not self.egress.fits(send, _packet_bytes(len(extension), 0)):
            return False
        psn = self._psn_word(wants_ack=True)
        self.egress.add(send, opcode, 0, psn=psn, extension=extension, payload=(), length=0)
        is_repeated = self.next_psn < self.sent_psn
        self.pieces.append(ReadPiece(wqe, self.next_psn, last, is_repeated=is_repeated))
        self.next_psn = last + 1
        return True

    def _psn_word(self, *, wants_ack: bool) -> int:
        """PSN and AckReq: on the last packet of every message, and within long ones often enough for the window."""
        self._since_ack_request += 1
        if wants_ack or self._since_ack_request * ACKS_PER_WINDOW >= self.window.packets:
            self._since_ack_request = 0
            return (self.next_psn & 0xFFFFFF) | ACK_REQUEST
        return self.next_psn & 0xFFFFFF

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
        self._qp.counters.rdma_sends += sends
        if ring and ring[0].status is not _SUCCESS:
            self.fail_oldest(ring[0].status)

    def rewind(self) -> None:
        """Go back to the oldest packet that is not acknowledged, and forget which READs are out."""
        self.pieces.clear()
        self.next_psn = self.una
        self._cursor = 0
        self._since_ack_request = 0

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

    def resume(self) -> None:
        """Memory that was not there may be there now."""
        if self._parked is not None:
            self._parked = None
            self._qp.ring()

    def place(self, piece: ReadPiece, data: memoryview, offset: int) -> WcStatus | Fault:
        """Put response data at `offset` of the READ's local memory."""
        return scatter(self._qp, piece.wqe.sges, offset, data)

    # Failure

    def fail_oldest(self, status: WcStatus) -> None:
        """The oldest entry ends with `status`, and the queue pair with it; the rest is flushed."""
        if self._ring:
            wqe = self._ring.popleft()
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


def _choose(opcodes: Segmented, *, is_first: bool, is_last: bool) -> int:
    if is_first:
        return opcodes.only if is_last else opcodes.first
    return opcodes.last if is_last else opcodes.middle


def _packet_bytes(extension_bytes: int, length: int) -> int:
    return 16 + extension_bytes + (length + 3 & ~3)


ACKS_PER_WINDOW = 4
"""Acknowledgements that a full window of one long message asks for."""
_SENDS = frozenset({WrOpcode.SEND, WrOpcode.SEND_WITH_IMM, WrOpcode.SEND_WITH_INV})
_SIGNALED = SendFlags.SIGNALED
_SUCCESS = WcStatus.SUCCESS
