"""Log pages: each that there is, with values that were brought about by the commands just before."""

from __future__ import annotations

from interop.nvme_guest.rows import Row, fails

SUPPORTED = (0x0, 0x1, 0x2, 0x3, 0x4, 0x5, 0xC, 0x12, 0x13, 0x80)
ADMIN_EFFECTS = ("Get Log Page", "Identify", "Abort", "Set Features", "Get Features", "Keep Alive")
CHANGES, CHANGES_NOTHING = "00100003", "00100001"
"""Entries of the effects log: supported, of the scope of a namespace, with and without a change of what blocks hold."""
IO_EFFECTS = {
    "Flush": CHANGES_NOTHING,
    "Write": CHANGES,
    "Read": CHANGES_NOTHING,
    "Write Uncorrectable": CHANGES,
    "Compare": CHANGES_NOTHING,
    "Write Zeroes": CHANGES,
    "Dataset Management": CHANGES,
    "Verify": CHANGES_NOTHING,
    "Reservation Register": CHANGES_NOTHING,
    "Reservation Report": CHANGES_NOTHING,
    "Reservation Acquire": CHANGES_NOTHING,
    "Reservation Release": CHANGES_NOTHING,
    "Copy": CHANGES,
}
FEATURES = ("01", "02", "04", "05", "06", "07", "0a", "0b", "0e", "0f", "16", "81", "82", "83")
SAME = r"\A(\w{64})\n\1\n\Z"
"""Twice the same 32 bytes."""
FIVE = r"\A(\w+: Success\n){5}\Z"

SMART = (
    Row("nvme smart-log {controller}", (r"critical_warning\s+: 0", r"available_spare\s+: 100%", r"power_cycles\s+: 1")),
    Row("nvme smart-log {disk} -n 1", ("namespace-id:(0x)?1", r"Data Units Read\s+: [1-9]")),
    # Five times 100 KiB, which are a thousand units of 512 bytes, the unit of this count.
    Row("head -c 102400 /dev/urandom > /tmp/big"),
    Row("before=$(smart data_units_written) commands=$(smart host_write_commands)"),
    Row("for at in 0 25 50 75 100; do nvme write {disk} -s $((512 + at)) -c 24 -z 102400 -d /tmp/big; done", (FIVE,)),
    Row("echo $(($(smart data_units_written) - before)) units", ("^1 units",)),
    Row("echo $(($(smart host_write_commands) - commands)) commands", ("^5 commands",)),
    Row("before=$(smart data_units_read) commands=$(smart host_read_commands)"),
    Row("for at in 0 25 50 75 100; do nvme read {disk} -s $((512 + at)) -c 24 -z 102400 -d /tmp/r; done", (FIVE,)),
    Row("cmp /tmp/r /tmp/big"),
    Row("echo $(($(smart data_units_read) - before)) units", ("^1 units",)),
    Row("echo $(($(smart host_read_commands) - commands)) commands", ("^5 commands",)),
)
ERRORS = (
    Row("before=$(errors) entries=$(smart num_err_log_entries) media=$(smart media_errors)"),
    fails("nvme read {disk} -s 0x4000 -c 0 -z 4096 -d /tmp/r", "LBA Out of Range"),
    Row(
        "nvme error-log {controller} -e 1",
        (r"sqid\s+: 1", r"status_field\s+: 0x6080\(LBA Out of Range", r"lba\s+: 0x4000", r"nsid\s+: 0x1"),
    ),
    fails("nvme admin-passthru {controller} -o 0xd1", "Invalid Command Opcode"),
    Row("nvme error-log {controller} -e 1", (r"sqid\s+: 0\n", r"status_field\s+: 0x6001\(Invalid Command Opcode")),
    Row("echo $(($(errors) - before)) errors", ("^2 errors",)),
    Row("echo $(($(smart num_err_log_entries) - entries)) entries", ("^2 entries",)),
    Row("echo $(($(smart media_errors) - media)) of media", ("^0 of media",)),
)
RAW = (
    Row("raw get-log {controller} -i 0 -l 16", (r"\A(01000000){4}\n\Z",)),
    Row("raw get-log {controller} -i 2 -l 512 | cut -c 1-16", (r"\A003901640a000000\n\Z",)),  # 0139h: 313 K
    Row("raw get-log {controller} -i 0x12 -l 64 | cut -c 65-; raw get-log {controller} -i 0x12 -l 32 -o 32", (SAME,)),
    fails("nvme get-log {controller} -i 2 -l 512 -o 1024", "Invalid Field"),
    fails("nvme get-log {controller} -i 0x70 -l 1024", "Invalid Log Page"),
)
ROWS = (
    Row("nvme supported-log-pages {controller}", tuple(f"LID {lid:#x} .*supports 0x1" for lid in SUPPORTED)),
    Row("nvme supported-log-pages {controller} | grep -c LID", (rf"^{len(SUPPORTED)}$",)),
    *SMART,
    *ERRORS,
    Row("nvme fw-log {controller}", (r"afi +: 0x1", r"frs1 +: 0x\w+ \(\d")),
    Row("nvme effects-log {controller} -c 0", tuple(rf"\[{name} +\] 00[23]00001" for name in ADMIN_EFFECTS)),
    Row("nvme effects-log {controller} -c 0", tuple(rf"\[{name} +\] {entry}" for name, entry in IO_EFFECTS.items())),
    Row("nvme effects-log {controller} -c 0 | grep -c ^IOCS", (rf"^{len(IO_EFFECTS)}$",)),
    Row("nvme fid-support-effects-log {controller}", tuple(rf"FID {fid} .* 00[12]00001" for fid in FEATURES)),
    Row("nvme fid-support-effects-log {controller} | grep -c FID.[0-9a-f]", (rf"^{len(FEATURES)}$",)),
    Row("nvme mi-cmd-support-effects-log {controller}", ("MI Commands Support",)),
    Row("nvme changed-ns-list-log {controller}", (r"\A\Z",)),
    Row("nvme ana-log {controller}", (r"ngrps\s+:\s+1", r"state\s+:\s+optimized", r"nsid\s+:\s+1")),
    Row("nvme ana-log {controller} -g", (r"nnsids\s+:\s+0", r"state\s+:\s+optimized")),
    Row("nvme resv-notif-log {controller}", (r"Log Page Count\s+: 0", r"Available Log Pages\s+: 0")),
    *RAW,
)
