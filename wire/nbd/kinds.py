"""The numbers in NBD's messages.

Follows the NBD project's doc/proto.md. Left out: TLS, metadata contexts, extended headers, resizing.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class HandshakeFlag(IntFlag):
    """Of the greeting, and of what the client answers."""

    FIXED_NEWSTYLE = 1 << 0
    """Options are answered one by one."""
    NO_ZEROES = 1 << 1
    """No padding behind the answer to EXPORT_NAME."""


class Option(IntEnum):
    """What a client can ask for before it uses an export."""

    EXPORT_NAME = 1
    ABORT = 2
    LIST = 3
    PEEK_EXPORT = 4
    STARTTLS = 5
    INFO = 6
    GO = 7
    STRUCTURED_REPLY = 8
    LIST_META_CONTEXT = 9
    SET_META_CONTEXT = 10
    EXTENDED_HEADERS = 11


class OptionReply(IntEnum):
    """How a server answers an option; bit 31 marks errors, whose data is a message for people."""

    ACK = 1
    SERVER = 2
    INFO = 3
    META_CONTEXT = 4
    UNSUPPORTED = 0x80000001
    POLICY = 0x80000002
    INVALID = 0x80000003
    PLATFORM = 0x80000004
    TLS_REQUIRED = 0x80000005
    UNKNOWN = 0x80000006
    SHUTDOWN = 0x80000007
    BLOCK_SIZE_REQUIRED = 0x80000008
    TOO_BIG = 0x80000009


class Info(IntEnum):
    """What INFO and GO can tell of an export."""

    EXPORT = 0
    NAME = 1
    DESCRIPTION = 2
    BLOCK_SIZE = 3


class TransmissionFlag(IntFlag):
    """What can be done with an export."""

    HAS_FLAGS = 1 << 0
    READ_ONLY = 1 << 1
    SEND_FLUSH = 1 << 2
    SEND_FUA = 1 << 3
    ROTATIONAL = 1 << 4
    SEND_TRIM = 1 << 5
    SEND_WRITE_ZEROES = 1 << 6
    SEND_DF = 1 << 7
    CAN_MULTI_CONN = 1 << 8
    SEND_RESIZE = 1 << 9
    SEND_CACHE = 1 << 10
    SEND_FAST_ZERO = 1 << 11


class CommandKind(IntEnum):
    """What a request asks for."""

    READ = 0
    WRITE = 1
    DISC = 2
    FLUSH = 3
    TRIM = 4
    CACHE = 5
    WRITE_ZEROES = 6
    BLOCK_STATUS = 7


class CommandFlag(IntFlag):
    """How a request is to be carried out."""

    FUA = 1 << 0
    """Answer when it is on the medium."""
    NO_HOLE = 1 << 1
    """Zeroes take up space."""
    DF = 1 << 2
    """One chunk of data."""
    REQ_ONE = 1 << 3
    FAST_ZERO = 1 << 4
    """Fail when that takes as long as writing."""


class ChunkFlag(IntFlag):
    """Of a chunk of a structured reply."""

    DONE = 1 << 0
    """It is the last of its reply."""


class ChunkKind(IntEnum):
    """What a chunk carries; bit 15 marks errors."""

    NONE = 0
    OFFSET_DATA = 1
    OFFSET_HOLE = 2
    BLOCK_STATUS = 5
    ERROR = 0x8001
    ERROR_OFFSET = 0x8002


class NbdError(IntEnum):
    """Errors as the protocol numbers them, which is as Linux does."""

    EPERM = 1
    EIO = 5
    ENOMEM = 12
    EINVAL = 22
    ENOSPC = 28
    EOVERFLOW = 75
    ENOTSUP = 95
    ESHUTDOWN = 108


NBD_PORT = 10809
"""The TCP port that IANA has for NBD."""
STRING_BYTES_MAX = 4096
"""The longest name or message."""
PORTABLE_BYTES_MAX = 32 << 20
"""The most data of a request that every server should take (doc/proto.md, size constraints)."""
ZEROES_BYTES = 124
"""The padding behind the answer to EXPORT_NAME."""
