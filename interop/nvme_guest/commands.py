"""nvme-cli's commands for what our target has: each command line, and what it must print.

In braces: disk and controller, the devices of the subsystem; target, `-t ... -a ... -s ...`; nqn. Rows run in order, in
one shell, on a namespace of 64 MiB in blocks of 4096 bytes. Left out: `show-regs` and `effects-log` without `-c`, which
in nvme-cli 2.3 print memory that was freed, and nothing; with the kernel's own target, too.
"""

from __future__ import annotations

from interop.nvme_guest.rows import Row, fails


def _feature(number: int, value: str, *, words: str = "") -> Row:
    return Row(f"nvme get-feature {{controller}} -f {number:#x} {words}", (rf"Current value:(0x)?{value}\b",))


IDENTIFY = (
    Row(
        "nvme id-ctrl {controller}",
        (
            r"\bmn +: BareMetal NVMe",
            r"\bver +: 0x20000",
            r"\bcntrltype +: 1",
            r"\bkas +: 10",
            r"\bnn +: [1-9]",
            r"\bsubnqn +: {nqn}",
            r"\bioccsz +: [1-9]",
            r"\biorcsz +: 1\b",
        ),
    ),
    Row("nvme id-ns {disk}", (r"nsze +: 0x4000\b", r"nmic +: 0x1", r"nvmcap +: 67108864", r"lbads:12 .*in use")),
    Row("nvme cmdset-ind-id-ns {controller} -n 1", (r"anagrpid: 1", r"nstat +: 0x1")),
    Row("nvme nvm-id-ns {disk}", (r"elbaf  0 : pif:0",)),
    Row("nvme nvm-id-ctrl {controller}", (r"dmrl +: ",)),
    Row("nvme id-iocs {controller}", (r"Combination\[0\]:1\b",)),
    Row("nvme list-ns {controller}", (r"\[ +0\]:0x1\b",)),
    Row("nvme ns-descs {disk}", (r"nguid +: (?!0{32})\w{32}", r"uuid +: \w{8}-", r"csi +: 0")),
    Row("nvme get-ns-id {disk}", ("namespace-id:1",)),
    Row("nvme list", (r"{disk} .*BareMetal NVMe .* 67.11  MB /  67.11  MB +4 KiB",)),
    Row("nvme list-subsys", ("NQN={nqn}", r"\blive\b")),
    Row("nvme show-topology", (r"\blive optimized",)),
)
LOGS = (
    Row("nvme supported-log-pages {controller}", tuple(f"LID {lid:#x} " for lid in (0, 1, 2, 3, 4, 5, 12, 0x12, 0x13))),
    Row("nvme smart-log {controller}", (r"critical_warning\s+: 0", r"available_spare\s+: 100%", r"media_errors\s+: 0")),
    Row("nvme smart-log {disk} -n 1", ("namespace-id:(0x)?1", r"Data Units Read\s+: [1-9]")),
    Row("nvme fw-log {controller}", (r"afi +: 0x1", r"frs1 +: 0x\w+ \(\d")),
    Row("nvme effects-log {controller} -c 0", (r"\[Identify +\] 00000001", r"\[Write +\] 00000003", r"\[Compare +\] ")),
    Row("nvme fid-support-effects-log {controller}", (r"FID 07 ", r"FID 0f ", r"FID 81 ")),
    Row("nvme mi-cmd-support-effects-log {controller}"),
    Row("nvme changed-ns-list-log {controller}"),
    Row("nvme ana-log {controller}", (r"ngrps\s+:\s+1", r"state\s+:\s+optimized", r"nsid\s+:\s+1")),
)
FEATURES = (
    _feature(0x1, "0+"),
    _feature(0x2, "0+"),
    _feature(0x5, "0+", words="-n 1"),
    _feature(0x6, "0+1"),
    _feature(0x7, "007f007f"),
    _feature(0xA, "0+"),
    _feature(0xB, "00000900"),
    _feature(0xF, "00001388", words="-H"),
    Row("nvme get-feature {controller} -f 0x81 --cdw11=1 -l 16", (r"b0 5c a7 ed .* 01\b",)),
    Row("nvme set-feature {controller} -f 4 -v 0x140", ("value:0x00000140",)),
    _feature(0x4, "00000140"),
    Row("nvme set-feature {controller} -f 4 -v 0x157"),
    fails("nvme get-feature {controller} -f 0x16", "Invalid Field"),
    Row("nvme get-property {controller} -o 0 -H", (r"\(CRWMS\): Supported", r"\(MQES\): 256")),
    Row("nvme get-property {controller} -o 8 -H", (r"specification 2\.0",)),
    Row("nvme get-property {controller} -o 0x14", (r"value: 460061",)),
    Row("nvme get-property {controller} -o 0x1c", (r"value: 1$",)),
    Row("nvme get-property {controller} -o 0x68", (r"value: f$",)),
)
DATA = (
    Row("head -c 8192 /dev/urandom > /tmp/w; before=$(writes)"),
    Row("nvme write {disk} -s 16 -c 1 -z 8192 -d /tmp/w", ("Success",)),
    Row("echo $(($(writes) - before)) more writes", ("^1 more writes",)),
    Row("nvme read {disk} -s 16 -c 1 -z 8192 -d /tmp/r; cmp /tmp/w /tmp/r", ("Success",)),
    Row("nvme compare {disk} -s 16 -c 1 -z 8192 -d /tmp/w", ("Success",)),
    fails("nvme compare {disk} -s 17 -c 1 -z 8192 -d /tmp/w", "Compare Failure"),
    Row("nvme flush {disk}", ("success",)),
    Row("nvme write-zeroes {disk} -s 16 -c 0", ("Success",)),
    Row("nvme dsm {disk} -d -s 17 -b 1", ("success",)),
    Row("nvme read {disk} -s 16 -c 1 -z 8192 -d /tmp/r; cmp -n 8192 /tmp/r /dev/zero", ("Success",)),
    fails("nvme read {disk} -s 0x4000 -c 0 -z 4096 -d /tmp/r", "LBA Out of Range"),
    Row(
        "nvme error-log {controller} -e 1",
        (r"sqid\s+: 1", r"status_field\s+: 0x4080\(LBA Out of Range", r"lba\s+: 0x4000", r"nsid\s+: 0x1"),
    ),
)
ABSENT = (
    fails("nvme format {disk} --force", "Invalid Command Opcode"),
    fails("nvme sanitize-log {controller}", "Invalid Log Page"),
    fails("nvme id-uuid {controller}", "Invalid Field"),
)
CONNECTIONS = (
    Row("nvme ns-rescan {controller}"),
    Row("nvme reset {controller}; until [ $(cat /sys/class/nvme/nvme0/state) = live ]; do sleep 0.05; done"),
    Row("nvme discover {target} --persistent", ("nvme subsystem", "subnqn: +{nqn}")),
    Row("nvme id-ctrl /dev/nvme1", (r"cntrltype +: 2", r"\bsubnqn +: nqn.2014-08.org.nvmexpress.discovery")),
    Row("nvme supported-log-pages /dev/nvme1", ("LID 0x70 ",)),
    fails("nvme smart-log /dev/nvme1", "Invalid Log Page"),
    Row("nvme disconnect -d nvme1"),
    Row("nvme disconnect -n {nqn}", (r"disconnected 1 controller",)),
    Row("nvme connect-all {target}; until ls /dev/nvme*n1; do sleep 0.05; done 2>/dev/null", (r"^/dev/nvme\dn1",)),
    Row("nvme disconnect-all; ls /dev/nvme*", (r"^/dev/nvme-fabrics$",)),
)
ROWS = (*IDENTIFY, *LOGS, *FEATURES, *DATA, *ABSENT, *CONNECTIONS)

FUNCTIONS = r"""
writes() { nvme smart-log {controller} -o json | sed -n 's/.*"host_write_commands" *: *"\{0,1\}\([0-9]*\).*/\1/p'; }
"""
"""Of the shell, for the rows."""
