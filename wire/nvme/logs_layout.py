"""Log pages: error, SMART, firmware slot, commands and effects, features and effects, ANA, and the discovery log.

The changed-namespace list is up to 1024 32-bit NSIDs and the effects log 512 `EffectsEntry` (256 admin, then 256 I/O)
in 4096 bytes; `identifiers` reads and writes such lists of numbers. 128-bit counters are two 64-bit halves.

Follows NVM Express Base 2.0 5.16.1 and NVMe over Fabrics 1.1 (5). Fast codecs: `logs_codec`; checked against Linux in
tests/captures.
"""

from __future__ import annotations

from construct import (
    Bit,
    BitsInteger,
    BitStruct,
    Bytes,
    ByteSwapped,
    Int8ul,
    Int16ul,
    Int32ul,
    Int64ul,
    Padding,
    Struct,
)

ERROR_LOG_ENTRY = (
    Struct(
        "error_count" / Int64ul,
        "sqid" / Int16ul,
        "cid" / Int16ul,
        "status" / Int16ul,
        "location" / Int16ul,
        "lba" / Int64ul,
        "nsid" / Int32ul,
        "vendor_log" / Int8ul,
        "trtype" / Int8ul,
        "csi" / Int8ul,
        "opcode" / Int8ul,
        "command_specific" / Int64ul,
        "transport_specific" / Int16ul,
        Padding(21),
        "version" / Int8ul,
    )
    * "LID 01h (figure 206): one entry of the list, newest first. csi, opcode: of the command, where version is 1."
)

SMART_LOG = (
    Struct(
        "critical_warning" / Int8ul,
        "temperature" / Int16ul,
        "available_spare" / Int8ul,
        "spare_threshold" / Int8ul,
        "percentage_used" / Int8ul,
        "endurance_warning" / Int8ul,
        Padding(25),
        "data_units_read" / Int64ul,
        "data_units_read_high" / Int64ul,
        "data_units_written" / Int64ul,
        "data_units_written_high" / Int64ul,
        "host_reads" / Int64ul,
        "host_reads_high" / Int64ul,
        "host_writes" / Int64ul,
        "host_writes_high" / Int64ul,
        "busy_minutes" / Int64ul,
        "busy_minutes_high" / Int64ul,
        "power_cycles" / Int64ul,
        "power_cycles_high" / Int64ul,
        "power_on_hours" / Int64ul,
        "power_on_hours_high" / Int64ul,
        "unsafe_shutdowns" / Int64ul,
        "unsafe_shutdowns_high" / Int64ul,
        "media_errors" / Int64ul,
        "media_errors_high" / Int64ul,
        "error_log_entries" / Int64ul,
        "error_log_entries_high" / Int64ul,
        "warning_minutes" / Int32ul,
        "critical_minutes" / Int32ul,
        "sensors" / Bytes(16),
        "tmt1_transitions" / Int32ul,
        "tmt2_transitions" / Int32ul,
        "tmt1_seconds" / Int32ul,
        "tmt2_seconds" / Int32ul,
        Padding(280),
    )
    * """LID 02h (figure 207). Temperatures in kelvin; data units of 512,000 bytes; times in minutes or hours
    as named.
    """
)

FIRMWARE_SLOT_LOG = (
    Struct(
        "active" / Int8ul,
        Padding(7),
        "slot1" / Bytes(8),
        "slot2" / Bytes(8),
        "slot3" / Bytes(8),
        "slot4" / Bytes(8),
        "slot5" / Bytes(8),
        "slot6" / Bytes(8),
        "slot7" / Bytes(8),
        Padding(448),
    )
    * "LID 03h (figure 208). active: bits 2-0 the running slot, 6-4 the next one."
)

EFFECTS_ENTRY = (
    ByteSwapped(
        BitStruct(
            "scope" / BitsInteger(12),
            "uuid_selection" / Bit,
            "execution" / BitsInteger(3),
            Padding(11),
            "controller_capability" / Bit,
            "namespace_inventory" / Bit,
            "namespace_capability" / Bit,
            "lba_content" / Bit,
            "supported" / Bit,
        )
    )
    * "One command in LID 05h (figure 211): what executing it may change."
)

FEATURE_EFFECTS_ENTRY = (
    ByteSwapped(
        BitStruct(
            "scope" / BitsInteger(12),
            "uuid_selection" / Bit,
            Padding(14),
            "controller_capability" / Bit,
            "namespace_inventory" / Bit,
            "namespace_capability" / Bit,
            "user_data" / Bit,
            "supported" / Bit,
        )
    )
    * "One feature in LID 12h (figure 258): what setting it may change. scope: bit 0 namespace, 1 controller."
)

LOG_SUPPORT_ENTRY = (
    Struct(
        "supported" / Int16ul,
        "parameter" / Int16ul,
    )
    * "One log page in LID 00h (figure 204). supported: bit 0 the page, 1 index offsets; parameter: the page's own."
)

ANA_HEADER = (
    Struct(
        "change_count" / Int64ul,
        "groups" / Int16ul,
        Padding(6),
    )
    * "Head of LID 0Ch (figure 219); `groups` descriptors follow."
)

ANA_GROUP = (
    Struct(
        "group" / Int32ul,
        "nsids" / Int32ul,
        "change_count" / Int64ul,
        "state" / Int8ul,
        Padding(15),
    )
    * "One ANA group; `nsids` 32-bit NSIDs follow. state: bits 3-0, an `AnaState`."
)

DISCOVERY_HEADER = (
    Struct(
        "genctr" / Int64ul,
        "numrec" / Int64ul,
        "recfmt" / Int16ul,
        "dlpf" / Int8ul,
        Padding(1),
        "tdlpl" / Int32ul,
        Padding(1000),
    )
    * """Head of LID 70h (NVMe over Fabrics 5.3); `numrec` entries follow. dlpf: `DiscoveryLogOption` in force; tdlpl:
    length of an extended log in bytes, 0 for one of plain entries.
    """
)

DISCOVERY_ENTRY = (
    Struct(
        "trtype" / Int8ul,
        "adrfam" / Int8ul,
        "subtype" / Int8ul,
        "treq" / Int8ul,
        "portid" / Int16ul,
        "cntlid" / Int16ul,
        "asqsz" / Int16ul,
        "eflags" / Int16ul,
        Padding(20),
        "trsvcid" / Bytes(32),
        Padding(192),
        "subnqn" / Bytes(256),
        "traddr" / Bytes(256),
        "tsas" / Bytes(256),
    )
    * """One entry of the discovery log (NVMe over Fabrics 5.3): text fields padded with spaces or NULs. treq:
    `SecureChannel` in bits 1-0, `TREQ_FLOW_CONTROL_OFF`; eflags: `DiscoveryEntryFlag`.
    """
)

DISCOVERY_EXTENSION = (
    Struct(
        "tel" / Int32ul,
        "numexat" / Int16ul,
        Padding(2),
    )
    * """What follows a `DISCOVERY_ENTRY` in an extended one (NVMe Base 2.1 5.1.12.3.1). tel: length of both and of
    `numexat` extended attributes, which come next.
    """
)

RDMA_ADDRESS = (
    Struct(
        "qptype" / Int8ul,
        "prtype" / Int8ul,
        "cms" / Int8ul,
        Padding(5),
        "pkey" / Int16ul,
    )
    * "The start of `tsas` for RDMA: `RdmaQpType`, `RdmaProvider`, `RdmaConnectionService`, and the partition key."
)

TCP_ADDRESS = (
    Struct(
        "sectype" / Int8ul,
    )
    * "The start of `tsas` for TCP."
)
