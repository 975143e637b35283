"""Features whose value is a structure in the host's memory: timestamp, host behavior, host identifier.

Follows NVM Express Base 2.0 5.27.1.13, 5.27.1.19 and 5.27.1.23.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.feature import Feature, constant, controller_of, wrong_value
from wire.nvme.features_codec import HostBehavior, Timestamp
from wire.nvme.kinds import ControllerType
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


def _get_timestamp(queue: Queue, _: Command) -> bytes:
    controller = controller_of(queue)
    return controller.features.timestamp(controller.port.target.now).encode()


def _set_timestamp(queue: Queue, command: Command) -> None:
    def here(command: Command) -> None:
        assert command.view is not None
        controller = controller_of(queue)
        controller.features.set_timestamp(Timestamp.decode(command.view).timestamp, controller.port.target.now)
        queue.complete(command)

    queue.require_length(command, Timestamp.SIZE)
    queue.receive_data(command, Timestamp.SIZE, here)


def _get_host_behavior(queue: Queue, _: Command) -> bytes:
    return controller_of(queue).features.behavior.encode()


def _set_host_behavior(queue: Queue, command: Command) -> None:
    def here(command: Command) -> None:
        assert command.view is not None
        value = HostBehavior.decode(command.view)
        if max(value.acre, value.etdas, value.lbafee) > 1:
            queue.fail(command, StatusCode.INVALID_FIELD.value)
        else:
            controller_of(queue).features.behavior = value
            queue.complete(command)

    queue.require_length(command, HostBehavior.SIZE)
    queue.receive_data(command, HostBehavior.SIZE, here)


def _get_host_identifier(queue: Queue, command: Command) -> bytes:
    _check_extended(command)
    return controller_of(queue).host_id


def _default_host_identifier(_: Queue, command: Command) -> bytes:
    _check_extended(command)
    return bytes(16)


def _check_extended(command: Command) -> None:
    if not command.words[11] & EXTENDED_HOST_ID:
        raise wrong_value("over a fabric host identifiers have 128 bits")


def _refuse_host_identifier(_: Queue, __: Command) -> None:
    raise CommandError(StatusCode.COMMAND_SEQUENCE_ERROR, "the host identifier came with Connect", location=40)


EXTENDED_HOST_ID = 1 << 0
"""EXHID."""

TIMESTAMP = Feature(_get_timestamp, constant(bytes(Timestamp.SIZE)), _set_timestamp)
HOST_BEHAVIOR = Feature(_get_host_behavior, constant(bytes(HostBehavior.SIZE)), _set_host_behavior)
HOST_IDENTIFIER = Feature(
    _get_host_identifier,
    _default_host_identifier,
    _refuse_host_identifier,
    types=frozenset((ControllerType.IO, ControllerType.ADMINISTRATIVE)),
    is_changeable=False,
)
