"""Reservations: the data of Register, Acquire and Release, the report in both its forms, and the notification log.

A report is a header and one entry a registrant. With 64-bit host identifiers that is `ReservationStatus` (24 bytes)
and `Registrant`s (24); with 128-bit ones, as over fabrics always, `ReservationStatusExtended` (64) and
`RegistrantExtended`s (64). `wire.nvme.reservations` reads and writes whole reports, and names the numbers.

Follows NVM Express Base 2.0 7.2 to 7.5 and 5.16.1.24. Fast codecs: `reservations_codec`. No vector is published and no
capture here has any of it: offsets are checked against a figure's bytes written out by hand in tests/wire/nvme.
"""

from __future__ import annotations

from construct import Bytes, Int8ul, Int16ul, Int32ul, Int64ul, Padding, Struct

RESERVATION_REGISTER_DATA = (
    Struct(
        "crkey" / Int64ul,
        "nrkey" / Int64ul,
    )
    * "Data of Reservation Register: the key that is registered, and the one to register (NVMe Base 2.0 7.3)."
)

RESERVATION_ACQUIRE_DATA = (
    Struct(
        "crkey" / Int64ul,
        "prkey" / Int64ul,
    )
    * "Data of Reservation Acquire: our key, and the key whose registrations are preempted (NVMe Base 2.0 7.2)."
)

RESERVATION_RELEASE_DATA = (
    Struct(
        "crkey" / Int64ul,
    )
    * "Data of Reservation Release: our key (NVMe Base 2.0 7.4)."
)

RESERVATION_STATUS = (
    Struct(
        "gen" / Int32ul,
        "rtype" / Int8ul,
        "regctl" / Int16ul,
        Padding(2),
        "ptpls" / Int8ul,
        Padding(14),
    )
    * """Head of a report; `regctl` entries follow. rtype: a `ReservationType`, 0 for no reservation
    (NVMe Base 2.0 7.5).
    """
)

RESERVATION_STATUS_EXTENDED = (
    Struct(
        "gen" / Int32ul,
        "rtype" / Int8ul,
        "regctl" / Int16ul,
        Padding(2),
        "ptpls" / Int8ul,
        Padding(54),
    )
    * "Head of a report with 128-bit host identifiers: the same, and more reserved bytes."
)

REGISTRANT = (
    Struct(
        "cntlid" / Int16ul,
        "rcsts" / Int8ul,
        Padding(5),
        "hostid" / Int64ul,
        "rkey" / Int64ul,
    )
    * "One registrant with a 64-bit host identifier. rcsts: bit 0, it holds the reservation."
)

REGISTRANT_EXTENDED = (
    Struct(
        "cntlid" / Int16ul,
        "rcsts" / Int8ul,
        Padding(5),
        "rkey" / Int64ul,
        "hostid" / Bytes(16),
        Padding(32),
    )
    * "One registrant with a 128-bit host identifier; the key comes first here."
)

RESERVATION_NOTIFICATION = (
    Struct(
        "count" / Int64ul,
        "kind" / Int8ul,
        "available" / Int8ul,
        Padding(2),
        "nsid" / Int32ul,
        Padding(48),
    )
    * """LID 80h (NVMe Base 2.0 5.16.1.24): the oldest notification. count: its number, from 1; kind: a
    `ReservationNotice`, 0 for an empty page; available: how many more there are, 255 for as many or more.
    """
)
