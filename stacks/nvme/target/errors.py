"""A status that a command ends with, raised inside the core, and the error log that remembers it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from stacks.runtime import RemoteError
from wire.nvme.logs_codec import ErrorLogEntry
from wire.nvme.opcodes import IoOpcode
from wire.nvme.status import StatusCode, status_code, status_word

if TYPE_CHECKING:
    from stacks.nvme.target.command import Command
    from stacks.nvme.target.queue import Queue


class CommandError(RemoteError):
    """A command cannot be done.

    code: a `StatusCode`; location: byte of the submission entry that is wrong, or None; dw0: what else to report.
    lba: the block where it went wrong, None for the command's first, if it has one.
    """

    def __init__(
        self, code: int, reason: str, *, location: int | None = None, dw0: int = 0, lba: int | None = None
    ) -> None:
        super().__init__(code, reason)
        self.location = location
        self.dw0 = dw0
        self.lba = lba


class ErrorLog:
    """The last errors of a controller (log page 01h), newest first."""

    def __init__(self) -> None:
        self.count = 0
        self._entries: deque[ErrorLogEntry] = deque(maxlen=ERROR_LOG_ENTRIES)

    def add(self, queue: Queue, command: Command, *, location: int | None, lba: int | None) -> None:
        """Remember a command that has failed.

        location: byte of the submission entry that is wrong; lba: the block, None for the command's first, if any.
        """
        self.count += 1
        is_transport = status_code(command.status_word) in _OF_THE_TRANSPORT
        self._entries.appendleft(
            ErrorLogEntry(
                error_count=self.count,
                sqid=queue.qid,
                cid=command.cid,
                status=command.status_word,
                location=UNKNOWN_LOCATION if location is None else location,
                lba=_first_block(queue, command) if lba is None else lba,
                nsid=command.words[1],
                trtype=queue.port.transport if is_transport else 0,
            )
        )

    def clear(self) -> None:
        """Forget the errors after a Controller Level Reset, but not how many there were (NVMe Base 2.0 5.16.1.2)."""
        self._entries.clear()

    def encode(self) -> bytes:
        """The whole log page; entries that are not used are zero."""
        content = b"".join(entry.encode() for entry in self._entries)
        return content.ljust(ERROR_LOG_ENTRIES * ErrorLogEntry.SIZE, b"\0")


def failure_word(code: int, *, is_logged: bool) -> int:
    """The status word of a command that failed. is_logged: the error log says more."""
    return status_word(code, more=is_logged, do_not_retry=code not in _WORTH_A_RETRY)


def _first_block(queue: Queue, command: Command) -> int:
    has_blocks = queue.qid and command.opcode in OPCODES_WITH_BLOCKS
    return command.words[10] | command.words[11] << 32 if has_blocks else 0


ERROR_LOG_ENTRIES = 64
UNKNOWN_LOCATION = 0xFFFF

_WORTH_A_RETRY = frozenset(
    (
        StatusCode.NAMESPACE_NOT_READY.value,
        StatusCode.CONNECT_CONTROLLER_BUSY.value,
        StatusCode.ABORTED_BY_REQUEST.value,
        StatusCode.ABORTED_SQ_DELETION.value,
        StatusCode.TRANSIENT_TRANSPORT_ERROR.value,
        StatusCode.ANA_INACCESSIBLE.value,
        StatusCode.ANA_PERSISTENT_LOSS.value,
        StatusCode.ANA_TRANSITION.value,
    )
)
"""Statuses without DNR: the same command may succeed later, or on another path."""

_OF_THE_TRANSPORT = frozenset((StatusCode.DATA_TRANSFER_ERROR.value, StatusCode.TRANSIENT_TRANSPORT_ERROR.value))
"""Errors for which the error log names the transport."""

OPCODES_WITH_BLOCKS = frozenset(
    (
        IoOpcode.WRITE.value,
        IoOpcode.READ.value,
        IoOpcode.WRITE_UNCORRECTABLE.value,
        IoOpcode.COMPARE.value,
        IoOpcode.WRITE_ZEROES.value,
        IoOpcode.VERIFY.value,
        IoOpcode.COPY.value,
    )
)
"""Commands whose CDW10 and CDW11 are a block: where an error is said to be when nobody knows better."""
