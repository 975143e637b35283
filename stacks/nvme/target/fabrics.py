"""Fabrics commands of a connected queue: Property Get and Set reach a controller's registers, Disconnect ends an I/O
queue. (Connect is in `connect`.)

Follows NVMe over Fabrics 1.1 3 (NVMe Base 2.0 6); statuses as Linux nvmet gives them where the document leaves a
choice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from stacks.nvme.target.errors import CommandError
from wire.nvme.opcodes import FabricsType
from wire.nvme.properties import PropertyOffset, PropertySize
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


def admin_fabrics(queue: Queue, command: Command) -> None:
    """A fabrics command on a connected admin queue."""
    kind = command.words[1] & 0xFF
    handler = _ADMIN_HANDLERS.get(kind)
    if handler is None:
        code = _MISPLACED.get(kind, StatusCode.INVALID_OPCODE)
        raise CommandError(code, f"fabrics command {kind:#x} on an admin queue", location=4)
    handler(queue, command)


def io_fabrics(queue: Queue, command: Command) -> None:
    """A fabrics command on a connected I/O queue: Disconnect and nothing else."""
    kind = command.words[1] & 0xFF
    if kind == FabricsType.CONNECT:
        raise CommandError(StatusCode.COMMAND_SEQUENCE_ERROR, "the queue is connected already", location=4)
    if kind != FabricsType.DISCONNECT:
        raise CommandError(StatusCode.INVALID_OPCODE, f"fabrics command {kind:#x} on an I/O queue", location=4)
    if command.words[10] & 0xFFFF:
        raise CommandError(StatusCode.CONNECT_INCOMPATIBLE_FORMAT, "RECFMT is not 0", location=40)
    queue.disconnect(command)


def _property_get(queue: Queue, command: Command) -> None:
    assert queue.controller is not None
    value, size = queue.controller.property(command.words[11])
    _check_size(command, size)
    command.answer(value)
    queue.complete(command)


def _property_set(queue: Queue, command: Command) -> None:
    words, controller = command.words, queue.controller
    assert controller is not None
    if words[11] != PropertyOffset.CC:
        raise CommandError(StatusCode.INVALID_FIELD, f"property {words[11]:#x} cannot be set", location=44)
    _check_size(command, 4)
    controller.configure(words[12])
    queue.complete(command)


def _check_size(command: Command, size: int) -> None:
    attribute = PropertySize.EIGHT_BYTES if size == 8 else PropertySize.FOUR_BYTES
    if command.words[10] & 7 != attribute:
        raise CommandError(StatusCode.INVALID_FIELD, "the property has another size", location=40)


_ADMIN_HANDLERS: dict[int, Callable[[Queue, Command], None]] = {
    FabricsType.PROPERTY_GET.value: _property_get,
    FabricsType.PROPERTY_SET.value: _property_set,
}

_MISPLACED = {
    FabricsType.CONNECT.value: StatusCode.COMMAND_SEQUENCE_ERROR,
    FabricsType.DISCONNECT.value: StatusCode.INVALID_QUEUE_TYPE,
}
"""Commands that exist and have no place on an admin queue."""
