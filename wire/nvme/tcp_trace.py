"""Follow NVMe over TCP through captured segments: connections, the PDUs on them, and the commands that those make up.

`TcpTrace.feed` takes TCP segments in order of capture. What goes to or comes from one of its ports is cut into PDUs, in
order of sequence numbers; a PDU counts as carried by the packet that completed it, as Wireshark has it. For tools and
tests: nothing here judges, answers or expires, and everything seen is kept.

Left out: connections whose SYNs are not in the capture, and what follows a PDU whose lengths cannot be.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from wire.checksum import crc32c
from wire.nvme.commands_codec import CompletionEntry
from wire.nvme.fabrics_codec import ConnectCommand
from wire.nvme.kinds import TcpDigest, TcpPduFlag, TcpPduKind
from wire.nvme.opcodes import AdminOpcode, FabricsType
from wire.nvme.tcp_codec import (
    TcpCommand,
    TcpCompletion,
    TcpControllerData,
    TcpHeader,
    TcpHostData,
    TcpInitializeResponse,
    TcpReadyToTransfer,
)
from wire.nvme.traced_command import TracedCommand
from wire.segments import Segment, Stream
from wire.seqnum import seq_add


@dataclass(slots=True, eq=False)
class TracedPdu:
    """One PDU: the packet that completed it, all of its bytes, its sender, and the command that it belongs to."""

    frame: int
    raw: bytes
    from_host: bool
    command: TracedCommand | None = None

    @property
    def header(self) -> TcpHeader:
        """The common header."""
        return TcpHeader.decode(self.raw)

    @property
    def header_digest(self) -> int | None:
        """The digest behind the header, None when there is none."""
        header = self.header
        return self._number(header.hlen) if header.flags & TcpPduFlag.HEADER_DIGEST else None

    @property
    def data_digest(self) -> int | None:
        """The digest behind the data, None when there is none."""
        return self._number(len(self.raw) - DIGEST_BYTES) if self._has_data_digest else None

    @property
    def data(self) -> bytes:
        """What follows the header, its digest and padding, without the data's digest."""
        start = self.header.pdo or self.header.hlen + DIGEST_BYTES * (self.header_digest is not None)
        return self.raw[start : len(self.raw) - DIGEST_BYTES * self._has_data_digest]

    @property
    def is_intact(self) -> bool:
        """Whether the digests that it has are right."""
        header = self.header_digest in (None, crc32c(self.raw[: self.header.hlen]))
        return header and self.data_digest in (None, crc32c(self.data))

    @property
    def _has_data_digest(self) -> bool:
        return bool(self.header.flags & TcpPduFlag.DATA_DIGEST) and self.header.plen > self.header.hlen + DIGEST_BYTES

    def _number(self, offset: int) -> int:
        return int.from_bytes(self.raw[offset : offset + DIGEST_BYTES], "little")


@dataclass(slots=True, eq=False)
class TracedTcpQueue:
    """One connection: address and port of both ends, its queue's number once Connect told it, and its digests."""

    host: tuple[str, int]
    controller: tuple[str, int]
    qid: int = 0
    digests: TcpDigest = field(default=TcpDigest(0))


class TcpTrace:
    """Queues, PDUs and commands found so far, in order of appearance; ports: TCP ports that mean NVMe."""

    def __init__(self, ports: frozenset[int] = frozenset({4420})) -> None:
        self.queues: list[TracedTcpQueue] = []
        self.pdus: list[TracedPdu] = []
        self.commands: list[TracedCommand] = []
        self._ports = ports
        self._directions: dict[tuple[tuple[str, int], tuple[str, int]], _Direction] = {}

    def feed(self, frame: int, segment: Segment) -> None:
        """One segment; what belongs to no NVMe connection is passed over."""
        if not self._ports & {segment.sender[1], segment.receiver[1]}:
            return
        way = segment.sender, segment.receiver
        if segment.begins:
            self._open(segment)
        if (direction := self._directions.get(way)) is not None:
            for pdu in direction.take(frame, segment):
                self.pdus.append(pdu)
                if pdu.header.kind == TcpPduKind.COMMAND and pdu.command:
                    self.commands.append(pdu.command)

    def _open(self, segment: Segment) -> None:
        way, back = (segment.sender, segment.receiver), (segment.receiver, segment.sender)
        first = seq_add(segment.header.sequence, 1)
        if not segment.acknowledges:
            queue = TracedTcpQueue(*way)
            self.queues.append(queue)
            self._directions[way] = _Direction(_Work(queue), first, from_host=True)
        elif back in self._directions:
            self._directions[way] = _Direction(self._directions[back].work, first, from_host=False)


