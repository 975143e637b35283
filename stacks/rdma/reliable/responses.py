"""Responses that carry data, on their way out and remembered for duplicates (IBTA 9.4.4, 9.4.5)."""

from __future__ import annotations

from dataclasses import dataclass

from stacks.dma.contract import Fault
from stacks.rdma.egress import Egress, Send
from stacks.rdma.enums import SYNDROME_ACK
from stacks.rdma.memory import Region
from stacks.rdma.memory.gather import packet_views, page_views
from stacks.rdma.opcodes import ATOMIC_ACKNOWLEDGE, READ_RESPONSE
from wire.roce import AtomicAckEth, Reth


class ReadResponse:
    """The answer to one READ request, as far as it has been sent.

    region: what it reads, already checked; None for a READ of nothing. msn: what its AETH says.
    is_replay: whether it answers a duplicate. is_awaiting_page: whether the last `fill` met a recoverable Fault.
    """

    def __init__(self, region: Region | None, reth: Reth, *, first_psn: int, path_mtu: int) -> None:
        self._region = region
        self._address = reth.va
        self._length = reth.length
        self._path_mtu = path_mtu
        self._next = 0
        self.first_psn = first_psn
        self.last_psn = first_psn + max(0, reth.length - 1) // path_mtu
        self.msn = 0
        self.is_replay = False
        self.is_awaiting_page = False

    @property
    def is_finished(self) -> bool:
        """Whether everything was sent."""
        return self.first_psn + self._next > self.last_psn

    @property
    def next_psn(self) -> int:
        """Of the next packet to send."""
        return self.first_psn + self._next

    def fill(self, send: Send, egress: Egress, *, shortcuts: bool) -> bool:
        """Add as many packets as fit; False when the next one's memory is gone, or awaited (`is_awaiting_page`)."""
        while not self.is_finished and not send.is_closed:
            offset = self._next * self._path_mtu
            # No more than this send can hold: each look at memory in pieces costs what it covers.
            rest = min(self._length - offset, (egress.max_middles + 1) * self._path_mtu)
            views = self._views(offset, rest)
            is_whole = views is not None
            if self.is_awaiting_page:
                # A page of the rest is not there; the next packet's may be.
                views = self._views(offset, min(rest, self._path_mtu))
            if views is None:
                return False
            is_added = shortcuts and is_whole and self._add_middles(send, egress, views)
            if not is_added and not self._add(send, egress, views):
                break
            if not shortcuts:
                break
        return True

    def _views(self, offset: int, length: int) -> tuple[memoryview, ...] | None:
        self.is_awaiting_page = False
        if self._region is None:
            return ()
        if not self._region.is_valid:
            return None
        found = self._region.read(self._address + offset, length)
        if isinstance(found, Fault):
            self.is_awaiting_page = found.is_recoverable
            return None
        return found

    def _add_middles(self, send: Send, egress: Egress, views: tuple[memoryview, ...]) -> bool:
        mtu = self._path_mtu
        count = min(self.last_psn - self.first_psn - self._next, egress.max_middles - send.count)
        if self._next == 0 or count < 1 or (send.count and send.segment_bytes != egress.full_bytes):
            return False
        region = self._region
        if region is not None and region.direct is not None:
            pages = region.pages(self._address + self._next * mtu, mtu, count)
        else:
            pages = page_views(views, 0, mtu, count)
        if not pages:
            return False
        egress.add_middles(send, READ_RESPONSE.middle, self.first_psn + self._next, pages)
        self._next += len(pages)
        return True

    def _add(self, send: Send, egress: Egress, views: tuple[memoryview, ...]) -> bool:
        is_first = self._next == 0
        is_last = self.first_psn + self._next == self.last_psn
        offset = self._next * self._path_mtu
        length = self._length - offset if is_last else self._path_mtu
        has_aeth = is_first or is_last
        size = 16 + (4 if has_aeth else 0) + (length + 3 & ~3)
        if send.count and not egress.fits(send, size):
            return False
        opcodes = READ_RESPONSE
        if is_first:
            opcode = opcodes.only if is_last else opcodes.first
        else:
            opcode = opcodes.last if is_last else opcodes.middle
        egress.add(
            send,
            opcode,
            0,
            psn=(self.first_psn + self._next) & 0xFFFFFF,
            extension=aeth_bytes(SYNDROME_ACK, self.msn) if has_aeth else b"",
            payload=packet_views(views, 0, length) if views else (),
            length=length,
        )
        self._next += 1
        return True


class UndividedResponse:
    """The answer of one packet to an atomic (the value that was there before), a FLUSH or an ATOMIC WRITE (no data).

    opcode: of the request. original: for an atomic, else None.
    """

    __slots__ = ("_is_sent", "first_psn", "is_replay", "last_psn", "msn", "opcode", "original")
    is_awaiting_page = False

    def __init__(self, opcode: int, psn: int, msn: int, original: int | None) -> None:
        self.opcode = opcode
        self.first_psn = self.last_psn = psn
        self.msn = msn
        self.original = original
        self.is_replay = False
        self._is_sent = False

    @property
    def next_psn(self) -> int:
        """Its only one."""
        return self.first_psn

    @property
    def is_finished(self) -> bool:
        """Whether it was sent, and not asked for again."""
        return self._is_sent

    def fill(self, send: Send, egress: Egress, *, shortcuts: bool) -> bool:  # noqa: ARG002  # as ReadResponse's
        """Add the response packet if it fits; never fails."""
        opcode, extension = READ_RESPONSE.only, aeth_bytes(SYNDROME_ACK, self.msn)
        if self.original is not None:
            opcode = ATOMIC_ACKNOWLEDGE
            extension += AtomicAckEth(original=self.original).encode()
        if not send.count or egress.fits(send, 16 + len(extension)):
            psn = self.first_psn & 0xFFFFFF
            egress.add(send, opcode, 0, psn=psn, extension=extension, payload=(), length=0)
            self._is_sent = True
        return True

    def again(self) -> UndividedResponse:
        """A copy that has not been sent, for a duplicate."""
        response = UndividedResponse(self.opcode, self.first_psn, self.msn, self.original)
        response.is_replay = True
        return response


@dataclass(frozen=True, slots=True)
class Replay:
    """A READ, or what is executed once: its PSNs, and the READ's range and region or the other's answer."""

    first_psn: int
    last_psn: int
    read: Reth | None
    answer: UndividedResponse | None
    region: Region | None = None

    def covers(self, psn: int, reth: Reth, path_mtu: int) -> bool:
        """Whether a READ request at `psn` asks for a part of this one, at its right place (IBTA 9.7.5.1.2)."""
        read = self.read
        if read is None or not self.first_psn <= psn <= self.last_psn or reth.rkey != read.rkey:
            return False
        offset = (psn - self.first_psn) * path_mtu
        return reth.va == read.va + offset and reth.length <= read.length - offset


def aeth_bytes(syndrome: int, msn: int) -> bytes:
    """An AETH as it is sent; `msn` is wrapped to 24 bits."""
    return (syndrome << 24 | msn & 0xFFFFFF).to_bytes(4, "big")
