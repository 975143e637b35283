"""What can be read with Identify and Get Log Page, each with the structure that it comes as.

    connection.identify(pages.CONTROLLER).mn
    connection.get_log_page(pages.SMART).host_reads

For what is not here, a number in place of a page gives plain bytes.

Follows NVM Express Base 2.0 5.16 and 5.17, NVM Command Set 1.0 4.1.5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from wire.nvme.identifiers import decode_identifiers
from wire.nvme.identify_codec import (
    IdentifyController,
    IdentifyControllerNvm,
    IdentifyNamespace,
    IdentifyNamespaceIndependent,
)
from wire.nvme.logs_codec import (
    AnaGroup,
    AnaHeader,
    EffectsEntry,
    ErrorLogEntry,
    FeatureEffectsEntry,
    FirmwareSlotLog,
    LogSupportEntry,
    SmartLog,
)
from wire.nvme.opcodes import IdentifyCns, LogPage
from wire.nvme.text import decode_nsids

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class IdentifyPage(Generic[T]):
    """An Identify data structure. cns: its number; decode: makes a structure of its 4096 bytes."""

    cns: int
    decode: Callable[[memoryview], T]


@dataclass(frozen=True, slots=True)
class Log(Generic[T]):
    """A log page. number: LID; length: in bytes, what is asked for when nobody says more; decode: makes a structure."""

    number: int
    length: int
    decode: Callable[[memoryview], T]


@dataclass(frozen=True, slots=True)
class CommandEffects:
    """Log page 05h: what each command changes, by opcode; those that are not supported are left out."""

    admin: dict[int, EffectsEntry]
    io: dict[int, EffectsEntry]


@dataclass(frozen=True, slots=True)
class AnaReport:
    """Log page 0Ch: change_count of all of it; groups, each with its namespaces."""

    change_count: int
    groups: list[tuple[AnaGroup, list[int]]]


def _errors(data: memoryview) -> list[ErrorLogEntry]:
    entries = [ErrorLogEntry.decode(data, at) for at in range(0, len(data), ErrorLogEntry.SIZE)]
    return [entry for entry in entries if entry.error_count]


def _effects(data: memoryview) -> CommandEffects:
    entries = [EffectsEntry.decode(data, at) for at in range(0, 2048, EffectsEntry.SIZE)]
    admin, io = ({opcode: each for opcode, each in enumerate(part) if each.supported} for part in _halves(entries))
    return CommandEffects(admin, io)


def _halves(entries: list[EffectsEntry]) -> tuple[list[EffectsEntry], list[EffectsEntry]]:
    return entries[:256], entries[256:]


def _ana(data: memoryview) -> AnaReport:
    header = AnaHeader.decode(data)
    groups, at = [], AnaHeader.SIZE
    for _ in range(header.groups):
        group = AnaGroup.decode(data, at)
        at += AnaGroup.SIZE
        groups.append((group, decode_nsids(data[at : at + 4 * group.nsids])))
        at += 4 * group.nsids
    return AnaReport(header.change_count, groups)


def _feature_effects(data: memoryview) -> dict[int, FeatureEffectsEntry]:
    entries = (FeatureEffectsEntry.decode(data, at) for at in range(0, 1024, FeatureEffectsEntry.SIZE))
    return {fid: entry for fid, entry in enumerate(entries) if entry.supported}


def _supported_logs(data: memoryview) -> dict[int, LogSupportEntry]:
    entries = (LogSupportEntry.decode(data, at) for at in range(0, 1024, LogSupportEntry.SIZE))
    return {page: entry for page, entry in enumerate(entries) if entry.supported & 1}


NAMESPACE = IdentifyPage(IdentifyCns.NAMESPACE, IdentifyNamespace.decode)
CONTROLLER = IdentifyPage(IdentifyCns.CONTROLLER, IdentifyController.decode)
ACTIVE_NAMESPACES = IdentifyPage(IdentifyCns.ACTIVE_NAMESPACES, decode_nsids)
NAMESPACE_DESCRIPTORS = IdentifyPage(IdentifyCns.NAMESPACE_DESCRIPTORS, decode_identifiers)
CONTROLLER_NVM = IdentifyPage(IdentifyCns.CONTROLLER_OF_COMMAND_SET, IdentifyControllerNvm.decode)
NAMESPACE_INDEPENDENT = IdentifyPage(IdentifyCns.NAMESPACE_INDEPENDENT, IdentifyNamespaceIndependent.decode)

SUPPORTED_LOGS = Log(LogPage.SUPPORTED_LOGS, 1024, _supported_logs)
ERRORS = Log(LogPage.ERROR, 64 * ErrorLogEntry.SIZE, _errors)
SMART = Log(LogPage.SMART, SmartLog.SIZE, SmartLog.decode)
FIRMWARE = Log(LogPage.FIRMWARE_SLOT, FirmwareSlotLog.SIZE, FirmwareSlotLog.decode)
CHANGED_NAMESPACES = Log(LogPage.CHANGED_NAMESPACES, 4096, decode_nsids)
COMMAND_EFFECTS = Log(LogPage.COMMAND_EFFECTS, 4096, _effects)
ANA = Log(LogPage.ANA, 4096, _ana)
"""Enough for a thousand namespaces; more are asked for with `length`."""
FEATURE_EFFECTS = Log(LogPage.FEATURE_IDS_EFFECTS, 1024, _feature_effects)
