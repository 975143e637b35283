"""One connection of NVMe/TCP, as far as both ends have it in common: bytes to PDUs, PDUs to bytes, and how it ends.

    receive_views -> handle_received -> a rule for each kind of PDU -> the subclass
    the subclass -> `_output` -> poll_output

Bytes are received into a buffer, and PDUs are read where they lie. Data PDUs are not waited for whole: their data goes
to the memory that it is for, and much of it is received there directly. Data inside a capsule stays in the buffer while
its command needs it (`pins`); when the buffer is full before that, another takes its place.

Follows the NVMe/TCP transport specification 1.0 (3.4 to 3.6).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from stacks.nvme.bindings.tcp.errors import PduError, invalid_field, out_of_sequence
from stacks.nvme.bindings.tcp.output import Output
from stacks.nvme.bindings.tcp.parameters import (
    DIGEST_BYTES,
    HEADER_BYTES,
    TERMINATE_DATA_BYTES,
    TERMINATE_TIMEOUT_NS,
)
from transports.datagram import Buffer
from wire.checksum import crc32c
from wire.nvme.kinds import TcpFatalStatus, TcpPduFlag, TcpPduKind
from wire.nvme.tcp_codec import TcpHeader, TcpTerminate


class Pdu:
    """Where the PDU being read lies in the buffer: its first byte, and what its common header says."""

    __slots__ = ("at", "data_bytes", "flags", "hlen", "kind", "pdo", "plen")

    def __init__(self) -> None:
        self.at = self.kind = self.flags = self.hlen = self.pdo = self.plen = self.data_bytes = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of a kind of PDU.

    hlen: its header's length. handle: called when the header is there, and all of the data as well unless `streams`;
    then it returns where the data goes. data_bytes_max: how much data it may have.
    """

    hlen: int
    handle: Callable[[Pdu], memoryview | None]
    data_bytes_max: int = 0
    streams: bool = False


