"""Log pages as JSON, under the names that nvme-cli gives their fields."""

from __future__ import annotations

from collections.abc import Sequence

from apps.nvme.printing.logs import COUNTERS, revision_text, revisions, sensors
from apps.nvme.printing.names import ANA_STATES
from apps.nvme.printing.values import whole
from apps.nvme.tables import Json
from stacks.nvme.host.pages import AnaReport
from wire.nvme.logs_codec import ErrorLogEntry, FirmwareSlotLog, SmartLog


def smart_json(log: SmartLog) -> Json:
    """Log page 02h."""
    warnings = {name: log.critical_warning >> bit & 1 for bit, name in enumerate(WARNINGS)}
    return {
        "critical_warning": {"value": log.critical_warning, **warnings},
        "temperature": log.temperature,
        "avail_spare": log.available_spare,
        "spare_thresh": log.spare_threshold,
        "percent_used": log.percentage_used,
        "endurance_grp_critical_warning_summary": log.endurance_warning,
        "data_units_read": whole(log.data_units_read, log.data_units_read_high),
        "data_units_written": whole(log.data_units_written, log.data_units_written_high),
        **{name: whole(getattr(log, field), getattr(log, f"{field}_high")) for name, field in COUNTERS},
        "warning_temp_time": log.warning_minutes,
        "critical_comp_time": log.critical_minutes,
        **{f"temperature_sensor_{index}": kelvin for index, kelvin in sensors(log) if kelvin},
        "thm_temp1_trans_count": log.tmt1_transitions,
        "thm_temp2_trans_count": log.tmt2_transitions,
        "thm_temp1_total_time": log.tmt1_seconds,
        "thm_temp2_total_time": log.tmt2_seconds,
    }


def ana_json(report: AnaReport, where: str) -> Json:
    """Log page 0Ch; the space in a key is nvme-cli's."""
    groups = [
        {
            "grpid": group.group,
            "nnsids": group.nsids,
            "chgcnt": group.change_count,
            "state": ANA_STATES.get(group.state & 0xF, "invalid state"),
            "NSIDS": [{"nsid": nsid} for nsid in nsids],
        }
        for group, nsids in report.groups
    ]
    return {
        "Asymmetric Namespace Access Log for NVMe device": where,
        "chgcnt": report.change_count,
        "ngrps": len(report.groups),
        "ANA DESC LIST ": groups,
    }


def errors_json(entries: Sequence[ErrorLogEntry]) -> Json:
    """Log page 01h."""
    return {
        "errors": [
            {
                "error_count": entry.error_count,
                "sqid": entry.sqid,
                "cmdid": entry.cid,
                "status_field": entry.status >> 1,
                "phase_tag": entry.status & 1,
                "parm_error_location": entry.location,
                "lba": entry.lba,
                "nsid": entry.nsid,
                "vs": entry.vendor_log,
                "trtype": entry.trtype,
                "csi": entry.csi,
                "opcode": entry.opcode,
                "cs": entry.command_specific,
                "trtype_spec_info": entry.transport_specific,
                "log_page_version": entry.version,
            }
            for entry in entries
        ]
    }


def firmware_json(log: FirmwareSlotLog, where: str) -> Json:
    """Log page 03h."""
    slots = {
        f"Firmware Rev Slot {slot}": f"{int.from_bytes(revision, 'little')} ({revision_text(revision)})"
        for slot, revision in revisions(log)
    }
    return {where: {"Active Firmware Slot (afi)": log.active, **slots}}


WARNINGS = ("available_spare", "temp_threshold", "reliability_degraded", "ro", "vmbu_failed", "pmr_ro")
