"""Set Features and Get Features: one table of what exists, and the few that do something.

Follows NVM Express Base 2.0 5.15 and 5.27. Nothing is saveable; what is specific to a namespace is in
`reservations.features`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.nvme.target.ana_effects import check_feature
from stacks.nvme.target.command import Command
from stacks.nvme.target.controller_kind import DISCOVERY, IO_QUEUES_MAX
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.flushing import Flush
from stacks.nvme.target.reservations.features import NAMESPACE_SETTERS, namespace_feature
from wire.nvme.kinds import ControllerType
from wire.nvme.opcodes import FeatureId, FeatureSelect
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.controller import Controller
    from stacks.nvme.target.queue import Queue


def default_features() -> dict[int, int]:
    """The value of every feature of an I/O controller that was just reset."""
    return dict(_DEFAULTS)


def set_features(queue: Queue, command: Command) -> None:
    """Change a feature and complete."""
    controller, words = queue.controller, command.words
    assert controller is not None
    fid, value = words[10] & 0xFF, words[11]
    _check(controller, fid)
    check_feature(controller, fid, words[1], is_set=True)
    if words[10] >> 31:
        raise CommandError(StatusCode.FEATURE_NOT_SAVEABLE, "no feature is saveable", location=43)
    if fid in NAMESPACE_SETTERS:
        NAMESPACE_SETTERS[fid](queue, command)
        return
    if fid not in _SETTERS:
        raise CommandError(StatusCode.FEATURE_NOT_CHANGEABLE, f"feature {fid:#x} cannot be changed", location=40)
    had_write_cache = controller.features.get(FeatureId.VOLATILE_WRITE_CACHE)
    command.dw0 = _SETTERS[fid](controller, value)
    if had_write_cache and not controller.features[FeatureId.VOLATILE_WRITE_CACHE]:
        _flush_then_complete(queue, command)
    else:
        queue.complete(command)


def _flush_then_complete(queue: Queue, command: Command) -> None:
    # What the cache holds when it is turned off is on the medium when the host hears of it (NVMe Base 2.0 5.27.1.4).
    def flushed(flush: Flush) -> None:
        if flush.status:
            queue.fail(command, flush.status)
        else:
            queue.complete(command)

    assert queue.controller is not None
    Flush(queue.controller, flushed).start()


def get_features(queue: Queue, command: Command) -> None:
    """Answer with a feature's current or default value, or what can be done to it."""
    controller, words = queue.controller, command.words
    assert controller is not None
    fid, select = words[10] & 0xFF, words[10] >> 8 & 7
    _check(controller, fid)
    check_feature(controller, fid, words[1], is_set=False)
    if select == FeatureSelect.SUPPORTED:
        command.dw0 = _capabilities(fid)
    elif select > FeatureSelect.SUPPORTED:
        raise CommandError(StatusCode.INVALID_FIELD, f"SEL {select} is reserved", location=41)
    elif fid == FeatureId.HOST_IDENTIFIER:
        queue.send_data(command, controller.host_id)
        return
    elif fid in NAMESPACE_SETTERS and select == FeatureSelect.CURRENT:
        command.dw0 = namespace_feature(queue, command)
    else:
        command.dw0 = current_value(controller, fid) if select == FeatureSelect.CURRENT else _DEFAULTS[fid]
    queue.complete(command)


def _capabilities(fid: int) -> int:
    if fid in NAMESPACE_SETTERS:
        return CHANGEABLE | PER_NAMESPACE
    return CHANGEABLE if fid in _SETTERS else 0


def feature_ids(controller_type: ControllerType) -> frozenset[int]:
    """The features that a controller of that type has."""
    return _FEATURES[controller_type]


def current_value(controller: Controller, fid: int) -> int:
    """The value in force; some live in the controller and not in its table."""
    if fid == FeatureId.KEEP_ALIVE_TIMER:
        return controller.kato_ms
    if fid == FeatureId.ASYNC_EVENT_CONFIGURATION:
        return controller.events.configuration
    return controller.features[fid]


def _check(controller: Controller, fid: int) -> None:
    if fid not in feature_ids(controller.kind.type):
        raise CommandError(StatusCode.INVALID_FIELD, f"no feature {fid:#x}", location=40)


