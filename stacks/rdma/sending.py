"""SENDs and RDMA WRITEs on their way out: the send queue, and how its entries become packets (IBTA 9.4.1, 9.4.3).

    post -> ring of WQEs -> build -> one send of packets after the other

Every transport that has such messages sends them from here. Subclasses decide how much may leave, when an entry has
completed, and which packets ask for an acknowledgement. PSNs are counted without wrapping; packets carry 24 bits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from errno import ENOMEM
from itertools import islice
from typing import TYPE_CHECKING

from stacks.dma.contract import Fault
from stacks.rdma.egress import ACK_REQUEST, SOLICITED, Egress, Send
from stacks.rdma.enums import SendFlags, WcStatus
from stacks.rdma.memory.gather import GatherError, gather, packet_views, page_views, region_pages
from stacks.rdma.onlies import collect_onlies, plain_payload
from stacks.rdma.opcodes import REQUESTS, Segmented
from stacks.rdma.work import SendWqe
from stacks.runtime import LocalError
from transports.datagram import Transmit

if TYPE_CHECKING:
    from stacks.rdma.qp import Qp


class MessageSender:
    """The send queue of one queue pair. Its owner sets `egress` on the way to RTS.

    next_psn: the next to send. post_psn: the first of what is posted next.
    """

    def __init__(self, qp: Qp, capacity: int) -> None:
        self._qp = qp
        self._size = self._capacity = capacity
        """Entries that fit, and from how many on `post` looks closer: 0 while somebody watches."""
        self._on_post: Callable[[], None] | None = None
        self._ring: deque[SendWqe] = deque()
        self._held: deque[SendWqe] = deque()
        """Entries behind those of the ring that wait while the queue is drained: nothing else looks at them."""
        self._cursor = 0
        """Index in the ring of the entry that `next_psn` belongs to."""
        self.egress: Egress = None  # type: ignore[assignment]  # nothing is posted before it is set
        self.next_psn = self.post_psn = 0
        self._parked: SendWqe | None = None
        """The entry whose memory is not there yet; the queue goes on with `resume`."""
        self._epoch = 0
        """Of the `Dma`, when the views that entries hold were made."""

    @property
    def queued(self) -> int:
        """Entries of the send queue that have not completed."""
        return len(self._ring) + len(self._held)

    @property
    def is_drained(self) -> bool:
        """Whether nothing is outstanding but what is held back."""
        return not self._ring

    def watch(self, on_post: Callable[[], None] | None) -> None:
        """Call `on_post` before every post from now on, which may raise LocalError; None ends that."""
        self._on_post = on_post
        self._capacity = self._size if on_post is None else 0

    def _look_closer(self) -> None:
        if self._on_post is not None:
            self._on_post()
        if len(self._ring) >= self._size:
            raise LocalError(
                f"the send queue of QP {self._qp.number} is full (max_send_wr is {self._size})", errno=ENOMEM
            )

    def hold(self) -> None:
        """Hold back what was not begun; the rest goes on, with all repetitions that it takes (IBTA 10.3.1.5)."""
        ring, unbegun = self._ring, []
        while len(ring) > self._cursor and ring[-1].first_psn >= self._begun_psn:
            unbegun.append(ring.pop())
        self._held.extend(reversed(unbegun))

    def release(self) -> None:
        """What was held back may go."""
        self._ring.extend(self._held)
        self._held.clear()

    @property
    def _begun_psn(self) -> int:
        """What lies before it has been sent at least once."""
        return self.next_psn

    def resume(self) -> None:
        """Memory that was not there may be there now."""
        if self._parked is not None:
            self._parked = None
            self._qp.ring()

    # What subclasses decide

    def fail_oldest(self, status: WcStatus) -> None:
        """The oldest entry ends with `status`; what that does to the others is the transport's."""
        raise NotImplementedError

    def _asks_for_ack(self, packets: int, *, is_end: bool) -> bool:  # noqa: ARG002  # for those that are acknowledged
        """Whether the last of the next `packets` packets, perhaps the end of a message, asks for an acknowledgement."""
        return False

    def _ahead(self) -> Iterable[SendWqe]:
        """The entries from the cursor on that may leave together."""
        return islice(self._ring, self._cursor, None)

    # Sending

    def _build(self, room: int) -> Transmit | None:
        """The next send, of `room` PSNs at most."""
        shortcuts = self._qp.shortcuts
        if self._qp.memory.dma.epoch != self._epoch:
            self._forget_views()
        if shortcuts and (transmit := self._build_middles(room)) is not None:
            return transmit
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
            if send.is_closed or (send.count and not shortcuts):
                break
        if not send.count:
            return None
        return self.egress.finish(send)

    def _build_middles(self, room: int) -> Transmit | None:
        """The shortcut for a send full of packets from inside one message, perhaps up to its end.

        None where it does not apply: at the start of a message, where the send would not be full though more could
        join it, or where the memory is not one plain piece.
        """
        if self._cursor >= len(self._ring):
            return None
        wqe, psn, egress = self._ring[self._cursor], self.next_psn, self.egress
        opcodes = REQUESTS.get(wqe.opcode)
        rest = wqe.last_psn + 1 - psn
        if psn <= wqe.first_psn or opcodes is None or wqe.views is None or rest < 2:
            return None
        mtu, count = egress.path_mtu, min(egress.max_middles, room, rest)
        is_end = count == rest
        if is_end and (wqe.trailer or wqe.length % mtu or wqe.flags & SendFlags.SOLICITED):
            return None
        pages = region_pages(self._qp, wqe.sges, (psn - wqe.first_psn) * mtu, mtu, count)
        if len(pages) < count:
            return None
        self.next_psn += count
        self._cursor += is_end
        wants_ack = self._asks_for_ack(count, is_end=is_end)
        last = opcodes.last if is_end else opcodes.middle
        return egress.middles(opcodes.middle, psn, pages, last=last, wants_ack=wants_ack)

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
        return self._add_other(send, wqe, room)

    def _add_other(self, send: Send, wqe: SendWqe, room: int) -> bool:  # noqa: ARG002  # for those that have others
        """As `_add`, for what is neither a SEND nor an RDMA WRITE; those that take such posts have it."""
        raise AssertionError(f"{wqe.opcode.name} was posted where only SEND and RDMA WRITE are taken")

    def _prepare(self, wqe: SendWqe) -> bool:
        """Check the local memory on first use; a failure stops the queue here until all before it has completed."""
        if wqe is self._parked:
            return False
        try:
            views = self._look_up(wqe)
        except GatherError as error:
            wqe.status = error.status
            if self._ring[0] is wqe:
                self.fail_oldest(wqe.status)
            return False
        if isinstance(views, Fault):
            self._parked = wqe
            return False
        wqe.views = views
        return True

    def _look_up(self, wqe: SendWqe) -> tuple[memoryview, ...] | Fault:
        """The views that an entry is sent from, or a recoverable Fault; raises GatherError."""
        return gather(self._qp, wqe.sges)

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
        size = packet_bytes(len(wqe.header) + len(wqe.trailer), wqe.length)
        if send.count and send.segment_bytes != size:
            return 0
        limit = min(room, self.egress.room_for(send, size))
        run = collect_onlies(self._qp, self._ahead(), limit)
        if not run.payloads:
            return 0
        opcode = REQUESTS[wqe.opcode].only
        self.egress.add_onlies(
            send, opcode, self.next_psn, extensions=run.extensions, payloads=run.payloads, length=wqe.length
        )
        count = len(run.payloads)
        self.next_psn += count
        self._cursor += count
        self._asks_for_ack(count, is_end=True)
        return count

    def _add_middles(self, send: Send, wqe: SendWqe, room: int) -> bool:
        """The shortcut for packets inside a message that lie in one piece of memory; False where it does not apply."""
        start = self.next_psn - wqe.first_psn
        count = min(wqe.last_psn - self.next_psn, room, self.egress.max_middles - send.count)
        if start == 0 or count < 2 or (send.count and send.segment_bytes != self.egress.full_bytes):
            return False
        mtu = self.egress.path_mtu
        pages = region_pages(self._qp, wqe.sges, start * mtu, mtu, count)
        if len(pages) < 2:
            pages = page_views(wqe.views or (), start * mtu, mtu, count)
        if len(pages) < 2:
            return False
        opcode, psn = REQUESTS[wqe.opcode].middle, self.next_psn
        self.next_psn += len(pages)
        wants_ack = self._asks_for_ack(len(pages), is_end=False)
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
        if send.count and not self.egress.fits(send, packet_bytes(len(extension), length)):
            return False
        flags = SOLICITED if is_last and wqe.flags & SendFlags.SOLICITED else 0
        views = wqe.views or ()
        payload = views if length == wqe.length else packet_views(views, offset, length)
        psn = self.next_psn & 0xFFFFFF
        if self._asks_for_ack(1, is_end=is_last):
            psn |= ACK_REQUEST
        self.egress.add(send, opcode, flags, psn=psn, extension=extension, payload=payload, length=length)
        self.next_psn += 1
        return True

    def _data_extension(self, wqe: SendWqe, *, is_first: bool, is_last: bool) -> bytes:
        return (wqe.header if is_first else b"") + (wqe.trailer if is_last else b"")


def _choose(opcodes: Segmented, *, is_first: bool, is_last: bool) -> int:
    if is_first:
        return opcodes.only if is_last else opcodes.first
    return opcodes.last if is_last else opcodes.middle


def packet_bytes(extension_bytes: int, length: int) -> int:
    """Bytes of a packet from BTH to ICRC, with its padding."""
    return 16 + extension_bytes + (length + 3 & ~3)
