"""What tshark calls the fields of NVMe log pages, with our values for one piece of a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from interop.comparison import Expected, Value
from wire.layout import Header
from wire.nvme import (
    AnaGroup,
    AnaHeader,
    DiscoveryEntry,
    DiscoveryHeader,
    EffectsEntry,
    ErrorLogEntry,
    FirmwareSlotLog,
    GetLogPage,
    LogPage,
    RdmaAddress,
    ReservationNotification,
    SmartLog,
    decode_nsids,
    padded_text,
)
from wire.nvme.kinds import TransportType

Fields = dict[str, list[Value]]


def log_fields(log: GetLogPage, data: bytes) -> Expected:
    """Our values for what tshark prints of the piece of a page that `log` asked for; empty when it prints it whole."""
    if log.lid in PIECES:
        return PIECES[log.lid](data, log.lpo)
    return WHOLE[log.lid](data) if log.lid in WHOLE and not log.lpo else {}


def _discovery(data: bytes, start: int) -> Fields:
    """`data` begins `start` bytes into the log: with the header, or with an entry."""
    prefix = "nvme.cmd.get_logpage.identify."
    fields: Fields = {}
    if not start:
        header = DiscoveryHeader.decode(data)
        fields = {f"{prefix}{name}": [getattr(header, name)] for name in ("genctr", "numrec", "recfmt")}
    # Of a later piece tshark 4.0 reads the first entry, however many there are.
    offsets = range(1) if start else range(DiscoveryHeader.SIZE, len(data), DiscoveryEntry.SIZE)
    entries = [DiscoveryEntry.decode(data, offset) for offset in offsets]
    addresses = [RdmaAddress.decode(entry.tsas) for entry in entries if entry.trtype == TransportType.RDMA]
    security = [entry.tsas[0] for entry in entries if entry.trtype == TransportType.TCP]
    texts = {name: [padded_text(getattr(entry, name)) for entry in entries] for name in ("trsvcid", "subnqn", "traddr")}
    return {
        **fields,
        **_columns(f"{prefix}rcrd.", entries, {name: name for name in DISCOVERY}),
        **_columns(f"{prefix}rcrd.tsas.rdma_", addresses, {name: name for name in ("qptype", "prtype", "cms", "pkey")}),
        f"{prefix}rcrd.tsas": [entry.tsas for entry in entries],
        f"{prefix}rcrd.tsas.tcp_sectype": [*security],
        **{f"{prefix}rcrd.{name}": [*values] for name, values in texts.items()},
    }


def _columns(prefix: str, rows: Sequence[Header], names: Mapping[str, str]) -> Fields:
    return {prefix + name: [getattr(row, ours) for row in rows] for name, ours in names.items()}


def _errors(data: bytes) -> Fields:
    prefix = "nvme.cmd.get_logpage.errinf."
    offsets = range(0, len(data) - ErrorLogEntry.SIZE + 1, ErrorLogEntry.SIZE)
    entries = [ErrorLogEntry.decode(data, offset) for offset in offsets]
    bytes_at_fault: list[Value] = [entry.location & 0xFF for entry in entries]
    return {**_columns(prefix, entries, ERRORS), f"{prefix}pel.bytee": bytes_at_fault}


def _smart(data: bytes) -> Fields:
    prefix, smart = "nvme.cmd.get_logpage.smart.", SmartLog.decode(data)
    fields = _columns(prefix, [smart], SMART)
    for index, name in enumerate(SMART_COUNTERS):
        fields[prefix + name] = [data[32 + 16 * index : 48 + 16 * index]]
    sensors = [int.from_bytes(smart.sensors[offset : offset + 2], "little") for offset in range(0, 16, 2)]
    return fields | {f"{prefix}ts.s{number}": [kelvin] for number, kelvin in enumerate(sensors, 1)}


def _effects(data: bytes) -> Fields:
    prefix = "nvme.cmd.get_logpage.cmd_and_eff."
    # tshark 4.0 skips the first entry of the I/O half, and so reads one past its end.
    offsets = [*range(0, 1024, EffectsEntry.SIZE), *range(1028, 2052, EffectsEntry.SIZE)]
    entries = [EffectsEntry.decode(data, offset) for offset in offsets]
    return _columns(f"{prefix}cseds.", entries, EFFECTS)


def _ana(data: bytes, start: int) -> Fields:
    """`data` begins `start` bytes into the log: with the header, or with what tshark takes for a group."""
    # Of a later piece it takes the first bytes for a group, be it of zeros, or not all there.
    prefix, fields, limit, offset = "nvme.cmd.get_logpage.ana.", Fields(), 1, 0
    if start:
        data = data.ljust(AnaGroup.SIZE, b"\0")
    else:
        header = AnaHeader.decode(data)
        fields = _columns(prefix, [header], {"chcnt": "change_count", "ngd": "groups"})
        limit, offset = header.groups, AnaHeader.SIZE
    groups: list[AnaGroup] = []
    nsids: list[int] = []
    while len(groups) < limit:
        groups.append(AnaGroup.decode(data, offset))
        offset += AnaGroup.SIZE + 4 * groups[-1].nsids
        nsids += decode_nsids(data[offset - 4 * groups[-1].nsids : offset])
    fields |= _columns(f"{prefix}grp.", groups, {"id": "group", "nns": "nsids", "chcnt": "change_count"})
    states = [group.state & 15 for group in groups]
    return {
        **fields,
        f"{prefix}grp.anas.state": [*states],
        f"{prefix}grp.anas": [*states],
        f"{prefix}grp.nsid": [*nsids],
    }


def _firmware(data: bytes) -> Fields:
    prefix, log = "nvme.cmd.get_logpage.fw_slot.", FirmwareSlotLog.decode(data)
    fields: Fields = {f"{prefix}afi.afs": [log.active & 7], f"{prefix}afi.nfs": [log.active >> 4 & 7]}
    for number in SLOTS:
        fields[f"{prefix}frs.s{number}"] = [int.from_bytes(getattr(log, f"slot{number}"), "little")]
    return fields


def _changed_namespaces(data: bytes) -> Fields:
    numbers = [int.from_bytes(data[offset : offset + 4], "little") for offset in range(0, len(data), 4)]
    return {"nvme.cmd.get_logpage.changed_nslist": [*numbers]}


def _reservation(data: bytes) -> Fields:
    names = {"lpc": "count", "lpt": "kind", "nalp": "available", "nsid": "nsid"}
    return _columns("nvme.cmd.get_logpage.reserv_notif.", [ReservationNotification.decode(data)], names)


PIECES: dict[int, Callable[[bytes, int], Fields]] = {LogPage.DISCOVERY: _discovery, LogPage.ANA: _ana}
"""Also taken apart when they do not begin with the page."""
WHOLE: dict[int, Callable[[bytes], Fields]] = {
    LogPage.ERROR: _errors,
    LogPage.SMART: _smart,
    LogPage.FIRMWARE_SLOT: _firmware,
    LogPage.CHANGED_NAMESPACES: _changed_namespaces,
    LogPage.COMMAND_EFFECTS: _effects,
    LogPage.RESERVATION_NOTIFICATION: _reservation,
}
SLOTS = range(1, 8)
DISCOVERY = ("trtype", "adrfam", "subtype", "treq", "portid", "cntlid", "asqsz")
ERRORS = {
    "errcnt": "error_count",
    "sqid": "sqid",
    "cid": "cid",
    "sf": "status",
    "pel": "location",
    "lba": "lba",
    "nsid": "nsid",
    "vsi": "vendor_log",
    "trype": "trtype",
    "csi": "command_specific",
    "tsi": "transport_specific",
}
SMART = {
    "cw": "critical_warning",
    "ct": "temperature",
    "asc": "available_spare",
    "ast": "spare_threshold",
    "lae": "percentage_used",
    "egcws": "endurance_warning",
    "wctt": "warning_minutes",
    "cctt": "critical_minutes",
    "tmt1c": "tmt1_transitions",
    "tmt2c": "tmt2_transitions",
    "tmt1t": "tmt1_seconds",
    "tmt2t": "tmt2_seconds",
    "ts": "sensors",
}
SMART_COUNTERS = ("dur", "duw", "hrc", "hwc", "cbt", "pc", "poh", "us", "mie", "ele")
EFFECTS = {
    "csupp": "supported",
    "lbcc": "lba_content",
    "ncc": "namespace_capability",
    "nic": "namespace_inventory",
    "ccc": "controller_capability",
    "cse": "execution",
    "uss": "uuid_selection",
}
