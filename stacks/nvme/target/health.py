"""Health: log page 02h, its warnings, and the events that tell of them.

The temperature never changes, so a warning begins and ends where a host moves a threshold.

Follows NVM Express Base 2.0 5.2.2 and 5.16.1.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.nvme.target.command import Command
from stacks.nvme.target.events import Event
from stacks.nvme.target.feature_values import COMPOSITE_KELVIN
from stacks.nvme.target.io_checks import not_accessible
from wire.nvme.kinds import ControllerType
from wire.nvme.logs_codec import SmartLog
from wire.nvme.opcodes import (
    NSID_BROADCAST,
    CriticalWarning,
    EventConfiguration,
    EventType,
    LogPage,
    SmartEvent,
    ThresholdType,
)

if TYPE_CHECKING:
    from stacks.nvme.target.controller import Controller


def smart_log(controller: Controller, command: Command) -> bytes:
    """The page for NSID 0 or FFFFFFFFh, of all that there is, or for one namespace; CommandError for another NSID."""
    subsystem, nsid = controller.subsystem, command.words[1]
    controller.port.target.collect()
    namespaces = list(subsystem.namespaces.values())
    if nsid not in (0, NSID_BROADCAST):
        if nsid not in controller.attachments.attached:
            assert command.queue is not None
            raise not_accessible(command.queue, nsid)
        namespaces = [controller.attachments.attached[nsid]]
    return SmartLog(
        critical_warning=critical_warning(controller),
        temperature=COMPOSITE_KELVIN,
        available_spare=100,
        spare_threshold=10,
        data_units_read=_data_units(sum(each.bytes_read for each in namespaces)),
        data_units_written=_data_units(sum(each.bytes_written for each in namespaces)),
        host_reads=sum(each.reads for each in namespaces),
        host_writes=sum(each.writes for each in namespaces),
        busy_minutes=subsystem.busy_time.total_ns // MINUTE_NS,
        power_cycles=1,
        power_on_hours=controller.port.target.up_time_ns // HOUR_NS,
        unsafe_shutdowns=subsystem.unsafe_shutdowns,
        media_errors=sum(each.media_errors for each in namespaces),
        error_log_entries=controller.errors.count,
    ).encode()


def critical_warning(controller: Controller) -> int:
    """What the page warns of."""
    thresholds = controller.features.thresholds
    over, under = thresholds[ThresholdType.OVER.value], thresholds[ThresholdType.UNDER.value]
    return 0 if under < COMPOSITE_KELVIN < over else CriticalWarning.TEMPERATURE.value


def _data_units(count: int) -> int:
    # Thousands of 512 bytes, rounded up (NVMe Base figure 207).
    return -(-count // 512_000)


MINUTE_NS = 60 * 10**9
HOUR_NS = 60 * MINUTE_NS

TEMPERATURE_WARNING = Event(
    EventType.SMART, SmartEvent.TEMPERATURE_THRESHOLD, LogPage.SMART, EventConfiguration.SMART_TEMPERATURE.value
)

WARNINGS = 0xFF
"""SHCW of feature 0Bh: a bit for each critical warning, also for those that never come."""

EVENTS_OF: dict[ControllerType, int] = {
    ControllerType.IO: WARNINGS | EventConfiguration.NAMESPACE_ATTRIBUTE | EventConfiguration.ANA_CHANGE,
    ControllerType.DISCOVERY: EventConfiguration.DISCOVERY_CHANGE.value,
    ControllerType.ADMINISTRATIVE: WARNINGS,
}
"""What feature 0Bh can turn on; above the warnings it is also OAES of Identify."""
