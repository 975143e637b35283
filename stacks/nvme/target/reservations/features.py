"""The two features of reservations: what nobody is told (82h), and what outlives a loss of power (83h).

Unlike most features in `target.feature_table` they belong to a namespace and not to a controller: all controllers see
one value, and a reset of one changes nothing. Linux nvmet and SPDK take it that way, too.

Follows NVM Express Base 2.0 5.27.1.24 and 5.27.1.25.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.io_checks import not_accessible
from stacks.nvme.target.namespace import Namespace
from stacks.nvme.target.reservations.line import Change
from stacks.nvme.target.reservations.rules import Outcome
from stacks.nvme.target.reservations.state import ReservationState
from wire.nvme.opcodes import NSID_BROADCAST, FeatureId
from wire.nvme.reservations import NOTICES_MASKABLE
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


def set_notification_mask(queue: Queue, command: Command) -> None:
    """Set Features 82h: which notifications of a namespace, or (NSID FFFFFFFFh) of all, nobody is sent."""
    mask = command.words[11]
    if mask & ~NOTICES_MASKABLE:
        raise CommandError(StatusCode.INVALID_FIELD, f"mask {mask:#x} has bits of no notification", location=44)
    for namespace in _namespaces_of(queue, command):
        namespace.reservations.mask = mask
    queue.complete(command)


def set_persistence(queue: Queue, command: Command) -> None:
    """Set Features 83h: PTPL of a namespace, or of all that can have it; it is saved before the command completes."""
    value = command.words[11]
    if value & ~PTPL:
        raise CommandError(StatusCode.INVALID_FIELD, f"PTPL cannot be {value:#x}", location=44)
    able = [each for each in _namespaces_of(queue, command) if each.reservations.can_persist]
    if not able:
        raise CommandError(StatusCode.INVALID_FIELD, "reservations are not kept through a loss of power", location=4)
    errors: list[CommandError] = []
    left = len(able)

    def done(_: Change, outcome: Outcome | CommandError) -> None:
        nonlocal left
        left -= 1
        if isinstance(outcome, CommandError):
            errors.append(outcome)
        if left == 0 and errors:
            queue.fail(command, errors[0].code)
        elif left == 0:
            queue.complete(command)

    def decide(state: ReservationState) -> Outcome:
        return Outcome(replace(state, is_persistent=bool(value)))

    for namespace in able:
        namespace.reservations.submit(Change(queue, command, namespace, decide=decide, done=done))


def namespace_feature(queue: Queue, command: Command) -> int:
    """The current value of either feature for the namespace that Get Features names; there must be one."""
    if command.words[1] == NSID_BROADCAST:
        raise CommandError(StatusCode.INVALID_FIELD, "every namespace has a value of its own", location=4)
    (namespace,) = _namespaces_of(queue, command)
    if command.words[10] & 0xFF == FeatureId.RESERVATION_PERSISTENCE:
        return int(namespace.reservations.state.is_persistent)
    return namespace.reservations.mask


def _namespaces_of(queue: Queue, command: Command) -> list[Namespace]:
    assert queue.controller is not None
    namespaces, nsid = queue.controller.attachments.attached, command.words[1]
    if nsid == NSID_BROADCAST:
        return list(namespaces.values())
    if nsid not in namespaces:
        raise not_accessible(queue, nsid)
    return [namespaces[nsid]]


PTPL = 1 << 0

NAMESPACE_SETTERS: dict[int, Callable[[Queue, Command], None]] = {
    FeatureId.RESERVATION_NOTIFICATION_MASK.value: set_notification_mask,
    FeatureId.RESERVATION_PERSISTENCE.value: set_persistence,
}
