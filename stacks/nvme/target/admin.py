"""The admin commands, by opcode.

Follows NVM Express Base 2.0 5. Left out, with Invalid Opcode: namespace management, firmware, self test, directives,
format, security, sanitize.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.fabrics import admin_fabrics
from stacks.nvme.target.features import get_features, set_features
from stacks.nvme.target.identify import EVENT_REQUESTS_MAX, identify
from stacks.nvme.target.log_pages import get_log_page
from wire.nvme.opcodes import AdminOpcode
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


def _when_ready(handler: Callable[[Queue, Command], None]) -> Callable[[Queue, Command], None]:
    def checked(queue: Queue, command: Command) -> None:
        assert queue.controller is not None
        if not queue.controller.is_ready:
            raise CommandError(StatusCode.COMMAND_SEQUENCE_ERROR, "the controller is not enabled")
        handler(queue, command)

    return checked


def _abort(queue: Queue, command: Command) -> None:
    # Only a waiting event request can still be taken back; everything else is done before an Abort is read, or soon.
    controller = queue.controller
    assert controller is not None
    sqid, cid = command.words[10] & 0xFFFF, command.words[10] >> 16
    found = controller.events.take_request(cid) if sqid == 0 else None
    if found is not None:
        queue.fail(found, StatusCode.ABORTED_BY_REQUEST.value)
    command.dw0 = NOT_ABORTED if found is None else 0
    queue.complete(command)


def _async_event_request(queue: Queue, command: Command) -> None:
    controller = queue.controller
    assert controller is not None
    if len(controller.events.requests) >= EVENT_REQUESTS_MAX:
        raise CommandError(StatusCode.ASYNC_EVENT_LIMIT_EXCEEDED, "too many event requests")
    controller.events.requests.append(command)
    ready = controller.events.deliver()
    if ready is not None:
        queue.complete(ready)


def _keep_alive(queue: Queue, command: Command) -> None:
    assert queue.controller is not None
    queue.controller.restart_keep_alive()
    queue.complete(command)


NOT_ABORTED = 1
"""DW0 of Abort: the command was not aborted."""

ADMIN_HANDLERS: dict[int, Callable[[Queue, Command], None]] = {
    AdminOpcode.GET_LOG_PAGE.value: _when_ready(get_log_page),
    AdminOpcode.IDENTIFY.value: _when_ready(identify),
    AdminOpcode.ABORT.value: _when_ready(_abort),
    AdminOpcode.SET_FEATURES.value: _when_ready(set_features),
    AdminOpcode.GET_FEATURES.value: _when_ready(get_features),
    AdminOpcode.ASYNC_EVENT_REQUEST.value: _when_ready(_async_event_request),
    AdminOpcode.KEEP_ALIVE.value: _when_ready(_keep_alive),
    AdminOpcode.FABRICS.value: admin_fabrics,
}