class _Work:
    """What the two directions of a connection share: commands that are not completed."""

    def __init__(self, queue: TracedTcpQueue) -> None:
        self.queue = queue
        self.outstanding: dict[int, TracedCommand] = {}


class _Direction:
    """What one end of a connection sends, cut into PDUs."""

    def __init__(self, work: _Work, first_seq: int, *, from_host: bool) -> None:
        self.work = work
        self._stream = Stream(first_seq)
        self._from_host = from_host
        self._bytes = bytearray()
        self._is_lost = False

    def take(self, frame: int, segment: Segment) -> list[TracedPdu]:
        """The PDUs that a segment completes."""
        for piece in self._stream.take(segment.header.sequence, bytes(segment.payload)):
            self._bytes += piece
        pdus = []
        while not self._is_lost and len(self._bytes) >= TcpHeader.SIZE:
            header = TcpHeader.decode(self._bytes)
            self._is_lost = header.kind not in SIZES or not SIZES[header.kind] <= header.hlen <= header.plen
            if self._is_lost or len(self._bytes) < header.plen:
                break
            pdu = TracedPdu(frame, bytes(self._bytes[: header.plen]), self._from_host)
            del self._bytes[: header.plen]
            self._follow(pdu)
            pdus.append(pdu)
        return pdus

    def _follow(self, pdu: TracedPdu) -> None:
        match pdu.header.kind:
            case TcpPduKind.INITIALIZE_RESPONSE:
                self.work.queue.digests = TcpDigest(TcpInitializeResponse.decode(pdu.raw).digests & BOTH_DIGESTS)
            case TcpPduKind.COMMAND:
                self._begin(pdu)
            case TcpPduKind.COMPLETION:
                self._end(pdu)
            case TcpPduKind.HOST_DATA:
                host = TcpHostData.decode(pdu.raw)
                self._place(pdu, host.cid, host.offset)
            case TcpPduKind.CONTROLLER_DATA:
                controller = TcpControllerData.decode(pdu.raw)
                self._place(pdu, controller.cid, controller.offset)
                if pdu.command and pdu.header.flags & TcpPduFlag.SUCCESS:
                    del self.work.outstanding[controller.cid]
            case TcpPduKind.READY_TO_TRANSFER:
                pdu.command = self.work.outstanding.get(TcpReadyToTransfer.decode(pdu.raw).cid)

    def _begin(self, pdu: TracedPdu) -> None:
        entry = pdu.raw[TcpHeader.SIZE : TcpCommand.SIZE]
        command = pdu.command = TracedCommand(self.work.queue, pdu.frame, entry + pdu.data)
        self.work.outstanding[command.entry.cid] = command
        if entry[0] == AdminOpcode.FABRICS and entry[4] == FabricsType.CONNECT:
            self.work.queue.qid = ConnectCommand.decode(entry).qid

    def _end(self, pdu: TracedPdu) -> None:
        completion = pdu.raw[TcpHeader.SIZE : TcpCompletion.SIZE]
        pdu.command = self.work.outstanding.pop(CompletionEntry.decode(completion).cid, None)
        if pdu.command:
            pdu.command.completion, pdu.command.completion_frame = completion, pdu.frame

    def _place(self, pdu: TracedPdu, cid: int, offset: int) -> None:
        pdu.command = self.work.outstanding.get(cid)
        if pdu.command:
            pdu.command.to_host = not self._from_host
            pdu.command.place(pdu.frame, offset, pdu.data)


DIGEST_BYTES = 4
BOTH_DIGESTS = int(TcpDigest.HEADER | TcpDigest.DATA)
SIZES = {
    TcpPduKind.INITIALIZE_REQUEST.value: 128,
    TcpPduKind.INITIALIZE_RESPONSE.value: 128,
    TcpPduKind.HOST_TERMINATE.value: 24,
    TcpPduKind.CONTROLLER_TERMINATE.value: 24,
    TcpPduKind.COMMAND.value: 72,
    TcpPduKind.COMPLETION.value: 24,
    TcpPduKind.HOST_DATA.value: 24,
    TcpPduKind.CONTROLLER_DATA.value: 24,
    TcpPduKind.READY_TO_TRANSFER.value: 24,
}
"""The header's length by kind; a header that claims less is none."""
