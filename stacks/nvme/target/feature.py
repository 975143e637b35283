"""What a feature is, for the table of them (`feature_table`) and for those who have some to put there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from stacks.nvme.target.effects import CONTROLLER
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.io_checks import not_accessible
from stacks.nvme.target.namespace import Namespace
from wire.nvme.kinds import ControllerType
from wire.nvme.opcodes import NSID_BROADCAST
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.controller import Controller
    from stacks.nvme.target.queue import Queue

GetValue = Callable[["Queue", Command], int | bytes]


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature.

    get: its value, for DW0, or in bytes for the host's memory; default: the one after a reset.
    set: changes it and completes the command, or raises CommandError.
    scope: `NAMESPACE` or `CONTROLLER` of `effects`; types: of the controllers that have it.
    """

    get: GetValue
    default: GetValue
    set: Callable[[Queue, Command], None]
    scope: int = CONTROLLER
    types: frozenset[ControllerType] = frozenset((ControllerType.IO,))
    is_changeable: bool = True


def constant(value: int | bytes) -> GetValue:
    """A default that is always the same."""

    def get(_: Queue, __: Command) -> int | bytes:
        return value

    return get


def controller_of(queue: Queue) -> Controller:
    """The controller, which a queue with admin commands has."""
    assert queue.controller is not None
    return queue.controller


def namespaces_of(queue: Queue, command: Command) -> list[Namespace]:
    """The namespaces whose feature is set, which is all of them for NSID FFFFFFFFh; CommandError for none."""
    attached, nsid = controller_of(queue).attachments.attached, command.words[1]
    if nsid == NSID_BROADCAST:
        return list(attached.values())
    return [_attached(queue, nsid)]


def namespace_of_value(queue: Queue, command: Command) -> Namespace:
    """The namespace whose feature is read; CommandError for none, and for all at once."""
    return _attached(queue, command.words[1])


def wrong_value(what: str) -> CommandError:
    """CDW11 says something that cannot be."""
    return CommandError(StatusCode.INVALID_FIELD, what, location=44)


def _attached(queue: Queue, nsid: int) -> Namespace:
    namespace = controller_of(queue).attachments.attached.get(nsid)
    if namespace is None:
        raise not_accessible(queue, nsid)
    return namespace
