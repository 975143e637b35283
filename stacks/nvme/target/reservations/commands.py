"""The reservation commands: what they say is checked here, what that comes to is in `rules`.

Follows NVM Express Base 2.0 7.2 to 7.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.io_checks import not_accessible
from stacks.nvme.target.namespace import Namespace
from stacks.nvme.target.reservations import rules
from stacks.nvme.target.reservations.aborting import abort_preempted
from stacks.nvme.target.reservations.line import Change
from stacks.nvme.target.reservations.rules import Outcome
from stacks.nvme.target.reservations.state import ReservationState
from wire.nvme.reservations import (
    CNTLID_NONE,
    AcquireAction,
    PersistenceChange,
    RegisterAction,
    ReleaseAction,
    ReportedRegistrant,
    ReservationReport,
    ReservationType,
)
from wire.nvme.reservations_codec import ReservationAcquireData, ReservationRegisterData, ReservationReleaseData
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue
    from stacks.nvme.target.subsystem import Subsystem


def register(queue: Queue, command: Command) -> None:
    """Reservation Register: register, unregister or replace the host's key, and perhaps change PTPL."""
    word = command.words[10]
    namespace = _namespace_of(queue, command)
    if word & ACTION not in _REGISTER_ACTIONS:
        raise _invalid("RREGA is reserved", 40)
    if word >> 30 not in _PERSISTENCE:
        raise _invalid("CPTPL is reserved", 43)
    if _PERSISTENCE[word >> 30] and not namespace.reservations.can_persist:
        raise _invalid("reservations of this namespace are not kept through a loss of power", 43)
    _receive(queue, command, ReservationRegisterData.SIZE, _register)


def _register(command: Command) -> None:
    word, view = command.words[10], command.view
    assert view is not None
    data = ReservationRegisterData.decode(view)
    action, ignores_key = word & ACTION, bool(word & IGNORES_KEY)
    host_id = _host_of(command)

    def decide(state: ReservationState) -> Outcome:
        if action == RegisterAction.REGISTER:
            outcome = rules.register(state, host_id, data.nrkey)
        elif action == RegisterAction.UNREGISTER:
            outcome = rules.unregister(state, host_id, data.crkey, ignores_key=ignores_key)
        else:
            outcome = rules.replace_key(state, host_id, data.crkey, data.nrkey, ignores_key=ignores_key)
        return rules.with_persistence(outcome, is_persistent=_PERSISTENCE[word >> 30])

    _submit(command, decide, _done)


def acquire(queue: Queue, command: Command) -> None:
    """Reservation Acquire: acquire, preempt, or preempt and abort."""
    word = command.words[10]
    _namespace_of(queue, command)
    if word & ACTION not in _ACQUIRE_ACTIONS:
        raise _invalid("RACQA is reserved", 40)
    if word & IGNORES_KEY:
        raise _invalid("IEKEY is for Register", 40)
    # nvmet asks for a type whatever the action; SPDK lets one that preempts registrations leave it out.
    if word >> 8 & 0xFF not in _TYPES:
        raise _invalid("RTYPE is reserved", 41)
    _receive(queue, command, ReservationAcquireData.SIZE, _acquire)


def _acquire(command: Command) -> None:
    word, view = command.words[10], command.view
    assert view is not None
    data = ReservationAcquireData.decode(view)
    action, kind, host_id = word & ACTION, _TYPES[word >> 8 & 0xFF], _host_of(command)

    def decide(state: ReservationState) -> Outcome:
        if action == AcquireAction.ACQUIRE:
            return rules.acquire(state, host_id, data.crkey, kind)
        return rules.preempt(state, host_id, data.crkey, data.prkey, kind)

    _submit(command, decide, _done_aborting if action == AcquireAction.PREEMPT_AND_ABORT else _done)


def release(queue: Queue, command: Command) -> None:
    """Reservation Release: release the reservation, or clear everything."""
    word = command.words[10]
    _namespace_of(queue, command)
    if word & ACTION not in _RELEASE_ACTIONS:
        raise _invalid("RRELA is reserved", 40)
    if word & IGNORES_KEY:
        raise _invalid("IEKEY is for Register", 40)
    _receive(queue, command, ReservationReleaseData.SIZE, _release)


