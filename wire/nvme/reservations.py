"""The numbers of reservations, and reports read and written as a whole.

Plain `IntEnum`s for building commands, tables and text; codecs return integers. A report is `ReservationStatus` or
its extended form and an entry a registrant (`reservations_layout`).

Follows NVM Express Base 2.0 7.2 to 7.5, 5.16.1.24, 5.27.1.24 and 5.27.1.25.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from wire.nvme.reservations_codec import (
    Registrant,
    RegistrantExtended,
    ReservationStatus,
    ReservationStatusExtended,
)


class ReservationType(IntEnum):
    """RTYPE: who is kept out, and of what (NVMe Base 2.0 8.19)."""

    WRITE_EXCLUSIVE = 1
    EXCLUSIVE_ACCESS = 2
    WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 3
    EXCLUSIVE_ACCESS_REGISTRANTS_ONLY = 4
    WRITE_EXCLUSIVE_ALL_REGISTRANTS = 5
    EXCLUSIVE_ACCESS_ALL_REGISTRANTS = 6


class RegisterAction(IntEnum):
    """RREGA of Reservation Register."""

    REGISTER = 0
    UNREGISTER = 1
    REPLACE = 2


class AcquireAction(IntEnum):
    """RACQA of Reservation Acquire."""

    ACQUIRE = 0
    PREEMPT = 1
    PREEMPT_AND_ABORT = 2


class ReleaseAction(IntEnum):
    """RRELA of Reservation Release."""

    RELEASE = 0
    CLEAR = 1


class PersistenceChange(IntEnum):
    """CPTPL of Reservation Register: what becomes of Persist Through Power Loss. 1 is reserved."""

    KEEP = 0
    CLEAR = 2
    SET = 3


class ReservationNotice(IntEnum):
    """Type of a notification in log page 80h, and the bit of feature 82h that masks it; 0 is an empty page."""

    REGISTRATION_PREEMPTED = 1
    RESERVATION_RELEASED = 2
    RESERVATION_PREEMPTED = 3


class ReservationCapability(IntFlag):
    """RESCAP of Identify Namespace (NVM Command Set 1.0 figure 97)."""

    PERSISTS_THROUGH_POWER_LOSS = 1 << 0
    WRITE_EXCLUSIVE = 1 << 1
    EXCLUSIVE_ACCESS = 1 << 2
    WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 1 << 3
    EXCLUSIVE_ACCESS_REGISTRANTS_ONLY = 1 << 4
    WRITE_EXCLUSIVE_ALL_REGISTRANTS = 1 << 5
    EXCLUSIVE_ACCESS_ALL_REGISTRANTS = 1 << 6
    IGNORES_EXISTING_KEY = 1 << 7
    """IEKEY means what NVMe 1.3 and later say."""


@dataclass(frozen=True, slots=True)
class ReportedRegistrant:
    """An entry of a report.

    host_id: 16 bytes, or 8 from a report with 64-bit identifiers; key: what it registered.
    cntlid: one of its controllers, `CNTLID_NONE` when it has none; is_holder: whether it holds the reservation.
    """

    host_id: bytes
    key: int
    cntlid: int
    is_holder: bool


@dataclass(frozen=True, slots=True)
class ReservationReport:
    """A report, decoded.

    generation: GEN; kind: RTYPE, a `ReservationType`, 0 when nothing is reserved; is_persistent: PTPLS.
    registrant_count: how many there are; registrants: those that the data had room for.
    """

    generation: int
    kind: int
    is_persistent: bool
    registrant_count: int
    registrants: tuple[ReportedRegistrant, ...]

    def encode(self, *, is_extended: bool = True) -> bytes:
        """The report's data; is_extended: in the form with 128-bit host identifiers."""
        fields = {"gen": self.generation, "rtype": self.kind, "regctl": self.registrant_count}
        head = ReservationStatusExtended if is_extended else ReservationStatus
        entries = map(_extended_entry if is_extended else _entry, self.registrants)
        return head(**fields, ptpls=int(self.is_persistent)).encode() + b"".join(entries)


def decode_report(data: bytes | bytearray | memoryview, *, is_extended: bool = True) -> ReservationReport:
    """The report in `data`, with as many registrants as that holds; WireError when there is not even a head.

    is_extended: it has the form with 128-bit host identifiers, as everywhere over fabrics.
    """
    kind: type[RegistrantExtended | Registrant] = RegistrantExtended if is_extended else Registrant
    head = (ReservationStatusExtended if is_extended else ReservationStatus).decode(data)
    room = (len(data) - head.SIZE) // kind.SIZE
    entries = [kind.decode(data, head.SIZE + index * kind.SIZE) for index in range(min(head.regctl, room))]
    return ReservationReport(
        generation=head.gen,
        kind=head.rtype,
        is_persistent=bool(head.ptpls & 1),
        registrant_count=head.regctl,
        registrants=tuple(map(_reported, entries)),
    )


def report_bytes(registrants: int) -> int:
    """Length of an extended report with that many registrants."""
    return ReservationStatusExtended.SIZE + registrants * RegistrantExtended.SIZE


def notice_mask(notices: Sequence[ReservationNotice]) -> int:
    """Feature 82h with these notices masked."""
    return sum(1 << notice for notice in notices)


def _extended_entry(registrant: ReportedRegistrant) -> bytes:
    return RegistrantExtended(
        cntlid=registrant.cntlid,
        rcsts=int(registrant.is_holder),
        rkey=registrant.key,
        hostid=registrant.host_id,
    ).encode()


def _entry(registrant: ReportedRegistrant) -> bytes:
    host_id = int.from_bytes(registrant.host_id, "little")
    return Registrant(
        cntlid=registrant.cntlid, rcsts=int(registrant.is_holder), hostid=host_id, rkey=registrant.key
    ).encode()


def _reported(entry: RegistrantExtended | Registrant) -> ReportedRegistrant:
    host_id = entry.hostid if isinstance(entry.hostid, bytes) else entry.hostid.to_bytes(8, "little")
    return ReportedRegistrant(host_id, entry.rkey, entry.cntlid, bool(entry.rcsts & 1))


CNTLID_NONE = 0xFFFF
"""CNTLID in a report: the registrant has no controller now."""

NOTICES_MASKABLE = notice_mask(tuple(ReservationNotice))
"""The bits of feature 82h that mean something."""