class TcpConnection:
    """A `StreamCore`. terminate_kind: the TermReq that this end sends; buffer_bytes: size of the receive buffer."""

    def __init__(self, terminate_kind: TcpPduKind, *, buffer_bytes: int) -> None:
        self.is_finished = False
        self.is_over = False
        self.has_header_digest = False
        self.has_data_digest = False
        self.deadline_ns: int | None = None
        self._terminate_kind = terminate_kind
        self._rules: Mapping[int, Rule] = {}
        self._output: Output[object] = Output(self._finished)
        self._buffer = memoryview(bytearray(buffer_bytes))
        self._start = self._end = 0
        self._verified_at = -1
        self._pdu = Pdu()
        self._pins = [0]
        self._sink: memoryview | None = None
        self._sink_filled = 0
        self._is_sink_offered = False
        self._data_alignment = 1
        self._now = 0

    # The core's verbs

    def receive_views(self) -> Sequence[memoryview]:
        """The rest of the memory that data under way is for, if that is much, and the free part of the buffer."""
        if self.is_finished:
            # What still comes is only waited for its end.
            return (self._buffer,)
        if self._start == self._end and not self._pins[0]:
            self._start = self._end = 0
        elif len(self._buffer) - self._end < ROOM_BYTES:
            self._make_room()
        sink = self._sink
        free = self._buffer[self._end :]
        if sink is not None and len(sink) - self._sink_filled >= DIRECT_BYTES and self._start == self._end:
            self._is_sink_offered = True
            return (sink[self._sink_filled :], free)
        return (free,)

    def handle_received(self, length: int, now: int) -> None:
        """Bytes are there: act on every PDU that is complete."""
        self._now = now
        if self.is_finished:
            return
        if self._is_sink_offered:
            self._is_sink_offered = False
            assert self._sink is not None
            direct = min(length, len(self._sink) - self._sink_filled)
            self._sink_filled += direct
            length -= direct
        self._end += length
        try:
            self._parse()
        except PduError as error:
            self._terminate(error)

    def poll_output(self) -> Sequence[Buffer]:
        """What is to be sent."""
        return self._output.views

    def sent(self, length: int) -> None:
        """So much of it is taken."""
        self._output.sent(length)

    # For the subclass

    def _finished(self, item: object) -> None:
        """Everything before the mark of `item` is sent."""
        raise NotImplementedError

    def _data_received(self, length: int, *, is_intact: bool) -> None:
        """The data of a streamed PDU is in its place; is_intact: its digest, where there is one, was right."""
        raise NotImplementedError

    def _terminated(self, reason: str) -> None:
        """A TermReq was queued, because of what the other end sent."""
        raise NotImplementedError

    def _take_run(self) -> bool:
        """Take many PDUs of one kind and size at once, if that is what comes; whether that was so."""
        return False

    def _seal(self, header: memoryview) -> None:
        """Put the digest behind a header, `header` having room for both."""
        digest = crc32c(header[:-DIGEST_BYTES])
        header[-DIGEST_BYTES:] = digest.to_bytes(DIGEST_BYTES, "little")

    # Reading

    def _make_room(self) -> None:
        rest = bytes(self._buffer[self._start : self._end])
        if self._pins[0]:
            self._buffer = memoryview(bytearray(len(self._buffer)))
            self._pins = [0]
        self._buffer[: len(rest)] = rest
        self._start, self._end = 0, len(rest)
        self._verified_at = -1

    def _parse(self) -> None:
        while not self.is_finished:
            if self._sink is not None:
                if not self._continue_data():
                    return
            elif self._end - self._start < HEADER_BYTES or not (self._take_run() or self._take_one()):
                return

    def _take_one(self) -> bool:
        """Take the next PDU; False when it is not there yet."""
        pdu, start = self._pdu, self._start
        first, pdu.plen = HEAD(self._buffer, start)
        pdu.at = start
        pdu.kind, pdu.flags, pdu.hlen, pdu.pdo = first & 0xFF, first >> 8 & 0xFF, first >> 16 & 0xFF, first >> 24
        rule = self._rules.get(pdu.kind)
        if rule is None:
            raise self._unexpected(pdu)
        if pdu.hlen != rule.hlen:
            raise invalid_field(2, f"HLEN is {pdu.hlen}")
        header_bytes = pdu.hlen
        is_ic = pdu.kind <= TcpPduKind.CONTROLLER_TERMINATE
        if self.has_header_digest and not is_ic:
            header_bytes += DIGEST_BYTES
        if header_bytes > pdu.hlen and self._verified_at != start:
            if self._end - start < header_bytes:
                return False
            self._check_header_digest(pdu)
            self._verified_at = start
        needed = self._measure(pdu, rule, header_bytes, has_digests=not is_ic)
        if self._end - start < needed:
            return False
        self._verified_at = -1
        self._start = start + needed
        sink = rule.handle(pdu)
        if sink is not None:
            self._sink, self._sink_filled = sink, 0
        return True

    def _measure(self, pdu: Pdu, rule: Rule, header_bytes: int, *, has_digests: bool) -> int:
        """Check flags and lengths; how many bytes must be there before `rule` can be followed."""
        if has_digests and pdu.flags & _HEADER_DIGEST != (_HEADER_DIGEST if self.has_header_digest else 0):
            raise invalid_field(1, "the header digest flag is not as agreed")
        if pdu.plen == header_bytes:
            pdu.data_bytes = 0
            if rule.streams:
                raise invalid_field(4, "a data PDU without data")
            return header_bytes
        if pdu.plen < header_bytes or not rule.data_bytes_max:
            raise invalid_field(4, f"PLEN is {pdu.plen}")
        digest_bytes = DIGEST_BYTES if self.has_data_digest and has_digests else 0
        if has_digests and pdu.flags & _DATA_DIGEST != (_DATA_DIGEST if digest_bytes else 0):
            raise invalid_field(1, "the data digest flag is not as agreed")
        if has_digests and (pdu.pdo < header_bytes or pdu.pdo % self._data_alignment):
            raise invalid_field(3, f"PDO is {pdu.pdo}")
        data_at = pdu.pdo if has_digests else header_bytes
        pdu.data_bytes = pdu.plen - data_at - digest_bytes
        if pdu.data_bytes <= 0:
            raise invalid_field(4, f"PLEN is {pdu.plen}")
        if pdu.data_bytes > rule.data_bytes_max:
            raise PduError(TcpFatalStatus.LIMIT_EXCEEDED, f"{pdu.data_bytes} bytes of data in one PDU")
        return data_at if rule.streams else pdu.plen

    def _check_header_digest(self, pdu: Pdu) -> None:
        end = pdu.at + pdu.hlen
        received = int.from_bytes(self._buffer[end : end + DIGEST_BYTES], "little")
        if crc32c(self._buffer[pdu.at : end]) != received:
            raise PduError(TcpFatalStatus.HEADER_DIGEST_ERROR, "the header digest is wrong", information=received)

    def _is_data_intact(self, pdu: Pdu) -> bool:
        """Whether the data of a PDU that lies whole in the buffer has the right digest, or needs none."""
        if not self.has_data_digest or not pdu.data_bytes:
            return True
        end = pdu.at + pdu.plen - DIGEST_BYTES
        digest = int.from_bytes(self._buffer[end : end + DIGEST_BYTES], "little")
        return crc32c(self._buffer[pdu.at + pdu.pdo : end]) == digest

    def _continue_data(self) -> bool:
        """Take more of the data of a streamed PDU; False when there is none."""
        sink, start = self._sink, self._start
        assert sink is not None
        filled = self._sink_filled
        taken = min(len(sink) - filled, self._end - start)
        if taken:
            sink[filled : filled + taken] = self._buffer[start : start + taken]
            self._sink_filled = filled = filled + taken
            self._start = start = start + taken
        if filled < len(sink):
            return False
        is_intact = True
        if self.has_data_digest:
            if self._end - start < DIGEST_BYTES:
                return False
            is_intact = crc32c(sink) == int.from_bytes(self._buffer[start : start + DIGEST_BYTES], "little")
            self._start = start + DIGEST_BYTES
        self._sink = None
        self._data_received(len(sink), is_intact=is_intact)
        return True

    def _unexpected(self, pdu: Pdu) -> PduError:
        if pdu.kind in KINDS:
            return out_of_sequence(f"PDU type {pdu.kind:#x} cannot come now")
        return invalid_field(0, f"there is no PDU type {pdu.kind:#x}")

    # Ending

    def _terminate(self, error: PduError) -> None:
        """Tell the other end what is wrong, and wait for it to close (NVMe/TCP 3.5)."""
        at = self._pdu.at
        header = bytes(self._buffer[at : min(self._end, at + max(HEADER_BYTES, self._pdu.hlen))])[:TERMINATE_DATA_BYTES]
        request = TcpTerminate(
            kind=self._terminate_kind,
            plen=TcpTerminate.SIZE + len(header),
            fes=error.code,
            fei_low=error.information & 0xFFFF,
            fei_high=error.information >> 16,
        )
        self._output.add(request.encode() + header)
        self.is_finished = True
        self._sink = None
        self.deadline_ns = self._now + TERMINATE_TIMEOUT_NS
        self._terminated(str(error))


HEAD = TcpHeader.words(1, TcpHeader.SIZE)
KINDS = frozenset(TcpPduKind)
_HEADER_DIGEST, _DATA_DIGEST = TcpPduFlag.HEADER_DIGEST.value, TcpPduFlag.DATA_DIGEST.value

DIRECT_BYTES = 16 << 10
"""Data of which so much is still to come is received where it belongs; less is cheaper to copy."""
ROOM_BYTES = 64 << 10
"""How much of the buffer is free at least when it is offered; more than any PDU that has to lie in it whole."""
