"""Status codes of completion entries, and the arithmetic on the 16-bit status word.

`StatusCode` numbers are SCT << 8 | SC, eleven bits, as Linux and tshark count them. The status word of a completion
entry is phase (bit 0, zero over fabrics), code (11-1), CRD (13-12), More (14), DNR (15).

Follows NVM Express Base 2.0 3.3.3.2.1 and NVMe over Fabrics 3.3.1. Codes of optional command sets are left out.
"""

from __future__ import annotations

from enum import IntEnum


class StatusCodeType(IntEnum):
    """SCT, bits 10-8 of a status code."""

    GENERIC = 0
    COMMAND_SPECIFIC = 1
    MEDIA = 2
    PATH = 3
    VENDOR = 7


class StatusCode(IntEnum):
    """SCT << 8 | SC of a completion."""

    SUCCESS = 0x000
    INVALID_OPCODE = 0x001
    INVALID_FIELD = 0x002
    CID_CONFLICT = 0x003
    DATA_TRANSFER_ERROR = 0x004
    POWER_LOSS_ABORT = 0x005
    INTERNAL_ERROR = 0x006
    ABORTED_BY_REQUEST = 0x007
    ABORTED_SQ_DELETION = 0x008
    ABORTED_FAILED_FUSED = 0x009
    ABORTED_MISSING_FUSED = 0x00A
    INVALID_NAMESPACE = 0x00B
    COMMAND_SEQUENCE_ERROR = 0x00C
    INVALID_SGL_SEGMENT = 0x00D
    INVALID_SGL_COUNT = 0x00E
    INVALID_SGL_DATA_LENGTH = 0x00F
    INVALID_SGL_METADATA_LENGTH = 0x010
    INVALID_SGL_TYPE = 0x011
    ATOMIC_WRITE_UNIT_EXCEEDED = 0x014
    OPERATION_DENIED = 0x015
    INVALID_SGL_OFFSET = 0x016
    HOST_ID_INCONSISTENT_FORMAT = 0x018
    KEEP_ALIVE_EXPIRED = 0x019
    KEEP_ALIVE_INVALID = 0x01A
    ABORTED_PREEMPT = 0x01B
    SANITIZE_FAILED = 0x01C
    SANITIZE_IN_PROGRESS = 0x01D
    NAMESPACE_WRITE_PROTECTED = 0x020
    COMMAND_INTERRUPTED = 0x021
    TRANSIENT_TRANSPORT_ERROR = 0x022
    COMMAND_PROHIBITED_BY_LOCKDOWN = 0x023
    MEDIA_NOT_READY = 0x024
    LBA_OUT_OF_RANGE = 0x080
    CAPACITY_EXCEEDED = 0x081
    NAMESPACE_NOT_READY = 0x082
    RESERVATION_CONFLICT = 0x083
    FORMAT_IN_PROGRESS = 0x084

    INVALID_COMPLETION_QUEUE = 0x100
    INVALID_QUEUE_ID = 0x101
    INVALID_QUEUE_SIZE = 0x102
    ABORT_LIMIT_EXCEEDED = 0x103
    ASYNC_EVENT_LIMIT_EXCEEDED = 0x105
    INVALID_FIRMWARE_SLOT = 0x106
    INVALID_FIRMWARE_IMAGE = 0x107
    INVALID_LOG_PAGE = 0x109
    INVALID_FORMAT = 0x10A
    FEATURE_NOT_SAVEABLE = 0x10D
    FEATURE_NOT_CHANGEABLE = 0x10E
    FEATURE_NOT_PER_NAMESPACE = 0x10F
    OVERLAPPING_RANGE = 0x114
    NAMESPACE_INSUFFICIENT_CAPACITY = 0x115
    NAMESPACE_ID_UNAVAILABLE = 0x116
    NAMESPACE_ALREADY_ATTACHED = 0x118
    NAMESPACE_IS_PRIVATE = 0x119
    NAMESPACE_NOT_ATTACHED = 0x11A
    INVALID_CONTROLLER_LIST = 0x11C
    SELF_TEST_IN_PROGRESS = 0x11D
    INVALID_CONTROLLER_ID = 0x11F
    ANA_GROUP_INVALID = 0x124
    ANA_ATTACH_FAILED = 0x125

    CONNECT_INCOMPATIBLE_FORMAT = 0x180
    CONNECT_CONTROLLER_BUSY = 0x181
    CONNECT_INVALID_PARAMETERS = 0x182
    CONNECT_RESTART_DISCOVERY = 0x183
    CONNECT_INVALID_HOST = 0x184
    INVALID_QUEUE_TYPE = 0x185
    DISCOVER_RESTART = 0x190
    AUTHENTICATION_REQUIRED = 0x191

    WRITE_FAULT = 0x280
    UNRECOVERED_READ_ERROR = 0x281
    GUARD_CHECK_ERROR = 0x282
    APPLICATION_TAG_CHECK_ERROR = 0x283
    REFERENCE_TAG_CHECK_ERROR = 0x284
    COMPARE_FAILURE = 0x285
    ACCESS_DENIED = 0x286
    DEALLOCATED_BLOCK = 0x287

    INTERNAL_PATH_ERROR = 0x300
    ANA_PERSISTENT_LOSS = 0x301
    ANA_INACCESSIBLE = 0x302
    ANA_TRANSITION = 0x303
    CONTROLLER_PATH_ERROR = 0x360
    HOST_PATH_ERROR = 0x370
    HOST_ABORTED = 0x371


class IoCommandStatus(IntEnum):
    """Command specific codes of the NVM command set, which share numbers with the fabrics ones above.

    The opcode decides which of the two a number from 180h on means (NVM Command Set 1.0 figure 15).
    """

    CONFLICTING_ATTRIBUTES = 0x180
    INVALID_PROTECTION_INFORMATION = 0x181
    WRITE_TO_READ_ONLY_RANGE = 0x182
    COMMAND_SIZE_LIMIT_EXCEEDED = 0x183


def status_word(code: int, *, more: bool = False, do_not_retry: bool = False, retry_delay: int = 0) -> int:
    """The 16-bit status word for a completion entry, with phase 0.

    code: SCT << 8 | SC, a `StatusCode`; more: the error log has more; do_not_retry: DNR; retry_delay: CRD, 0 to 3.
    NVMe Base 2.0 3.3.3.2.1.
    """
    return code << 1 | retry_delay << 12 | more << 14 | do_not_retry << 15


def status_code(word: int) -> int:
    """SCT << 8 | SC of a completion entry's status word, eleven bits; 0 is success."""
    return word >> 1 & 0x7FF


def is_do_not_retry(word: int) -> bool:
    """Whether the status word says that the same command will fail again."""
    return bool(word & DNR)


def retry_delay(word: int) -> int:
    """CRD of a status word: 0, or which of the controller's three delays to wait for before a retry."""
    return word >> 12 & 3


def status_text(code: int, *, is_io: bool = False) -> str:
    """What a status code means in a few words, for messages: `invalid namespace`, or its number.

    code: SCT << 8 | SC; is_io: the command was an I/O command, which decides the meaning from 180h on.
    """
    kinds: tuple[type[IntEnum], ...] = (IoCommandStatus, StatusCode) if is_io else (StatusCode,)
    for kind in kinds:
        if code in kind._value2member_map_:
            return kind(code).name.lower().replace("_", " ")
    return f"status type {code >> 8} code {code & 0xFF:#04x}"


DNR = 1 << 15
"""Do Not Retry in the status word."""

MORE = 1 << 14
"""More information is in the error log."""
