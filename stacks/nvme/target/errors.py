"""A status that a command ends with, raised inside the core, and the error log that remembers it."""

from __future__ import annotations

from collections import deque

from stacks.runtime import RemoteError
from wire.nvme.logs_codec import ErrorLogEntry


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

    def add(
        self, *, sqid: int, cid: int, status: int, location: int | None, lba: int, nsid: int, transport: int
    ) -> None:
        """Remember a command that failed.

        status: the status word of its completion; transport: a `TransportType`, 0 for an error that has none.
        """
        self.count += 1
        self._entries.appendleft(
            ErrorLogEntry(
                error_count=self.count,
                sqid=sqid,
                cid=cid,
                status=status,
                location=UNKNOWN_LOCATION if location is None else location,
                lba=lba,
                nsid=nsid,
                trtype=transport,
            )
        )

    def clear(self) -> None:
        """Forget the errors after a Controller Level Reset, but not how many there were (NVMe Base 2.0 5.16.1.2)."""
        self._entries.clear()

    def encode(self) -> bytes:
        """The whole log page; entries that are not used are zero."""
        content = b"".join(entry.encode() for entry in self._entries)
        return content.ljust(ERROR_LOG_ENTRIES * ErrorLogEntry.SIZE, b"\0")


ERROR_LOG_ENTRIES = 64
UNKNOWN_LOCATION = 0xFFFF
