"""Get Log Page: each page is built whole and cut to what the host asked for.

Follows NVM Express Base 2.0 5.16. Pages are small, so building one for each piece that a host reads costs little, and
nothing has to be remembered between the pieces; but for discovery, of 1 KiB an entry, which its service keeps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.nvme.target.ana import ANA_GROUPS_MAX
from stacks.nvme.target.command import Command
from stacks.nvme.target.discovery import SUPPORTED_OPTIONS
from stacks.nvme.target.effects import command_effects, feature_effects
from stacks.nvme.target.errors import CommandError
from stacks.nvme.target.feature_table import feature_scopes
from stacks.nvme.target.health import smart_log
from stacks.nvme.target.identify import FIRMWARE_REVISION
from stacks.nvme.target.subsystem import NAMESPACES_MAX
from wire.nvme.kinds import ControllerType
from wire.nvme.logs_codec import AnaGroup, AnaHeader, FirmwareSlotLog, LogSupportEntry
from wire.nvme.opcodes import NSID_BROADCAST, CommandSet, LogPage
from wire.nvme.status import StatusCode
from wire.nvme.text import encode_nsids, padded

if TYPE_CHECKING:
    from stacks.nvme.target.controller import Controller
    from stacks.nvme.target.queue import Queue


def get_log_page(queue: Queue, command: Command) -> None:
    """Answer with the part of a log page that the command names; CommandError for a page that is not there."""
    controller, words = queue.controller, command.words
    assert controller is not None
    page = words[10] & 0xFF
    pages = _PAGES_OF[controller.kind.type]
    if page not in pages:
        raise CommandError(StatusCode.INVALID_LOG_PAGE, f"no log page {page:#x}", location=40)
    length = ((words[10] >> 16 | (words[11] & 0xFFFF) << 16) + 1) * 4
    offset = words[12] | words[13] << 32
    if words[14] & INDEX_OFFSET:
        raise CommandError(StatusCode.INVALID_FIELD, "an offset is in bytes, not an index", location=58)
    if offset & 3 or length > controller.port.max_transfer_bytes:
        raise CommandError(StatusCode.INVALID_FIELD, "offset or length of a log page", location=48)
    content = pages[page](controller, command)
    if offset > len(content):
        raise CommandError(StatusCode.INVALID_FIELD, "offset past the end of a log page", location=48)
    queue.send_data(command, content[offset : offset + length].ljust(length, b"\0"))
    if page == LogPage.RESERVATION_NOTIFICATION and offset + length >= len(content):
        # Reading takes the oldest out, also with RAE 1, which is about the event (NVMe Base 2.0 5.16.1.24).
        controller.notices.take()
    if not words[10] & RETAIN_EVENT:
        if page == LogPage.CHANGED_NAMESPACES:
            controller.attachments.changed_nsids.clear()
        controller.log_was_read(page)


def _supported_logs(controller: Controller, _: Command) -> bytes:
    pages = _PAGES_OF[controller.kind.type]
    entries = (
        LogSupportEntry(supported=LOG_SUPPORTED, parameter=_PARAMETERS.get(page, 0)) if page in pages else NO_LOG
        for page in range(256)
    )
    return b"".join(entry.encode() for entry in entries)


def _error_log(controller: Controller, _: Command) -> bytes:
    return controller.errors.encode()


def _firmware_log(_: Controller, __: Command) -> bytes:
    return FirmwareSlotLog(active=1, slot1=padded(FIRMWARE_REVISION, 8, fill=b" ")).encode()


def _changed_namespaces(controller: Controller, _: Command) -> bytes:
    changed = sorted(controller.attachments.changed_nsids)
    if len(changed) > CHANGED_NAMESPACES_MAX:
        changed = [NSID_BROADCAST]
    return encode_nsids(changed, CHANGED_NAMESPACES_MAX * 4)


def _effects_log(_: Controller, command: Command) -> bytes:
    queue = command.queue
    assert queue is not None
    _check_csi(command)
    return command_effects(queue.tables.admin, queue.tables.io)


def _ana_log(controller: Controller, command: Command) -> bytes:
    attachments, has_groups_only = controller.attachments, bool(command.words[10] >> 8 & 1)
    parts = [AnaHeader(change_count=attachments.ana_change_count, groups=len(attachments.groups)).encode()]
    for group, seen in attachments.groups.items():
        nsids = () if has_groups_only else seen.nsids
        header = AnaGroup(group=group, nsids=len(nsids), change_count=seen.change_count, state=seen.state)
        parts += [header.encode(), encode_nsids(nsids)]
    # Linux reads room for every group and namespace in one go, however few there are.
    return b"".join(parts).ljust(AnaHeader.SIZE + AnaGroup.SIZE * ANA_GROUPS_MAX + 4 * NAMESPACES_MAX, b"\0")


def _reservation_log(controller: Controller, _: Command) -> bytes:
    return controller.notices.page()


def _feature_effects(controller: Controller, command: Command) -> bytes:
    _check_csi(command)
    return feature_effects(feature_scopes(controller.kind.type))


def _management_interface_effects(_: Controller, __: Command) -> bytes:
    return bytes(1024)


def _discovery(controller: Controller, command: Command) -> bytes:
    return controller.port.target.discovery.log(controller, command.words[10] >> 8 & 0x7F)


def _check_csi(command: Command) -> None:
    # Of the pages that differ by command set.
    if command.words[14] >> 24 != CommandSet.NVM:
        raise CommandError(StatusCode.INVALID_FIELD, f"no command set {command.words[14] >> 24}", location=59)


RETAIN_EVENT = 1 << 15
"""RAE in CDW10."""
INDEX_OFFSET = 1 << 23
"""OT in CDW14; no page here has an index."""
CHANGED_NAMESPACES_MAX = 1024

LOG_SUPPORTED = 1 << 0
"""LSUPP."""
NO_LOG = LogSupportEntry()

_Page = Callable[["Controller", Command], bytes]

_DISCOVERY_PAGES: dict[int, _Page] = {
    LogPage.SUPPORTED_LOGS.value: _supported_logs,
    LogPage.ERROR.value: _error_log,
    LogPage.COMMAND_EFFECTS.value: _effects_log,
    LogPage.FEATURE_IDS_EFFECTS.value: _feature_effects,
    LogPage.DISCOVERY.value: _discovery,
}

_PAGES: dict[int, _Page] = {
    LogPage.SUPPORTED_LOGS.value: _supported_logs,
    LogPage.ERROR.value: _error_log,
    LogPage.SMART.value: smart_log,
    LogPage.FIRMWARE_SLOT.value: _firmware_log,
    LogPage.CHANGED_NAMESPACES.value: _changed_namespaces,
    LogPage.COMMAND_EFFECTS.value: _effects_log,
    LogPage.ANA.value: _ana_log,
    LogPage.FEATURE_IDS_EFFECTS.value: _feature_effects,
    LogPage.MI_COMMAND_EFFECTS.value: _management_interface_effects,
    LogPage.RESERVATION_NOTIFICATION.value: _reservation_log,
}

_ADMINISTRATIVE_PAGES: dict[int, _Page] = {
    page: _PAGES[page]
    for page in (
        LogPage.SUPPORTED_LOGS.value,
        LogPage.ERROR.value,
        LogPage.SMART.value,
        LogPage.FIRMWARE_SLOT.value,
        LogPage.COMMAND_EFFECTS.value,
        LogPage.FEATURE_IDS_EFFECTS.value,
        LogPage.MI_COMMAND_EFFECTS.value,
    )
}

_PAGES_OF: dict[ControllerType, dict[int, _Page]] = {
    ControllerType.IO: _PAGES,
    ControllerType.DISCOVERY: _DISCOVERY_PAGES,
    ControllerType.ADMINISTRATIVE: _ADMINISTRATIVE_PAGES,
}

_PARAMETERS = {LogPage.DISCOVERY.value: SUPPORTED_OPTIONS.value}
"""LID specific parameters: which options a log page has."""
