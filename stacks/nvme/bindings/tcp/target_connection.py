"""One connection on the target's side: a queue of a host, once its Connect command has succeeded.

    ICReq            -> ICResp
    CapsuleCmd       -> a command -> core Queue
    fetch            -> R2T, and H2CData into the command's buffer
    answer           -> C2HData, and CapsuleResp unless the data's last PDU says success itself

Follows the NVMe/TCP transport specification 1.0. One R2T asks for all that a command needs.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from stacks.nvme.bindings.tcp.agreement import Agreed, alignment_bytes, check_request
from stacks.nvme.bindings.tcp.connection import Pdu, Rule
from stacks.nvme.bindings.tcp.errors import PduError, invalid_field, out_of_sequence
from stacks.nvme.bindings.tcp.parameters import ADMIN_IN_CAPSULE_BYTES, DIGEST_BYTES, IC_BYTES, TERMINATE_DATA_BYTES
from stacks.nvme.bindings.tcp.patience import Debt, SlowReader
from stacks.nvme.bindings.tcp.served import ServedCommand
from stacks.nvme.bindings.tcp.target_capsules import CapsuleConnection
from stacks.nvme.bindings.tcp.target_command import COMPLETION_END, DATA_HEADER_BYTES, TcpTargetCommand
from stacks.nvme.target.command import NO_DATA
from stacks.nvme.target.queue import Queue
from transports.datagram import Address
from wire.checksum import crc32c
from wire.nvme.kinds import TcpDigest, TcpFatalStatus, TcpPduFlag, TcpPduKind
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
    from stacks.nvme.bindings.tcp.target import TcpTarget


class TcpTargetConnection(CapsuleConnection):
    """A connection that a host made to `target`; remote: from where; queue: its queue, for itself."""

    def __init__(self, target: TcpTarget, remote: Address, queue: Queue) -> None:
        super().__init__(target, queue)
        self.remote = remote
        self.port = target.port
        self.queue.lend_bytes = LEND_BYTES
        self.is_gone = False
        self._is_new = True
        self._is_leaving = False
        self._reader = SlowReader()
        self._data_offset = DATA_HLEN
        self._digests = 0
        self._fetching: dict[int, TcpTargetCommand] = {}
        self._streaming: TcpTargetCommand | None = None
        self._is_rest_owed = False
        self._rest_since_ns = 0
        self._rules = {
            TcpPduKind.INITIALIZE_REQUEST: Rule(IC_BYTES, self._initialize),
            TcpPduKind.HOST_TERMINATE: Rule(TcpTerminate.SIZE, self._end_by_host, TERMINATE_DATA_BYTES),
        }

    @property
    def core(self) -> TcpTargetConnection:
        """Itself."""
        return self

    @property
    def is_connected(self) -> bool:
        """Whether Connect has succeeded."""
        return self.queue.controller is not None

    @property
    def can_end(self) -> bool:
        """Whether every command has its answer, and the answers are sent."""
        return self._output.is_empty and self.queue.is_idle

    def handle_received(self, length: int, now: int) -> None:
        """As of every connection; the rest of a PDU that has begun is something that the host owes."""
        super().handle_received(length, now)
        if self._start != self._end and not self._is_rest_owed and self._is_listening:
            self._is_rest_owed = True
            self.target.owed(self)

    def handle_ended(self, failure: str, now: int) -> None:
        """The host closed the connection, or it was lost."""
        self._now = now
        self.is_over = True
        self.target.ended(self, failure)

    def sent(self, length: int) -> None:
        """So much is taken. With something left, reads lend nothing more; with much left, no command is taken."""
        output = self._output
        output.sent(length)
        if not output.has_rest:
            self.queue.lend_bytes = LEND_BYTES
            self._is_listening = not (self._is_deaf or self._is_leaving)
            if self._is_leaving:
                self.target.settled(self)
            return
        self.queue.lend_bytes = 0
        self._is_listening = output.unsent_bytes <= UNSENT_BYTES_MAX and not (self._is_deaf or self._is_leaving)
        if not self._reader.is_watched:
            self._reader.begin(output, self.target.now)
            self.target.owed(self)

    def debt(self, now: int) -> Debt | None:
        """What the host owes: to take what is there, to send what it was asked for, or the rest of a PDU."""
        debts = [self._reader.debt(self._output, now) if self._reader.is_watched else None, self._rest_debt(now)]
        if self._fetching:
            since_ns = next(iter(self._fetching.values())).fetched_ns  # the oldest
            debts.append(Debt(since_ns, max(since_ns, self._now)))
        return reduce(Debt.joined, owed) if (owed := [debt for debt in debts if debt is not None]) else None

    def _rest_debt(self, now: int) -> Debt | None:
        self._is_rest_owed = self._is_rest_owed and self._start != self._end
        if not self.queue.is_idle or not self._is_listening:
            # Perhaps it is us who do not read on.
            self._rest_since_ns = now
        # It holds nobody up, however many others wait, so it is never pressed.
        return Debt(max(self._now, self._rest_since_ns), now) if self._is_rest_owed else None

    def stop(self) -> None:
        """No more commands: those with the core or a store end silently."""
        self.is_gone = True
        self._be_deaf()
        self.queue.closed()
        for command in self._fetching.values():
            self.port.release(command)
        self._fetching.clear()

    def finish(self, deadline_ns: int) -> None:
        """Tell the host that nothing follows, and wait for it to close until `deadline_ns`."""
        self.is_finished = True
        self.deadline_ns = deadline_ns

    def give_up(self) -> None:
        """End the connection at once."""
        self.is_over = True

    def drop(self) -> None:
        """The connection is gone: what was to be sent is not."""
        self._output.drop()

    # Moving to another process

    def departing(self) -> tuple[Agreed, bytes]:
        """What another process goes on with, of a connection that has `settled`: what was agreed on, and bytes that
        came and were not read. This object takes part in nothing any more.
        """
        queue = self.queue
        assert queue.controller is not None
        agreed = Agreed(
            remote=self.remote,
            digests=self._digests,
            data_offset=self._data_offset,
            qid=queue.qid,
            entries=queue.entries,
            sqhd=queue.sqhd,
            has_flow_control=queue.has_flow_control,
            association=f"{queue.controller.subsystem.nqn} {queue.controller.cntlid}",
        )
        return agreed, bytes(self._buffer[self._start : self._end])

    def stay(self) -> None:
        """It is not handed over, and goes on here."""
        self._is_leaving, self._is_listening = False, not self._is_deaf
        self.target.touched(self)

    def arrive(self, agreed: Agreed, unread: bytes) -> None:
        """Go on with a connection that left another process so. Call `handle_received(0)` to act on what is unread."""
        self._is_new = False
        self._take_agreed(agreed.digests, agreed.data_offset)
        self._buffer[: len(unread)] = unread
        self._start, self._end = 0, len(unread)

    # What the core wants

    def fetch(self, command: ServedCommand) -> None:
        """Ask the host for the data of a command."""
        view = command.view
        assert isinstance(command, TcpTargetCommand)
        assert view is not None
        command.received_bytes = 0
        command.is_damaged = False
        command.fetched_ns = self.target.now
        self._fetching[command.tag] = command
        header = TcpReadyToTransfer(
            plen=TcpReadyToTransfer.SIZE + self._header_digest_bytes,
            flags=_HEADER_DIGEST if self._header_digest_bytes else 0,
            cid=command.cid,
            ttag=command.tag,
            length=len(view),
        )
        room = command.headers[: header.plen]
        header.encode_into(room)
        self._add_sealed(room)

    def answer(self, command: ServedCommand) -> None:
        """Send a command's data, if it has any for the host, and its completion."""
        assert isinstance(command, TcpTargetCommand)
        if command.send_bytes:
            is_success = command.sqhd == NO_SQHD and not command.status_word and not command.dw0 and not command.dw1
            self._send_data(command, is_success=is_success)
            if is_success:
                self._output.mark(command)
                return
        room = command.headers[DATA_HEADER_BYTES:COMPLETION_END] if self._header_digest_bytes else command.completion
        TcpCompletion.PACK(
            room,
            0,
            COMPLETION,
            _HEADER_DIGEST if self._header_digest_bytes else 0,
            TcpCompletion.SIZE,
            0,
            len(room),
            command.dw0,
            command.dw1,
            command.sqhd,
            self.queue.qid,
            command.cid,
            command.status_word,
        )
        self._add_sealed(room)
        self._output.mark(command)
        if self._is_new and self.queue.controller is not None:
            self._connected()

    def _connected(self) -> None:
        # The answer to Connect is on its way. From here on another process may do this; what it was not given stays
        # unread until it has been.
        self._is_new = False
        is_quiet = not (self.queue.in_flight or self._fetching or self._sink)
        unread_bytes = self._end - self._start
        if self.queue.qid and is_quiet and unread_bytes <= UNREAD_BYTES_MAX and self.target.hands_over:
            self._is_leaving, self._is_listening = True, False

    def _send_data(self, command: TcpTargetCommand, *, is_success: bool) -> None:
        view, length, pdo = command.view, command.send_bytes, self._data_offset
        assert view is not None
        flags = self._digest_flags | (LAST_SUCCESS if is_success else LAST)
        room = command.headers[:pdo]
        TcpControllerData.PACK(
            room, 0, DATA, flags, DATA_HLEN, pdo, pdo + length + self._data_digest_bytes, command.cid, 0, length
        )
        if self._header_digest_bytes:
            self._seal(room[: DATA_HLEN + DIGEST_BYTES])
        output = self._output
        data = view if len(view) == length else view[:length]
        output.add(room)
        if command.buffer is None:
            output.lend(data)
        else:
            output.add(data)
        if self._data_digest_bytes:
            output.add(crc32c(data).to_bytes(DIGEST_BYTES, "little"))

    def _add_sealed(self, room: memoryview) -> None:
        """Send a header with its digest, where digests are used; `room` has a place for it then."""
        if self._header_digest_bytes:
            self._seal(room)
        self._output.add(room)

    def _finished(self, item: object) -> None:
        assert isinstance(item, TcpTargetCommand)
        self.port.release(item)
        if item.pins is not None:
            item.pins[0] -= 1
            item.pins = None
            item.capsule_data = NO_DATA
        self._free.append(item)

    # What the host sends

    def _initialize(self, pdu: Pdu) -> None:
        request = TcpInitializeRequest.decode(self._buffer, pdu.at)
        check_request(request)
        config = self.target.config
        digests = request.digests & config.digests
        response = TcpInitializeResponse(cpda=config.alignment, digests=digests, maxh2cdata=config.host_data_bytes)
        self._output.add(response.encode())
        self.target.touched(self)
        # Data towards the host starts where HPDA wants it; 4 bytes, the least, are kept anyway.
        alignment = alignment_bytes(request.hpda) or 4
        header_bytes = DATA_HLEN + (DIGEST_BYTES if digests & TcpDigest.HEADER else 0)
        self._take_agreed(digests, -(-header_bytes // alignment) * alignment)

    def _take_agreed(self, digests: int, data_offset: int) -> None:
        config = self.target.config
        self._data_alignment = alignment_bytes(config.alignment) or 1
        self._agree(digests)
        self._digests, self._data_offset = digests, data_offset
        self._takes_runs = config.shortcuts and not self.has_header_digest
        self._rules = {
            TcpPduKind.COMMAND: Rule(
                TcpCommand.SIZE, self._command, max(config.in_capsule_bytes, ADMIN_IN_CAPSULE_BYTES)
            ),
            TcpPduKind.HOST_DATA: Rule(TcpHostData.SIZE, self._host_data, config.host_data_bytes, streams=True),
            TcpPduKind.HOST_TERMINATE: self._rules[TcpPduKind.HOST_TERMINATE],
        }

    def _end_by_host(self, pdu: Pdu) -> None:
        request = TcpTerminate.decode(self._buffer, pdu.at)
        self._ended_by_peer(f"the host ended the connection, fatal error {request.fes}")

    def _ended_by_peer(self, reason: str) -> None:
        self.target.counters.terminations_received += 1
        self.is_over = True
        self.target.ended(self, reason)

    def _make_command(self, tag: int) -> TcpTargetCommand:
        return TcpTargetCommand(self, tag)

    def _host_data(self, pdu: Pdu) -> memoryview:
        header = TcpHostData.decode(self._buffer, pdu.at)
        command = self._fetching.get(header.ttag)
        if command is None:
            raise out_of_sequence(f"nothing was asked for with TTAG {header.ttag}")
        if header.cid != command.cid:
            raise out_of_sequence(f"TTAG {header.ttag} is not of CID {header.cid}")
        view = command.view
        assert view is not None
        if header.length != pdu.data_bytes:
            raise invalid_field(16, f"DATAL is {header.length}, but {pdu.data_bytes} bytes come")
        end = header.offset + header.length
        if header.offset != command.received_bytes or end > len(view):
            raise PduError(TcpFatalStatus.DATA_OUT_OF_RANGE, f"data at {header.offset} to {end}")
        if bool(header.flags & LAST) != (end == len(view)):
            raise invalid_field(1, "LAST is not on the last H2CData, or on another")
        self._streaming = command
        return view[header.offset : end]

    def _data_received(self, length: int, *, is_intact: bool) -> None:
        command, self._streaming = self._streaming, None
        assert command is not None
        assert command.view is not None
        command.received_bytes += length
        if not is_intact:
            self.target.counters.data_digest_errors += 1
            command.is_damaged = True
        if command.received_bytes < len(command.view):
            return
        del self._fetching[command.tag]
        if command.is_damaged:
            self.queue.fail(command, StatusCode.TRANSIENT_TRANSPORT_ERROR.value)
        else:
            self.port.handle_fetched(command)

    def _terminated(self, error: PduError) -> None:
        self.target.terminated(self, error)


COMPLETION, DATA = TcpPduKind.COMPLETION.value, TcpPduKind.CONTROLLER_DATA.value
DATA_HLEN = TcpControllerData.SIZE
NO_SQHD = 0xFFFF
_HEADER_DIGEST, _DATA_DIGEST = TcpPduFlag.HEADER_DIGEST.value, TcpPduFlag.DATA_DIGEST.value
LAST = TcpPduFlag.LAST.value
LAST_SUCCESS = LAST | TcpPduFlag.SUCCESS.value

UNREAD_BYTES_MAX = 16 << 10
"""What a host may have sent behind its Connect for the connection to be handed over; it should send nothing."""
UNSENT_BYTES_MAX = 1 << 20
"""How much may wait for a connection that is full before its commands are not read any more."""
LEND_BYTES = 1 << 20
"""How much data of a store is sent without a copy in one go: what a connection does not take at once is copied."""
