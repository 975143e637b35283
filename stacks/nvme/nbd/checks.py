"""Whether a request may be carried out, and if not, what to answer.

Follows the NBD project's doc/proto.md (request types, error values): EINVAL for what is unknown or does not fit, ENOSPC
for changes behind the end, EPERM for changes of what is read only, ENOTSUP for fast zeroes that are not fast.
"""

from __future__ import annotations

from stacks.nvme.nbd.export import Export
from wire.nbd import PORTABLE_BYTES_MAX, CommandFlag, CommandKind, NbdError

Problem = tuple[NbdError, str]
"""An error, and a line for people."""


def problem(
    export: Export, kind: int, flags: int, offset: int, length: int, *, is_structured: bool
) -> Problem | None:
    """What is wrong with a request; None when nothing is."""
    allowed = ALLOWED_FLAGS.get(kind)
    if allowed is None or (kind == TRIM and not export.can_trim):
        return NbdError.EINVAL, f"there is no command {kind} here"
    if flags & ~allowed or (flags & DF and not is_structured) or (flags & FAST and not export.can_write_zeroes):
        return NbdError.EINVAL, "a flag that this command does not have"
    if kind == FLUSH:
        return (NbdError.EINVAL, "a flush with offset or length") if offset or length else None
    if kind in CHANGES and export.is_read_only:
        return NbdError.EPERM, "the export is read only"
    if offset + length > export.size_bytes:
        return NbdError.ENOSPC if kind in (WRITE, WRITE_ZEROES) else NbdError.EINVAL, "behind the end of the export"
    if kind in (READ, WRITE) and length > PORTABLE_BYTES_MAX:
        return NbdError.EINVAL, f"more than {PORTABLE_BYTES_MAX} bytes"
    if flags & FAST and (flags & NO_HOLE or (offset | length) % export.block_bytes):
        return NbdError.ENOTSUP, "no faster than writing"
    return None


FUA, NO_HOLE = CommandFlag.FUA.value, CommandFlag.NO_HOLE.value
DF, FAST = CommandFlag.DF.value, CommandFlag.FAST_ZERO.value
READ, WRITE, FLUSH = CommandKind.READ.value, CommandKind.WRITE.value, CommandKind.FLUSH.value
TRIM, WRITE_ZEROES = CommandKind.TRIM.value, CommandKind.WRITE_ZEROES.value
CHANGES = frozenset({WRITE, TRIM, WRITE_ZEROES})

ALLOWED_FLAGS = {
    READ: FUA | DF,
    WRITE: FUA,
    FLUSH: FUA,
    TRIM: FUA,
    WRITE_ZEROES: FUA | NO_HOLE | FAST,
}
"""Existing clients set FUA on any command, and it is to be borne (doc/proto.md, command flags)."""
