"""Capsules of a target's connection: what each says, as a command for the core; many in a row at once.

A capsule that the binding itself finds wrong is a command that fails, with the data of its capsule unread; only more
data, or more commands, than was agreed on ends the connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.bindings.tcp.connection import HEAD, Pdu, TcpConnection
from stacks.nvme.bindings.tcp.errors import PduError
from stacks.nvme.bindings.tcp.parameters import ADMIN_IN_CAPSULE_BYTES
from stacks.nvme.bindings.tcp.target_command import TcpTargetCommand
from stacks.nvme.target.command import NO_DATA
from stacks.nvme.target.queue import Queue
from wire.nvme.commands_codec import SubmissionEntry
from wire.nvme.kinds import SglKind, TcpFatalStatus, TcpPduKind
from wire.nvme.opcodes import AdminOpcode
from wire.nvme.status import StatusCode
from wire.nvme.tcp_codec import TcpCommand, TcpHeader

if TYPE_CHECKING:
    from stacks.nvme.bindings.tcp.target import TcpTarget


class CapsuleConnection(TcpConnection):
    """A connection whose capsules become commands of `queue`; target: whose counters and limits they are."""

    def __init__(self, target: TcpTarget, queue: Queue) -> None:
        super().__init__(TcpPduKind.CONTROLLER_TERMINATE, buffer_bytes=BUFFER_BYTES)
        self.target = target
        self.queue = queue
        self._takes_runs = False
        self._commands: list[TcpTargetCommand] = []
        self._free: list[TcpTargetCommand] = []

    def _make_command(self, tag: int) -> TcpTargetCommand:
        """One more command object, of that TTAG."""
        raise NotImplementedError

    def _command(self, pdu: Pdu) -> None:
        self.target.counters.capsules_received += 1
        words = SQE_WORDS(self._buffer, pdu.at + TcpHeader.SIZE)
        if pdu.data_bytes:
            self._begin_with_data(pdu, words)
        else:
            self._begin(words)

    def _take_run(self) -> bool:
        # Commands without data in a row, such as a queue full of reads: read at once, in strides.
        buffer, start = self._buffer, self._start
        first, plen = HEAD(buffer, start)
        is_plain = plen == TcpCommand.SIZE and first & FIXED_MASK == PLAIN_COMMAND
        if not is_plain or not self._takes_runs:
            return False
        count = min((self._end - start) // TcpCommand.SIZE, RUN_MAX)
        if count < 2:
            return False
        heads = TcpHeader.words(count, TcpCommand.SIZE)(buffer, start)
        entries = SubmissionEntry.words(count, TcpCommand.SIZE)(buffer, start + TcpHeader.SIZE)
        begin, taken, pdu = self._begin, 0, self._pdu
        pdu.kind = TcpPduKind.COMMAND.value
        while taken < count and heads[2 * taken] == first and heads[2 * taken + 1] == plen:
            pdu.at = start + taken * TcpCommand.SIZE
            begin(entries[taken * 16 : taken * 16 + 16])
            taken += 1
        self.target.counters.capsules_received += taken
        self._start = start + taken * TcpCommand.SIZE
        return True

    def _begin(self, words: tuple[int, ...]) -> None:
        """A command whose capsule has no data."""
        command = self._free.pop() if self._free else self._new_command()
        command.words = words
        command.capsule_data = NO_DATA
        kind = words[9] >> 24
        if kind == TRANSPORT:
            command.data_bytes = words[8]
            self.queue.handle_capsule(command)
        elif kind == IN_CAPSULE and not words[8]:
            command.data_bytes = 0
            self.queue.handle_capsule(command)
        elif kind == IN_CAPSULE:
            self._refuse(command, StatusCode.INVALID_SGL_DATA_LENGTH, location=32)
        else:
            self._refuse(command, StatusCode.INVALID_SGL_TYPE, location=39)

    def _begin_with_data(self, pdu: Pdu, words: tuple[int, ...]) -> None:
        command = self._free.pop() if self._free else self._new_command()
        command.words = words
        command.capsule_data = NO_DATA
        limit = self.target.config.in_capsule_bytes
        if not self.queue.qid or words[0] & 0xFF == AdminOpcode.FABRICS:
            limit = ADMIN_IN_CAPSULE_BYTES
        if pdu.data_bytes > limit:
            raise PduError(TcpFatalStatus.LIMIT_EXCEEDED, f"{pdu.data_bytes} bytes in a capsule")
        if words[9] >> 24 != IN_CAPSULE:
            self._refuse(command, StatusCode.INVALID_SGL_TYPE, location=39)
        elif words[6] or words[7]:
            self._refuse(command, StatusCode.INVALID_SGL_OFFSET, location=24)
        elif words[8] != pdu.data_bytes:
            self._refuse(command, StatusCode.INVALID_SGL_DATA_LENGTH, location=32)
        elif not self._is_data_intact(pdu):
            self.target.counters.data_digest_errors += 1
            self._refuse(command, StatusCode.TRANSIENT_TRANSPORT_ERROR, location=None)
        else:
            data_at = pdu.at + pdu.pdo
            command.data_bytes = pdu.data_bytes
            command.capsule_data = self._buffer[data_at : data_at + pdu.data_bytes]
            command.pins = self._pins
            self._pins[0] += 1
            self.queue.handle_capsule(command)

    def _refuse(self, command: TcpTargetCommand, code: StatusCode, *, location: int | None) -> None:
        command.data_bytes = 0
        self.queue.refuse(command, code.value, location=location)

    def _new_command(self) -> TcpTargetCommand:
        if len(self._commands) > 2 * max(self.queue.entries, COMMANDS_MIN):
            raise PduError(TcpFatalStatus.LIMIT_EXCEEDED, "more commands than the submission queue has entries")
        command = self._make_command(len(self._commands))
        self._commands.append(command)
        return command


SQE_WORDS = SubmissionEntry.words(1, SubmissionEntry.SIZE)
TRANSPORT, IN_CAPSULE = SglKind.TRANSPORT.value, SglKind.DATA_BLOCK_OFFSET.value

FIXED_MASK = 0xFFFFFF
"""Type, flags and HLEN in the first word of a header; PDO means nothing without data."""
PLAIN_COMMAND = TcpPduKind.COMMAND | TcpCommand.SIZE << 16
RUN_MAX = 128
COMMANDS_MIN = 32

BUFFER_BYTES = 256 << 10
"""Of the receive buffer; more than the capsules with data of a full queue of usual depth."""
