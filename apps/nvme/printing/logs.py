"""`smart-log`, `ana-log`, `fw-log`, `changed-ns-list-log`, `supported-log-pages`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from apps.nvme.printing.names import ANA_STATES, LOGS
from apps.nvme.printing.values import celsius, decimal_multiple, hexadecimal, whole
from stacks.nvme.host.pages import AnaReport
from wire.nvme.logs_codec import FirmwareSlotLog, SmartLog


def smart_lines(log: SmartLog, where: str, nsid: int) -> Iterator[str]:
    """Log page 02h."""
    yield f"Smart Log for NVME device:{where} namespace-id:{nsid:x}"
    rows = [
        ("critical_warning", hexadecimal(log.critical_warning)),
        ("temperature", celsius(log.temperature)),
        ("available_spare", f"{log.available_spare}%"),
        ("available_spare_threshold", f"{log.spare_threshold}%"),
        ("percentage_used", f"{log.percentage_used}%"),
        ("endurance group critical warning summary", hexadecimal(log.endurance_warning)),
        ("Data Units Read", _units(whole(log.data_units_read, log.data_units_read_high))),
        ("Data Units Written", _units(whole(log.data_units_written, log.data_units_written_high))),
        *((name, str(whole(getattr(log, field), getattr(log, f"{field}_high")))) for name, field in COUNTERS),
        ("Warning Temperature Time", str(log.warning_minutes)),
        ("Critical Composite Temperature Time", str(log.critical_minutes)),
        *((f"Temperature Sensor {index}", celsius(kelvin)) for index, kelvin in sensors(log) if kelvin),
        ("Thermal Management T1 Trans Count", str(log.tmt1_transitions)),
        ("Thermal Management T2 Trans Count", str(log.tmt2_transitions)),
        ("Thermal Management T1 Total Time", str(log.tmt1_seconds)),
        ("Thermal Management T2 Total Time", str(log.tmt2_seconds)),
    ]
    for name, value in rows:
        yield f"{tabbed(name, 40)}: {value}"


def sensors(log: SmartLog) -> Iterable[tuple[int, int]]:
    """The sensors by number, from 1, in kelvin; 0: there is none."""
    return enumerate((int.from_bytes(log.sensors[at : at + 2], "little") for at in range(0, 16, 2)), 1)


def ana_lines(report: AnaReport, where: str) -> Iterator[str]:
    """Log page 0Ch."""
    yield f"Asymmetric Namespace Access Log for NVMe device: {where}"
    yield "ANA LOG HEADER :-"
    yield f"chgcnt\t:\t{report.change_count}"
    yield f"ngrps\t:\t{len(report.groups)}"
    yield "ANA Log Desc :-"
    for group, nsids in report.groups:
        yield f"grpid\t:\t{group.group}"
        yield f"nnsids\t:\t{group.nsids}"
        yield f"chgcnt\t:\t{group.change_count}"
        yield f"state\t:\t{ANA_STATES.get(group.state & 0xF, 'invalid state')}"
        yield from (f"\tnsid\t:\t{nsid}" for nsid in nsids)
        yield ""


def firmware_lines(log: FirmwareSlotLog, where: str) -> Iterator[str]:
    """Log page 03h."""
    yield f"Firmware Log for device:{where}"
    yield f"afi  : {hexadecimal(log.active)}"
    for slot, revision in revisions(log):
        number = int.from_bytes(revision, "little")
        # C's %#016x: the prefix counts.
        yield f"frs{slot} : {number:#016x} ({revision_text(revision)})"


def revisions(log: FirmwareSlotLog) -> list[tuple[int, bytes]]:
    """What is in the slots, by number from 1; empty slots are left out."""
    found = [(slot, bytes(getattr(log, f"slot{slot}"))) for slot in range(1, 8)]
    return [(slot, revision) for slot, revision in found if revision[0]]


def revision_text(revision: bytes) -> str:
    """A revision with dots for what is no visible character."""
    return "".join(chr(octet) if 0x21 <= octet <= 0x7E else "." for octet in revision)


def changed_lines(nsids: Sequence[int]) -> Iterator[str]:
    """Log page 04h."""
    if len(nsids) == 1 and nsids[0] == MORE:
        yield f"more than {CHANGED_MAX} ns changed"
        return
    for index, nsid in enumerate(nsids):
        yield f"[{index:4}]:{hexadecimal(nsid)}"
    # nvme-cli says so after each list that is not full, even when there are some in it.
    if len(nsids) < CHANGED_MAX:
        yield "no ns changed"


def supported_lines(pages: Iterable[int], where: str) -> Iterator[str]:
    """Log page 00h."""
    yield f"Support Log Pages Details for {where}:"
    yield from (f"LID {hexadecimal(page)} - {LOGS.get(page, 'Unknown')}" for page in pages)


def tabbed(name: str, column: int) -> str:
    """A name with tabs behind it up to a column, a multiple of 8."""
    return name + "\t" * -((len(name) - column) // 8)


def _units(units: int) -> str:
    value, prefix = decimal_multiple(float(units * UNIT_BYTES))
    return f"{units} ({value:.2f} {prefix}B)"


COUNTERS = (
    ("host_read_commands", "host_reads"),
    ("host_write_commands", "host_writes"),
    ("controller_busy_time", "busy_minutes"),
    ("power_cycles", "power_cycles"),
    ("power_on_hours", "power_on_hours"),
    ("unsafe_shutdowns", "unsafe_shutdowns"),
    ("media_errors", "media_errors"),
    ("num_err_log_entries", "error_log_entries"),
)
UNIT_BYTES = 512_000
MORE = 0xFFFFFFFF
CHANGED_MAX = 1024
