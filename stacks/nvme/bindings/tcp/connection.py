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
from wire.nvme.kinds import TcpDigest, TcpFatalStatus, TcpPduFlag, TcpPduKind
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

    discards = False

    def __init__(self, terminate_kind: TcpPduKind, *, buffer_bytes: int) -> None:
        self.is_finished = False
        self.is_over = False
        self.has_header_digest = False
        self.has_data_digest = False
        self.deadline_ns: int | None = None
        self._is_listening = True
        self._is_deaf = False
        self._terminate_kind = terminate_kind
        self._header_digest_bytes = self._data_digest_bytes = self._digest_flags = 0
        self._rules: Mapping[int, Rule] = {}
        self._output: Output[object] = Output(self._finished)
        self._buffer = memoryview(bytearray(buffer_bytes))
        self._start = self._end = 0
        self._verified_at = -1
        self._pdu = Pdu()
        self._pins = [0]
        self._old_pins: list[list[int]] = []
        """Of buffers that others have taken the place of, as far as commands still need them."""
        self._sink: memoryview | None = None
        self._sink_filled = 0
        self._is_sink_offered = False
        self._data_alignment = 1
        self._now = 0

    # The core's verbs

    def receive_views(self) -> Sequence[memoryview]:
        """The rest of the memory that data under way is for, if that is much, and the free part of the buffer."""
        if not self._is_listening:
            # What comes when nobody listens any more is only waited for its end; otherwise it waits in the system.
            return (self._buffer,) if self._is_deaf else ()
        if self._start == self._end and not self._pins[0]:
            self._start = self._end = 0
        elif len(self._buffer) - self._end < ROOM_BYTES and not self._make_room():
            return ()
        sink = self._sink
        free = self._buffer[self._end :]
        if sink is not None and len(sink) - self._sink_filled >= DIRECT_BYTES and self._start == self._end:
            self._is_sink_offered = True
            return (sink[self._sink_filled :], free)
        return (free,)

    def handle_received(self, length: int, now: int) -> None:
        """Bytes are there: act on every PDU that is complete."""
        self._now = now
        if not self._is_listening:
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

    def _terminated(self, error: PduError) -> None:
        """A TermReq was queued, because of what the other end sent."""
        raise NotImplementedError

    def _ended_by_peer(self, reason: str) -> None:
        """The other end sent a TermReq: the connection is over."""
        raise NotImplementedError

    def _take_run(self) -> bool:
        """Take many PDUs of one kind and size at once, if that is what comes; whether that was so."""
        return False

    def _agree(self, digests: int) -> None:
        """Use these `TcpDigest`s from now on."""
        self.has_header_digest = bool(digests & TcpDigest.HEADER)
        self.has_data_digest = bool(digests & TcpDigest.DATA)
        self._header_digest_bytes = DIGEST_BYTES if self.has_header_digest else 0
        self._data_digest_bytes = DIGEST_BYTES if self.has_data_digest else 0
        self._digest_flags = (_HEADER_DIGEST if self.has_header_digest else 0) | (
            _DATA_DIGEST if self.has_data_digest else 0
        )

    def _be_deaf(self) -> None:
        """Act on nothing that comes from now on, and touch no memory that data was to go to.

        The buffer is left to the commands whose data lies in it: a store may still be reading there.
        """
        self._is_listening, self._is_deaf = False, True
        self._sink = None
        self._is_sink_offered = False
        self._buffer = memoryview(bytearray(SCRAP_BYTES))
        self._start = self._end = 0

    def _seal(self, header: memoryview) -> None:
        """Put the digest behind a header, `header` having room for both."""
        digest = crc32c(header[:-DIGEST_BYTES])
        header[-DIGEST_BYTES:] = digest.to_bytes(DIGEST_BYTES, "little")

    # Reading

    def _make_room(self) -> bool:
        """Move what is not read yet to the start of a buffer; False when there are enough of them already."""
        if self._pins[0]:
            self._old_pins = [pins for pins in self._old_pins if pins[0]]
            if len(self._old_pins) >= OLD_BUFFERS_MAX:
                return len(self._buffer) > self._end
            self._old_pins.append(self._pins)
            old, self._buffer = self._buffer, memoryview(bytearray(len(self._buffer)))
            self._pins = [0]
        else:
            old = self._buffer
        rest = bytes(old[self._start : self._end])
        self._buffer[: len(rest)] = rest
        self._start, self._end = 0, len(rest)
        self._verified_at = -1
        return True

    def _parse(self) -> None:
        while self._is_listening:
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
        header_bytes = rule.hlen
        has_digests = pdu.kind > TcpPduKind.CONTROLLER_TERMINATE
        # What is wrong is told of the first field that is; lengths are judged before more is waited for, since a PDU
        # without the digest that it should have may be all that comes.
        if has_digests and pdu.flags & _HEADER_DIGEST != (_HEADER_DIGEST if self.has_header_digest else 0):
            raise invalid_field(1, "the header digest flag is not as agreed")
        if pdu.hlen != header_bytes:
            raise invalid_field(2, f"HLEN is {pdu.hlen}")
        if self.has_header_digest and has_digests:
            header_bytes += DIGEST_BYTES
            if self._verified_at != start and pdu.plen >= header_bytes:
                if self._end - start < header_bytes:
                    return False
                self._check_header_digest(pdu)
                self._verified_at = start
        needed = self._measure(pdu, rule, header_bytes, has_digests=has_digests)
        if self._end - start < needed:
            return False
        self._verified_at = -1
        self._start = start + needed
        sink = rule.handle(pdu)
        if sink is not None:
            self._sink, self._sink_filled = sink, 0
        return True

    def _measure(self, pdu: Pdu, rule: Rule, header_bytes: int, *, has_digests: bool) -> int:
        """Check flags and lengths; how many bytes must be there before `rule` can be followed.

        PDO means nothing without data, and PDO and flags mean nothing where there are no digests; Linux sets a PDO in
        capsules that have no data.
        """
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
        kinds = HOST_KINDS if self._terminate_kind is TcpPduKind.CONTROLLER_TERMINATE else CONTROLLER_KINDS
        if pdu.kind in kinds:
            return out_of_sequence(f"PDU type {pdu.kind:#x} cannot come now")
        return invalid_field(0, f"PDU type {pdu.kind:#x} does not come from there")

    # Ending

    def _terminate(self, error: PduError) -> None:
        """Tell the other end what is wrong, and wait for it to close (NVMe/TCP 3.5)."""
        rule, pdu = self._rules.get(self._pdu.kind), self._pdu
        if rule is not None and pdu.kind in TERMINATIONS:
            # Who ends the connection is not told what is wrong with how (NVMe over Fabrics 1.1 7.4.7).
            self._be_deaf()
            self._ended_by_peer(f"{error} in what ends the connection")
            return
        length = min(rule.hlen if rule is not None else HEADER_BYTES, TERMINATE_DATA_BYTES)
        header = bytes(self._buffer[pdu.at : min(self._end, pdu.at + length)])
        request = TcpTerminate(
            kind=self._terminate_kind,
            plen=TcpTerminate.SIZE + len(header),
            fes=error.code,
            fei_low=error.information & 0xFFFF,
            fei_high=error.information >> 16,
        )
        self._be_deaf()
        self._output.add(request.encode() + header)
        self.is_finished = True
        self.deadline_ns = self._now + TERMINATE_TIMEOUT_NS
        self._terminated(error)


HEAD = TcpHeader.words(1, TcpHeader.SIZE)
HOST_KINDS = frozenset(
    (TcpPduKind.INITIALIZE_REQUEST, TcpPduKind.HOST_TERMINATE, TcpPduKind.COMMAND, TcpPduKind.HOST_DATA)
)
CONTROLLER_KINDS = frozenset(TcpPduKind) - HOST_KINDS
TERMINATIONS = (TcpPduKind.HOST_TERMINATE, TcpPduKind.CONTROLLER_TERMINATE)
_HEADER_DIGEST, _DATA_DIGEST = TcpPduFlag.HEADER_DIGEST.value, TcpPduFlag.DATA_DIGEST.value

DIRECT_BYTES = 16 << 10
"""Data of which so much is still to come is received where it belongs; less is cheaper to copy."""
ROOM_BYTES = 64 << 10
"""How much of the buffer is free at least when it is offered; more than any PDU that has to lie in it whole."""
OLD_BUFFERS_MAX = 3
"""Buffers beside the present one that commands may hold with the data in their capsules. A host that has more under
way, with a store that is slow, is not read on before some are done."""
SCRAP_BYTES = 16 << 10
