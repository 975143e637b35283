"""One connection on the initiator's side: a queue of an association.

    opened            -> ICReq; ICResp -> the queue is open
    queue.outgoing    -> CapsuleCmd, small data inside
    R2T               -> H2CData, out of the program's memory
    C2HData           -> into the program's memory
    CapsuleResp, or C2HData that says success -> the command is over

Follows the NVMe/TCP transport specification 1.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.bindings.tcp.agreement import alignment_bytes, check_response, missing
from stacks.nvme.bindings.tcp.connection import HEAD, Pdu, Rule, TcpConnection
from stacks.nvme.bindings.tcp.errors import PduError, invalid_field
from stacks.nvme.bindings.tcp.parameters import ADMIN_IN_CAPSULE_BYTES, DIGEST_BYTES, IC_BYTES, TERMINATE_DATA_BYTES
from stacks.nvme.host import HostCommand, HostQueue
from wire.checksum import crc32c
from wire.nvme.kinds import SglKind, TcpFatalStatus, TcpPduFlag, TcpPduKind
from wire.nvme.opcodes import AdminOpcode
from wire.nvme.sgl_codec import DataBlockSgl
from wire.nvme.status import StatusCode
from wire.nvme.tcp_codec import (
    TcpCommand,
    TcpCompletion,
    TcpControllerData,
    TcpHostData,
    TcpInitializeRequest,
    TcpInitializeResponse,
    TcpReadyToTransfer,
    TcpTerminate,
)

if TYPE_CHECKING:
    from stacks.nvme.bindings.tcp.initiator import TcpInitiator


class TcpHostConnection(TcpConnection):
    """A queue's connection.

    queue: the core's; digests: `TcpDigest`s to ask for.
    in_capsule_bytes: how much data an I/O command's capsule may carry; 0 for none.
    """

    discards = True
    """A write that is sent again elsewhere must not come late as well, and over what was written after it."""

    def __init__(self, owner: TcpInitiator, queue: HostQueue, *, in_capsule_bytes: int, digests: int) -> None:
        super().__init__(TcpPduKind.HOST_TERMINATE, buffer_bytes=BUFFER_BYTES)
        self.owner = owner
        self.queue = queue
        queue.on_abandon = self._abandoned
        self._in_capsule_bytes = in_capsule_bytes if queue.qid else ADMIN_IN_CAPSULE_BYTES
        self._digests = digests
        self._alignment = 0
        self._host_data_bytes = 0
        self._takes_runs = False
        self._streaming: HostCommand | None = None
        self._is_last = self._is_success = False
        self._progress: dict[int, int] = {}
        """How far the data of a command has come, by CID, where it comes in pieces."""
        self._damaged: set[int] = set()
        self._sending: dict[int, int] = {}
        """H2CData PDUs that are not sent yet, by CID."""
        self._early: dict[int, tuple[int, int, int]] = {}
        """Commands that ended while their data was still on its way out."""
        self._sgls: dict[int, bytes] = {}
        self._rules = {
            TcpPduKind.INITIALIZE_RESPONSE: Rule(IC_BYTES, self._initialized),
            TcpPduKind.CONTROLLER_TERMINATE: Rule(TcpTerminate.SIZE, self._end_by_controller, TERMINATE_DATA_BYTES),
        }
        self._output.add(TcpInitializeRequest(digests=digests).encode())

    def handle_ended(self, failure: str, now: int) -> None:
        """The controller closed the connection, or it was lost, or never came about."""
        self._now = now
        self.is_over = True
        self.owner.ended(self, failure, now)

    def stop(self) -> None:
        """Nothing more is sent or taken."""
        self.is_over = True
        self._be_deaf()
        self._output.drop()

    def _abandoned(self, _: HostCommand) -> None:
        # The program has its memory back, so nothing may go into it or out of it any more. What a TermReq is to follow
        # is ours already.
        if not self.is_over and not self.is_finished:
            self.stop()
            self.owner.touched(self)

    def post_outgoing(self) -> None:
        """Send what the queue has; capsules without data lie in one piece of memory."""
        commands, pack, sgls = self.queue.outgoing, TcpCommand.PACK, self._sgls
        header_bytes, flags = TcpCommand.SIZE + self._header_digest_bytes, self._digest_flags & _HEADER_DIGEST
        room = memoryview(bytearray(len(commands) * header_bytes))
        start = end = 0
        for command in commands:
            data = command.data
            length = 0 if data is None else len(data)
            if length and not command.is_read and length <= self._room_in_capsule(command):
                self._add_run(room[start:end])
                start = end
                assert data is not None
                self._post_with_data(command, data, header_bytes)
                continue
            sgl = sgls.get(length) or self._transport_sgl(length)
            pack(room, end, COMMAND, flags, TcpCommand.SIZE, 0, header_bytes, *_entry_of(command, sgl))
            if flags:
                self._seal(room[end : end + header_bytes])
            end += header_bytes
        self._add_run(room[start:end])
        commands.clear()

    def _add_run(self, capsules: memoryview) -> None:
        if capsules:
            self._output.add(capsules)

    def _post_with_data(self, command: HostCommand, data: memoryview, header_bytes: int) -> None:
        length, pdo = len(data), self._padded(header_bytes)
        plen = pdo + length + self._data_digest_bytes
        sgl = DataBlockSgl(length=length, kind=IN_CAPSULE).encode()
        room = memoryview(bytearray(pdo))
        TcpCommand.PACK(
            room, 0, COMMAND, self._digest_flags, TcpCommand.SIZE, pdo, plen, *_entry_of(command, sgl)
        )
        self._add_sealed(room, header_bytes)
        self._add_data(command, data)
        self._progress[command.cid] = length

    def _room_in_capsule(self, command: HostCommand) -> int:
        # The capsule of a fabrics command has room for its data on every queue.
        return ADMIN_IN_CAPSULE_BYTES if command.opcode == FABRICS else self._in_capsule_bytes

    def _transport_sgl(self, length: int) -> bytes:
        sgl = DataBlockSgl(length=length, kind=TRANSPORT).encode()
        if len(self._sgls) < SGLS_KEPT:
            self._sgls[length] = sgl
        return sgl

    def _padded(self, header_bytes: int) -> int:
        return -(-header_bytes // self._alignment) * self._alignment if self._alignment else header_bytes

    def _add_sealed(self, room: memoryview, header_bytes: int) -> None:
        """Send a header with its digest, where digests are used, and its padding."""
        if self._header_digest_bytes:
            self._seal(room[:header_bytes])
        self._output.add(room)

    def _add_data(self, command: HostCommand, data: memoryview) -> None:
        self._output.add(data)
        if self._data_digest_bytes:
            self._output.add(crc32c(data).to_bytes(DIGEST_BYTES, "little"))
        self._sending[command.cid] = self._sending.get(command.cid, 0) + 1
        self._output.mark(command)

    def _finished(self, item: object) -> None:
        # The program has its memory back when its command is over, so that must not be before all of it is sent.
        assert isinstance(item, HostCommand)
        cid = item.cid
        left = self._sending.get(cid, 0) - 1
        if left > 0:
            self._sending[cid] = left
            return
        self._sending.pop(cid, None)
        early = self._early.pop(cid, None)
        if early is not None and self.queue.is_open and self.queue.command_of(cid) is item:
            code, dw0, dw1 = early
            self.queue.complete(item, code, dw0=dw0, dw1=dw1)
            self.owner.touched(self)

    # What the controller sends

    def _initialized(self, pdu: Pdu) -> None:
        response = TcpInitializeResponse.decode(self._buffer, pdu.at)
        check_response(response, self._digests)
        if missing(response, self._digests):
            # Whoever asks for digests counts on them, so that is as with Linux, which does not go on without either.
            self.owner.ended(self, f"it does without the {missing(response, self._digests)} asked for", self._now)
            return
        self._agree(response.digests)
        self._alignment = alignment_bytes(response.cpda)
        self._host_data_bytes = response.maxh2cdata
        self._rules = {
            TcpPduKind.COMPLETION: Rule(TcpCompletion.SIZE, self._completion),
            TcpPduKind.CONTROLLER_DATA: Rule(
                TcpControllerData.SIZE, self._controller_data, CONTROLLER_DATA_MAX, streams=True
            ),
            TcpPduKind.READY_TO_TRANSFER: Rule(TcpReadyToTransfer.SIZE, self._ready_to_transfer),
            TcpPduKind.CONTROLLER_TERMINATE: self._rules[TcpPduKind.CONTROLLER_TERMINATE],
        }
        self._takes_runs = self.owner.config.shortcuts and not self.has_header_digest
        self.owner.opened(self, self._now)

    def _end_by_controller(self, pdu: Pdu) -> None:
        request = TcpTerminate.decode(self._buffer, pdu.at)
        names = {status.value: status.name.lower().replace("_", " ") for status in TcpFatalStatus}
        self._ended_by_peer(names.get(request.fes, f"status {request.fes}"))

    def _ended_by_peer(self, reason: str) -> None:
        self.is_over = True
        self.owner.ended(self, f"it ended the connection, {reason}", self._now)

    def _command_of(self, cid: int, what: str) -> HostCommand:
        command = self.queue.command_of(cid)
        if command is None or cid in self._early:
            raise invalid_field(8, f"{what} for CID {cid:#x}, which is not under way")
        return command

    def _completion(self, pdu: Pdu) -> None:
        entry = TcpCompletion.decode(self._buffer, pdu.at)
        command = self.queue.command_of(entry.cqe_cid)
        if command is None or entry.cqe_cid in self._early:
            # Counted by the queue; a second answer does no harm.
            return
        code = entry.cqe_status >> 1 & 0x7FF
        if not code and command.data is not None:
            code = self._check_data(command)
        self._end_command(command, code, entry.cqe_dw0, entry.cqe_dw1, status_word=entry.cqe_status)

    def _check_data(self, command: HostCommand) -> int:
        """A command ended in success: has all of its data come undamaged, or been asked for?"""
        cid = command.cid
        assert command.data is not None
        moved = self._progress.get(cid, 0)
        if cid in self._damaged:
            return StatusCode.TRANSIENT_TRANSPORT_ERROR.value
        if moved == len(command.data):
            return 0
        if command.is_read:
            # As with Linux: NVMe has no short reads, and this controller no idea of what it sent.
            raise PduError(TcpFatalStatus.DATA_OUT_OF_RANGE, f"{moved} of {len(command.data)} bytes of data came")
        return StatusCode.DATA_TRANSFER_ERROR.value

    def _end_command(self, command: HostCommand, code: int, dw0: int, dw1: int, *, status_word: int) -> None:
        cid = command.cid
        self._progress.pop(cid, None)
        self._damaged.discard(cid)
        command.status_word = status_word
        if cid in self._sending:
            self._early[cid] = (code, dw0, dw1)
        else:
            self.queue.complete(command, code, dw0=dw0, dw1=dw1)

    def _controller_data(self, pdu: Pdu) -> memoryview:
        header = TcpControllerData.decode(self._buffer, pdu.at)
        command = self._command_of(header.cid, "data")
        data = command.data
        if data is None or not command.is_read:
            raise invalid_field(8, f"data for CID {header.cid:#x}, which asked for none")
        if header.length != pdu.data_bytes:
            raise invalid_field(16, f"DATAL is {header.length}, but {pdu.data_bytes} bytes come")
        end = header.offset + header.length
        if header.offset != self._progress.get(header.cid, 0) or end > len(data):
            raise PduError(TcpFatalStatus.DATA_OUT_OF_RANGE, f"data at {header.offset} to {end}")
        self._is_success = bool(header.flags & SUCCESS)
        if self._is_success and not header.flags & LAST:
            raise invalid_field(1, "SUCCESS without LAST")
        if self._is_success and end != len(data):
            raise PduError(TcpFatalStatus.DATA_OUT_OF_RANGE, f"success, but {end} of {len(data)} bytes of data came")
        self._streaming = command
        return data[header.offset : end]

    def _data_received(self, length: int, *, is_intact: bool) -> None:
        command, self._streaming = self._streaming, None
        assert command is not None
        cid = command.cid
        self._progress[cid] = self._progress.get(cid, 0) + length
        if not is_intact:
            self.owner.data_digest_errors += 1
            self._damaged.add(cid)
        if self._is_success:
            self._end_command(command, self._check_data(command), 0, 0, status_word=0)

    def _take_run(self) -> bool:
        # Reads that each ended with one PDU of data, in a row and of one size, as from a controller that says success
        # with the data.
        buffer, start = self._buffer, self._start
        first, plen = HEAD(buffer, start)
        if first & 0xFFFF != DATA_LAST_SUCCESS | self._digest_flags << 8 or not self._takes_runs:
            return False
        count = min((self._end - start) // plen if plen > TcpControllerData.SIZE else 0, RUN_MAX)
        if count < 2 or first >> 16 != TcpControllerData.SIZE << 8 | TcpControllerData.SIZE:
            return False
        words = TcpControllerData.words(count, plen)(buffer, start)
        queue, has_digest = self.queue, self.has_data_digest
        length = plen - TcpControllerData.SIZE - self._data_digest_bytes
        taken = 0
        for at in range(0, 6 * count, 6):
            command = queue.command_of(words[at + 2] & 0xFFFF) if words[at : at + 2] == (first, plen) else None
            if command is None or not self._is_whole(command, words[at + 3], words[at + 4], length):
                break
            data = command.data
            assert data is not None
            begin = start + TcpControllerData.SIZE
            end = begin + length
            data[:] = buffer[begin:end]
            start += plen
            if has_digest and crc32c(data) != int.from_bytes(buffer[end:start], "little"):
                start -= plen
                break
            taken += 1
            queue.complete(command, 0)
        self._start = start
        return bool(taken)

    def _is_whole(self, command: HostCommand, offset: int, length: int, data_bytes: int) -> bool:
        data = command.data
        return (
            data is not None
            and command.is_read
            and not offset
            and length == data_bytes == len(data)
            and command.cid not in self._progress
        )

    def _ready_to_transfer(self, pdu: Pdu) -> None:
        header = TcpReadyToTransfer.decode(self._buffer, pdu.at)
        command = self._command_of(header.cid, "R2T")
        data, end = command.data, header.offset + header.length
        if data is None or command.is_read:
            raise invalid_field(8, f"R2T for CID {header.cid:#x}, which has no data to send")
        if not header.length:
            raise invalid_field(16, "R2T for nothing")
        if header.cid in self._sending:
            raise PduError(TcpFatalStatus.LIMIT_EXCEEDED, "R2T while one is being served, and MAXR2T is 0")
        if header.offset != self._progress.get(header.cid, 0) or end > len(data):
            raise PduError(TcpFatalStatus.DATA_OUT_OF_RANGE, f"R2T for {header.offset} to {end}")
        self._progress[header.cid] = end
        self._send_host_data(command, header, data)

    def _send_host_data(self, command: HostCommand, request: TcpReadyToTransfer, data: memoryview) -> None:
        at, end = request.offset, request.offset + request.length
        header_bytes = TcpHostData.SIZE + self._header_digest_bytes
        pdo = self._padded(header_bytes)
        while at < end:
            length = min(self._host_data_bytes, end - at)
            header = TcpHostData(
                flags=self._digest_flags | (LAST if at + length == end else 0),
                pdo=pdo,
                plen=pdo + length + self._data_digest_bytes,
                cid=request.cid,
                ttag=request.ttag,
                offset=at,
                length=length,
            )
            room = memoryview(bytearray(pdo))
            header.encode_into(room)
            self._add_sealed(room, header_bytes)
            self._add_data(command, data[at : at + length])
            at += length
        self.owner.touched(self)

    def _terminated(self, error: PduError) -> None:
        # The program gets its memory back now, but what was begun of a PDU must come to its end.
        self._output.keep()
        self.owner.terminated(self, str(error), self._now)


def _entry_of(command: HostCommand, sgl: bytes) -> tuple[int | bytes, ...]:
    """The fields of a command's submission entry, in their order."""
    return (
        command.opcode,
        command.flags,
        command.cid,
        command.nsid,
        0,
        0,
        0,
        sgl,
        command.cdw10,
        command.cdw11,
        command.cdw12,
        command.cdw13,
        command.cdw14,
        command.cdw15,
    )


COMMAND = TcpPduKind.COMMAND.value
FABRICS = AdminOpcode.FABRICS.value
TRANSPORT, IN_CAPSULE = SglKind.TRANSPORT.value, SglKind.DATA_BLOCK_OFFSET.value
_HEADER_DIGEST, _DATA_DIGEST = TcpPduFlag.HEADER_DIGEST.value, TcpPduFlag.DATA_DIGEST.value
LAST, SUCCESS = TcpPduFlag.LAST.value, TcpPduFlag.SUCCESS.value
DATA_LAST_SUCCESS = TcpPduKind.CONTROLLER_DATA | (LAST | SUCCESS) << 8
RUN_MAX = 128
SGLS_KEPT = 64

BUFFER_BYTES = 512 << 10
"""Of the receive buffer: data of a full queue of small reads."""
CONTROLLER_DATA_MAX = 1 << 31
"""More than any command here asks for."""
