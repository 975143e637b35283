"""What becomes of a command that failed, by status and by what it does."""

from __future__ import annotations

import pytest

from stacks.nvme.host.command import HostCommand
from stacks.nvme.host.disposition import MAX_RETRIES, REPEATABLE, Disposition, disposition_of
from stacks.nvme.host.queue import HostQueue, HostQueueEvent
from wire.nvme.opcodes import IoOpcode
from wire.nvme.status import StatusCode, status_word

COMPLETE, RETRY, FAILOVER = Disposition.COMPLETE, Disposition.RETRY, Disposition.FAILOVER

OPEN = HostQueue(1, 8)
LOST = HostQueue(1, 8)
LOST.apply(HostQueueEvent.LOST)
LOST.failure = "the wire broke"

NEVER = frozenset(
    (
        IoOpcode.COPY,
        IoOpcode.RESERVATION_ACQUIRE,
        IoOpcode.RESERVATION_REGISTER,
        IoOpcode.RESERVATION_RELEASE,
    )
)


def failed(opcode: int, status: int, *, queue: HostQueue = OPEN, dnr: bool = False, tries: int = 0) -> HostCommand:
    command = HostCommand(opcode, 1)
    command.queue, command.cid, command.tries = queue, 5, tries
    command.status, command.status_word = status, status_word(status, do_not_retry=dnr)
    return command


def test_every_io_command_is_known_to_be_repeatable_or_not() -> None:
    assert set(REPEATABLE) | NEVER == set(IoOpcode) - {IoOpcode.FABRICS}
    assert not set(REPEATABLE) & NEVER


@pytest.mark.parametrize("opcode", sorted(REPEATABLE))
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (StatusCode.INVALID_FIELD, RETRY),
        (StatusCode.ABORTED_BY_REQUEST, RETRY),
        (StatusCode.COMMAND_INTERRUPTED, RETRY),
        (StatusCode.NAMESPACE_NOT_READY, RETRY),
        (StatusCode.TRANSIENT_TRANSPORT_ERROR, RETRY),
        (StatusCode.UNRECOVERED_READ_ERROR, RETRY),
        (StatusCode.COMPARE_FAILURE, COMPLETE),
        (StatusCode.INTERNAL_PATH_ERROR, FAILOVER),
        (StatusCode.CONTROLLER_PATH_ERROR, FAILOVER),
        (StatusCode.ANA_INACCESSIBLE, FAILOVER),
        (StatusCode.ANA_PERSISTENT_LOSS, FAILOVER),
        (StatusCode.ANA_TRANSITION, FAILOVER),
    ],
)
def test_an_answer_that_is_no_success_decides(opcode: int, status: int, expected: Disposition) -> None:
    assert disposition_of(failed(opcode, status)) is expected
    assert disposition_of(failed(opcode, status, dnr=True)) is COMPLETE
    assert disposition_of(failed(opcode, status, tries=MAX_RETRIES)) is COMPLETE
    assert disposition_of(failed(opcode, status, tries=MAX_RETRIES - 1)) is expected


@pytest.mark.parametrize("opcode", sorted(REPEATABLE))
def test_a_command_that_lost_its_connection_goes_another_way_however_often(opcode: int) -> None:
    for tries in (0, MAX_RETRIES, 1000):
        command = failed(opcode, StatusCode.HOST_PATH_ERROR, queue=LOST, tries=tries)
        assert disposition_of(command) is FAILOVER


@pytest.mark.parametrize("opcode", sorted(NEVER))
def test_what_may_have_had_an_effect_is_not_sent_again_unless_it_cannot_have(opcode: int) -> None:
    lost = failed(opcode, StatusCode.HOST_PATH_ERROR, queue=LOST)
    assert disposition_of(lost) is COMPLETE
    lost.renew()
    lost.status = StatusCode.HOST_PATH_ERROR
    assert disposition_of(lost) is FAILOVER, "it was never sent"
    assert disposition_of(failed(opcode, StatusCode.COMMAND_INTERRUPTED)) is COMPLETE
    assert disposition_of(failed(opcode, StatusCode.ANA_TRANSITION)) is FAILOVER
