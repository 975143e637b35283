"""What becomes of an I/O command that failed: it is over, it is sent again, or it is sent another way.

    DNR                                     over
    it may have had an effect (see below)   over
    no answer, since the connection broke   another way, as often as it takes
    a status of the path (SCT 3)            another way, MAX_RETRIES times; for its ANA state, when that is known again
    anything else                           again, after the delay that CRD names, MAX_RETRIES times

As in Linux (nvme_decide_disposition), except for what may be repeated. Linux repeats what its block layer asks for
(read, write, flush, write zeroes, deallocate) and nothing that a program asked for itself. Here everything is repeated
whose repetition is the same as doing it once: also Compare, Verify, Write Uncorrectable and Reservation Report, which
changes nothing. What is not: Copy, whose source may be what it has just written; the halves of a fused pair, and the
reservation commands that change something, whose second run would find what the first one did, and say so as a failure.
Those are sent again when they cannot have been carried out: they were never sent, or refused for the path's ANA state.
Else they end with a path error, and only the program can find out what is.

Follows NVM Express Base 2.0 3.3.3.2.1.
"""

from __future__ import annotations

import enum

from stacks.nvme.host.command import HostCommand
from wire.nvme.opcodes import IoOpcode
from wire.nvme.status import StatusCode, StatusCodeType, is_do_not_retry


class Disposition(enum.Enum):
    """What becomes of a command."""

    COMPLETE = "complete"
    RETRY = "retry"
    FAILOVER = "failover"


def disposition_of(command: HostCommand) -> Disposition:
    """What becomes of a command whose status is not success."""
    if is_do_not_retry(command.status_word) or not can_be_repeated(command):
        return Disposition.COMPLETE
    if is_unanswered(command):
        return Disposition.FAILOVER
    if command.tries >= MAX_RETRIES or command.status == StatusCode.COMPARE_FAILURE:
        return Disposition.COMPLETE
    return Disposition.FAILOVER if command.status >> 8 == StatusCodeType.PATH else Disposition.RETRY


def can_be_repeated(command: HostCommand) -> bool:
    """Whether sending a command once more is the same as sending it once."""
    if command.cid < 0 or command.status in ANA_STATUSES:
        return True
    return command.opcode in REPEATABLE


def is_unanswered(command: HostCommand) -> bool:
    """Whether a command ended with its connection, and not with an answer."""
    return command.queue is not None and bool(command.queue.failure)


MAX_RETRIES = 5
"""As nvme_core.max_retries of Linux."""

ANA_STATUSES = frozenset(
    (StatusCode.ANA_PERSISTENT_LOSS.value, StatusCode.ANA_INACCESSIBLE.value, StatusCode.ANA_TRANSITION.value)
)

REPEATABLE = frozenset(
    (
        IoOpcode.FLUSH.value,
        IoOpcode.WRITE.value,
        IoOpcode.READ.value,
        IoOpcode.WRITE_UNCORRECTABLE.value,
        IoOpcode.COMPARE.value,
        IoOpcode.WRITE_ZEROES.value,
        IoOpcode.DATASET_MANAGEMENT.value,
        IoOpcode.VERIFY.value,
        IoOpcode.RESERVATION_REPORT.value,
    )
)
