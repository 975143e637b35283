"""Every feature that there is: whose it is, its value, and how it is set.

A feature of a controller is the host's own and is reset with the controller. One of a namespace is the same for every
host, and stays as it is when a controller is reset (NVMe Base 2.0 4.4).

Follows NVM Express Base 2.0 5.27.1 and NVM Command Set 1.0 4.1.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from stacks.nvme.target.controller_kind import DISCOVERY
from stacks.nvme.target.effects import NAMESPACE
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.feature import (
    Feature,
    constant,
    controller_of,
    namespace_of_value,
    namespaces_of,
    wrong_value,
)
from stacks.nvme.target.feature_data import HOST_BEHAVIOR, HOST_IDENTIFIER, TIMESTAMP
from stacks.nvme.target.feature_values import NUMBERS, THRESHOLDS
from stacks.nvme.target.flushing import Flush
from stacks.nvme.target.health import EVENTS_OF
from stacks.nvme.target.reservations.features import NAMESPACE_SETTERS, namespace_feature
from wire.nvme.features_codec import ErrorRecovery, PowerManagement, TemperatureThreshold
from wire.nvme.kinds import ControllerType
from wire.nvme.opcodes import FeatureId
from wire.nvme.status import StatusCode

if TYPE_CHECKING:
    from stacks.nvme.target.queue import Queue


def feature_scopes(controller_type: ControllerType) -> Mapping[int, int]:
    """The features that a controller of that type has, and their scopes."""
    return {fid: each.scope for fid, each in FEATURES.items() if controller_type in each.types}


def _word(value: int) -> bytes:
    return value.to_bytes(4, "little")


# Features that are one number


def _number(fid: int, fields: int) -> Feature:
    # A value that is kept and given back, in the bits of `fields`; any other bit is nothing that there is here.
    def set_number(queue: Queue, command: Command) -> None:
        value = command.words[11]
        if value & ~fields:
            raise wrong_value(f"feature {fid:#x} cannot be {value:#x}")
        controller_of(queue).features.numbers[fid] = value
        queue.complete(command)

    return _numbered(fid, set_number)


def _numbered(fid: int, setter: Callable[[Queue, Command], None]) -> Feature:
    def get(queue: Queue, _: Command) -> int:
        return controller_of(queue).features.numbers[fid]

    return Feature(get=get, default=constant(NUMBERS[fid]), set=setter)


def _set_write_cache(queue: Queue, command: Command) -> None:
    controller, value = controller_of(queue), command.words[11]
    if value & ~1:
        raise wrong_value(f"a write cache of {value}")
    had_write_cache = controller.features.has_write_cache
    controller.features.numbers[FeatureId.VOLATILE_WRITE_CACHE.value] = value
    controller.port.target.access_changed()
    if value or not had_write_cache:
        queue.complete(command)
        return

    # What the cache holds when it is turned off is on the medium when the host hears of it (NVMe Base 2.0 5.27.1.4).
    def flushed(flush: Flush) -> None:
        if flush.status:
            queue.fail(command, flush.status)
        else:
            queue.complete(command)

    Flush(controller, flushed).start()


def _set_number_of_queues(queue: Queue, command: Command) -> None:
    controller, value = controller_of(queue), command.words[11]
    if controller.io_queues:
        raise CommandError(StatusCode.COMMAND_SEQUENCE_ERROR, "I/O queues are there already")
    if value & 0xFFFF == 0xFFFF or value >> 16 == 0xFFFF:
        raise wrong_value("65536 queues were asked for")
    command.dw0 = controller.features.numbers[FeatureId.NUMBER_OF_QUEUES.value]
    queue.complete(command)


# Those with more to them


def _threshold(command: Command, *, sensors: tuple[int, ...]) -> TemperatureThreshold:
    value = TemperatureThreshold.decode(_word(command.words[11]))
    if value.tmpsel not in sensors or value.thsel not in THRESHOLDS or command.words[11] >> 22:
        raise wrong_value(f"no temperature threshold {command.words[11]:#x}")
    return value


def _get_threshold(queue: Queue, command: Command) -> int:
    return controller_of(queue).features.thresholds[_threshold(command, sensors=(COMPOSITE,)).thsel]


def _default_threshold(_: Queue, command: Command) -> int:
    return THRESHOLDS[_threshold(command, sensors=(COMPOSITE,)).thsel]


def _set_threshold(queue: Queue, command: Command) -> None:
    value, controller = _threshold(command, sensors=(COMPOSITE, ALL_SENSORS)), controller_of(queue)
    controller.features.thresholds[value.thsel] = value.tmpth
    queue.complete(command)
    controller.check_health()


def _get_error_recovery(queue: Queue, command: Command) -> int:
    namespace = namespace_of_value(queue, command)
    return int.from_bytes(ErrorRecovery(tler=namespace.recovery_limit).encode(), "little")


def _set_error_recovery(queue: Queue, command: Command) -> None:
    value = ErrorRecovery.decode(_word(command.words[11]))
    if command.words[11] >> 16:
        raise wrong_value("there are no errors for deallocated blocks")
    for namespace in namespaces_of(queue, command):
        namespace.recovery_limit = value.tler
    queue.complete(command)


def _set_power(queue: Queue, command: Command) -> None:
    if command.words[11] >> 8 or PowerManagement.decode(_word(command.words[11])).power_state:
        raise wrong_value(f"no power state {command.words[11]:#x}")
    controller_of(queue).features.numbers[FeatureId.POWER_MANAGEMENT.value] = command.words[11]
    queue.complete(command)


def _set_event_configuration(queue: Queue, command: Command) -> None:
    controller, value = controller_of(queue), command.words[11]
    if value & ~EVENTS_OF[controller.kind.type]:
        raise wrong_value(f"events {value:#x}, of which there are not all")
    controller.events.configuration = value
    queue.complete(command)
    controller.check_health()


def _get_event_configuration(queue: Queue, _: Command) -> int:
    return controller_of(queue).events.configuration


def _default_event_configuration(queue: Queue, _: Command) -> int:
    return controller_of(queue).events.default_configuration


def _get_keep_alive(queue: Queue, _: Command) -> int:
    return controller_of(queue).kato_ms


def _set_keep_alive(queue: Queue, command: Command) -> None:
    controller, kato_ms = controller_of(queue), command.words[11]
    if kato_ms == 0 and controller.kind is not DISCOVERY:
        raise CommandError(StatusCode.KEEP_ALIVE_INVALID, "keep-alive cannot be turned off", location=44)
    controller.set_keep_alive(kato_ms)
    queue.complete(command)


COMPOSITE, ALL_SENSORS = 0, 15
"""TMPSEL; sensors of their own there are none."""
KATO_DEFAULT_MS = 120_000

_EVERY_TYPE = frozenset(ControllerType)

FEATURES: dict[int, Feature] = {
    FeatureId.ARBITRATION.value: _number(FeatureId.ARBITRATION, 0xFFFFFF07),
    FeatureId.POWER_MANAGEMENT.value: _numbered(FeatureId.POWER_MANAGEMENT, _set_power),
    FeatureId.TEMPERATURE_THRESHOLD.value: Feature(_get_threshold, _default_threshold, _set_threshold),
    FeatureId.ERROR_RECOVERY.value: Feature(_get_error_recovery, constant(0), _set_error_recovery, scope=NAMESPACE),
    FeatureId.VOLATILE_WRITE_CACHE.value: _numbered(FeatureId.VOLATILE_WRITE_CACHE, _set_write_cache),
    FeatureId.NUMBER_OF_QUEUES.value: _numbered(FeatureId.NUMBER_OF_QUEUES, _set_number_of_queues),
    FeatureId.WRITE_ATOMICITY.value: _number(FeatureId.WRITE_ATOMICITY, 1),
    FeatureId.ASYNC_EVENT_CONFIGURATION.value: Feature(
        _get_event_configuration, _default_event_configuration, _set_event_configuration, types=_EVERY_TYPE
    ),
    FeatureId.TIMESTAMP.value: TIMESTAMP,
    FeatureId.KEEP_ALIVE_TIMER.value: Feature(
        _get_keep_alive, constant(KATO_DEFAULT_MS), _set_keep_alive, types=_EVERY_TYPE
    ),
    FeatureId.HOST_BEHAVIOR.value: HOST_BEHAVIOR,
    FeatureId.HOST_IDENTIFIER.value: HOST_IDENTIFIER,
    **{
        fid: Feature(namespace_feature, constant(0), setter, scope=NAMESPACE)
        for fid, setter in NAMESPACE_SETTERS.items()
    },
}