def _store(fid: int, mask: int) -> Callable[[Controller, int], int]:
    # A value that is kept and given back, in the bits of `mask`; any other bit is a field that is not supported.
    def setter(controller: Controller, value: int) -> int:
        if value & ~mask:
            raise CommandError(StatusCode.INVALID_FIELD, f"feature {fid:#x} cannot be {value:#x}", location=44)
        controller.features[fid] = value
        return 0

    return setter


def _set_number_of_queues(controller: Controller, value: int) -> int:
    if controller.io_queues:
        raise CommandError(StatusCode.COMMAND_SEQUENCE_ERROR, "I/O queues are there already")
    if value & 0xFFFF == 0xFFFF or value >> 16 == 0xFFFF:
        raise CommandError(StatusCode.INVALID_FIELD, "65536 queues were asked for", location=44)
    return controller.features[FeatureId.NUMBER_OF_QUEUES]


def _set_event_configuration(controller: Controller, value: int) -> int:
    controller.events.configuration = value
    return 0


def _set_keep_alive(controller: Controller, value: int) -> int:
    if value == 0 and controller.kind is not DISCOVERY:
        raise CommandError(StatusCode.KEEP_ALIVE_INVALID, "keep-alive cannot be turned off", location=44)
    controller.set_keep_alive(value)
    return 0


WARNING_KELVIN = 343
PER_NAMESPACE, CHANGEABLE = 1 << 1, 1 << 2
"""Bits of the answer to SEL 3."""

_DEFAULTS: dict[int, int] = {
    FeatureId.ARBITRATION.value: 0,
    FeatureId.POWER_MANAGEMENT.value: 0,
    FeatureId.TEMPERATURE_THRESHOLD.value: WARNING_KELVIN,
    FeatureId.ERROR_RECOVERY.value: 0,
    FeatureId.VOLATILE_WRITE_CACHE.value: 1,
    FeatureId.NUMBER_OF_QUEUES.value: (IO_QUEUES_MAX - 1) << 16 | (IO_QUEUES_MAX - 1),
    FeatureId.WRITE_ATOMICITY.value: 0,
    FeatureId.ASYNC_EVENT_CONFIGURATION.value: 0,
    FeatureId.KEEP_ALIVE_TIMER.value: 0,
    FeatureId.HOST_IDENTIFIER.value: 0,
    FeatureId.RESERVATION_NOTIFICATION_MASK.value: 0,
    FeatureId.RESERVATION_PERSISTENCE.value: 0,
}

_SETTERS: dict[int, Callable[[Controller, int], int]] = {
    FeatureId.ARBITRATION.value: _store(FeatureId.ARBITRATION, 0xFFFFFFFF),
    FeatureId.POWER_MANAGEMENT.value: _store(FeatureId.POWER_MANAGEMENT, 0),
    FeatureId.TEMPERATURE_THRESHOLD.value: _store(FeatureId.TEMPERATURE_THRESHOLD, 0xFFFF),
    FeatureId.ERROR_RECOVERY.value: _store(FeatureId.ERROR_RECOVERY, 0xFFFF),
    FeatureId.VOLATILE_WRITE_CACHE.value: _store(FeatureId.VOLATILE_WRITE_CACHE, 1),
    FeatureId.NUMBER_OF_QUEUES.value: _set_number_of_queues,
    FeatureId.WRITE_ATOMICITY.value: _store(FeatureId.WRITE_ATOMICITY, 1),
    FeatureId.ASYNC_EVENT_CONFIGURATION.value: _set_event_configuration,
    FeatureId.KEEP_ALIVE_TIMER.value: _set_keep_alive,
}

_FEATURES: dict[ControllerType, frozenset[int]] = {
    ControllerType.IO: frozenset(_DEFAULTS),
    ControllerType.DISCOVERY: frozenset(
        (FeatureId.ASYNC_EVENT_CONFIGURATION.value, FeatureId.KEEP_ALIVE_TIMER.value)
    ),
    ControllerType.ADMINISTRATIVE: frozenset(
        (
            FeatureId.ASYNC_EVENT_CONFIGURATION.value,
            FeatureId.KEEP_ALIVE_TIMER.value,
            FeatureId.HOST_IDENTIFIER.value,
        )
    ),
}
