"""The admin commands, by opcode.

Follows NVM Express Base 2.0 5. Left out, with Invalid Opcode: namespace management, firmware, self test, directives,
format, security, sanitize.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.nvme.target.aborting import Abortion
from stacks.nvme.target.command import Command
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.fabrics import admin_fabrics
from stacks.nvme.target.features import get_features, set_features
from stacks.nvme.target.identify import EVENT_REQUESTS_MAX, identify
from stacks.nvme.target.log_pages import get_log_page
from wire.nvme.opcodes import AdminOpcode
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.controller import Controller
    from stacks.nvme.target.queue import Queue


def _when_ready(handler: Callable[[Queue, Command], None]) -> Callable[[Queue, Command], None]:
    def checked(queue: Queue, command: Command) -> None:
        assert queue.controller is not None
        if not queue.controller.is_ready:
            raise CommandError(StatusCode.COMMAND_SEQUENCE_ERROR, "the controller is not enabled")
        handler(queue, command)

    return checked


def _abort(queue: Queue, command: Command) -> None:
    # It is answered at once, so that there are never too many of them; what can be ended only later may end then.
    controller = queue.controller
    assert controller is not None
    sqid, cid = command.words[10] & 0xFFFF, command.words[10] >> 16
    victims = queue if sqid == 0 else controller.io_queues.get(sqid)
    under_way = () if victims is None else victims.under_way
    found = next((each for each in under_way if each.cid == cid and each is not command), None)
    is_aborted = found is not None and _end_early(controller, found)
    command.dw0 = 0 if is_aborted else NOT_ABORTED
    queue.complete(command)


def _end_early(controller: Controller, command: Command) -> bool:
    queue = command.queue
    assert queue is not None
    if queue.qid == 0 and controller.events.take_request(command):
        queue.fail(command, StatusCode.ABORTED_BY_REQUEST.value)
        return True
    return Abortion(StatusCode.ABORTED_BY_REQUEST.value).abort(queue, command)


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
"""DW0 of Abort: the command has not been aborted, at least not yet (NVMe Base 2.0 5.1)."""

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
