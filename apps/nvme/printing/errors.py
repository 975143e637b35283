"""`error-log`: log page 01h."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from apps.nvme.printing.logs import tabbed
from apps.nvme.printing.values import hexadecimal
from wire.nvme.logs_codec import ErrorLogEntry
from wire.nvme.status import status_text


def error_lines(entries: Sequence[ErrorLogEntry], where: str) -> Iterator[str]:
    """All entries, also those that are empty.

    What a status means is in our words: nvme-cli's are sentences of the library beside it, and change with that.
    """
    yield f"Error Log Entries for device:{where} entries:{len(entries)}"
    yield DOTS
    for index, entry in enumerate(entries):
        yield f" Entry[{index:2}]"
        yield DOTS
        for name, value in _rows(entry):
            yield f"{tabbed(name, 16)}: {value}"
        yield DOTS


def _rows(entry: ErrorLogEntry) -> Iterator[tuple[str, str]]:
    status = entry.status >> 1
    yield "error_count", str(entry.error_count)
    yield "sqid", str(entry.sqid)
    yield "cmdid", hexadecimal(entry.cid)
    yield "status_field", f"{hexadecimal(status)} ({status_text(status & 0x7FF, is_io=bool(entry.sqid))})"
    yield "phase_tag", hexadecimal(entry.status & 1)
    yield "parm_err_loc", hexadecimal(entry.location)
    yield "lba", hexadecimal(entry.lba)
    yield "nsid", hexadecimal(entry.nsid)
    yield "vs", str(entry.vendor_log)
    yield "trtype", f"{hexadecimal(entry.trtype)} ({TRANSPORTS.get(entry.trtype, 'Reserved')})"
    yield "csi", str(entry.csi)
    yield "opcode", hexadecimal(entry.opcode)
    yield "cs", hexadecimal(entry.command_specific)
    yield "trtype_spec_info", hexadecimal(entry.transport_specific)
    yield "log_page_version", str(entry.version)


DOTS = "." * 17
TRANSPORTS = {
    0: "The transport type is not indicated or the error is not transport related",
    1: "RDMA Transport error",
    2: "Fibre Channel Transport error",
    3: "TCP Transport error",
    254: "Intra-host Transport error",
}