def _release(command: Command) -> None:
    word, view = command.words[10], command.view
    assert view is not None
    data = ReservationReleaseData.decode(view)
    action, kind, host_id = word & ACTION, word >> 8 & 0xFF, _host_of(command)

    def decide(state: ReservationState) -> Outcome:
        if action == ReleaseAction.RELEASE:
            return rules.release(state, host_id, data.crkey, kind)
        return rules.clear(state, host_id, data.crkey)

    _submit(command, decide, _done)


def report(queue: Queue, command: Command) -> None:
    """Reservation Report: who is registered, and what is reserved."""
    namespace = _namespace_of(queue, command)
    if not command.words[11] & EXTENDED:
        # Host identifiers have 128 bits over fabrics, whoever asks (NVMe Base 2.0 5.27.1.22).
        raise CommandError(StatusCode.HOST_ID_INCONSISTENT_FORMAT, "EDS is 0", location=44)
    length = (command.words[10] + 1) * 4
    queue.require_length(command, length)
    assert queue.controller is not None
    content = report_of(queue.controller.subsystem, namespace).encode()
    # A host that asks for less gets the beginning; behind the end there are zeros, as from nvmet.
    queue.send_data(command, content[:length].ljust(length, b"\0"))


def report_of(subsystem: Subsystem, namespace: Namespace) -> ReservationReport:
    """The report on a namespace.

    It has one entry for each registrant with the lowest of its controllers' IDs, or none: Base 2.2 says so (figure
    584), Linux and SPDK do so. Base 2.0 wanted one for each controller of a registrant.
    """
    state = namespace.reservations.state
    cntlids = {controller.host_id: cntlid for cntlid, controller in sorted(subsystem.controllers.items(), reverse=True)}
    entries = tuple(
        ReportedRegistrant(host_id, key, cntlids.get(host_id, CNTLID_NONE), state.is_holder(host_id))
        for host_id, key in state.registrants.items()
    )
    return ReservationReport(state.generation, state.kind or 0, state.is_persistent, len(entries), entries)


def _namespace_of(queue: Queue, command: Command) -> Namespace:
    # No reservation keeps a host from reservation commands, so this is not where reads and writes look.
    namespace = queue.namespaces.get(command.words[1])
    if namespace is None:
        raise not_accessible(queue, command.words[1])
    return namespace


def _receive(queue: Queue, command: Command, length: int, then: Callable[[Command], None]) -> None:
    # Linux sends 16 bytes for each of the three commands; Release reads 8 of them.
    if not length <= command.data_bytes <= DATA_MAX_BYTES:
        raise CommandError(StatusCode.INVALID_SGL_DATA_LENGTH, f"{length} bytes of keys", location=32)
    queue.receive_data(command, command.data_bytes, then)


def _host_of(command: Command) -> bytes:
    assert command.queue is not None
    assert command.queue.controller is not None
    return command.queue.controller.host_id


def _submit(
    command: Command,
    decide: Callable[[ReservationState], Outcome],
    done: Callable[[Change, Outcome | CommandError], None],
) -> None:
    queue = command.queue
    assert queue is not None
    try:
        # It may have gone while the keys came.
        namespace = _namespace_of(queue, command)
    except CommandError as error:
        queue.fail(command, error.code, location=error.location)
        return
    namespace.reservations.submit(Change(queue, command, namespace, decide=decide, done=done))


def _done(change: Change, outcome: Outcome | CommandError) -> None:
    if isinstance(outcome, CommandError):
        change.queue.fail(change.command, outcome.code, location=outcome.location)
    else:
        change.queue.complete(change.command)


def _done_aborting(change: Change, outcome: Outcome | CommandError) -> None:
    if isinstance(outcome, CommandError):
        _done(change, outcome)
    else:
        abort_preempted(
            change.subsystem, change.namespace, outcome.preempted, lambda: change.queue.complete(change.command)
        )


def _invalid(reason: str, location: int) -> CommandError:
    return CommandError(StatusCode.INVALID_FIELD, reason, location=location)


ACTION = 0x7
IGNORES_KEY = 1 << 3
"""Of CDW10."""
EXTENDED = 1 << 0
"""EDS, of CDW11 of Report."""
DATA_MAX_BYTES = 4096

_TYPES = {kind.value: kind for kind in ReservationType}
_REGISTER_ACTIONS = frozenset(RegisterAction)
_ACQUIRE_ACTIONS = frozenset(AcquireAction)
_RELEASE_ACTIONS = frozenset(ReleaseAction)
_PERSISTENCE: dict[int, bool | None] = {
    PersistenceChange.KEEP.value: None,
    PersistenceChange.CLEAR.value: False,
    PersistenceChange.SET.value: True,
}
