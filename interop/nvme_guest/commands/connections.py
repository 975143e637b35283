"""Resets, Abort, discovery and connections."""

from __future__ import annotations

from interop.nvme_guest.rows import Row, fails

AER = 0x1F0000
"""CDW10 of an Abort of the kernel's Async Event Request: queue 0, and its identifier, behind those of 31 commands."""
LIVE = "until [ $(cat /sys/class/nvme/nvme0/state) = live ]; do sleep 0.05; done"
ROWS = (
    # DW0 bit 0: 0, it was aborted; 1, it was not, since nothing of that identifier is under way (any more).
    Row(f"nvme admin-passthru {{controller}} -o 8 --cdw10={AER:#x}", (r"Abort is Success and result: 0x0+$",)),
    Row(f"nvme admin-passthru {{controller}} -o 8 --cdw10={AER:#x}", (r"Abort is Success and result: 0x0+1$",)),
    Row("nvme admin-passthru {controller} -o 8 --cdw10=0x50001", (r"result: 0x0+1$",)),
    Row("nvme admin-passthru {controller} -o 0x18", ("Keep Alive is Success",)),
    Row("nvme subsystem-reset {controller}", ("NVM Subsystem Reset not supported",), status=1),  # CAP.NSSRS
    Row("nvme set-feature {controller} -f 1 -v 7; nvme set-feature {controller} -f 5 -n 1 -v 7", ("value:0x00000007",)),
    Row(f"nvme reset {{controller}}; {LIVE}"),
    # A feature of the controller is as in the beginning, one of a namespace as it was set (NVMe Base 2.0 4.4).
    Row("nvme get-feature {controller} -f 1", ("Current value:0+$",)),
    Row("nvme get-feature {controller} -f 5 -n 1", ("Current value:0x00000007",)),
    Row("nvme ns-rescan {controller}"),
    Row("nvme discover {target}", ("Number of Records 2", "subtype: nvme subsystem", "subnqn: +{nqn}", "portid: +1$")),
    Row("nvme discover {target} -o json", ('"subtype":"nvme subsystem"', '"subnqn":"{nqn}"')),
    Row("nvme discover {target} --persistent", ("nvme subsystem", "subnqn: +{nqn}")),
    Row("nvme id-ctrl /dev/nvme1", (r"cntrltype +: 2", r"\bsubnqn +: nqn.2014-08.org.nvmexpress.discovery")),
    Row("nvme supported-log-pages /dev/nvme1", ("LID 0x70 ",)),
    # The generation, and two records.
    Row("raw get-log /dev/nvme1 -i 0x70 -l 1024 | cut -c 1-32", (r"\A(?!0{16})\w{16}020{14}\n\Z",)),
    Row("nvme discover -d nvme1 {target}", ("nvme subsystem", "subnqn: +{nqn}")),
    Row("nvme get-feature /dev/nvme1 -f 0xb", ("Current value:0x80000000",)),
    fails("nvme smart-log /dev/nvme1", "Invalid Log Page"),
    fails("nvme admin-passthru /dev/nvme1 -o 0x14", "Invalid Command Opcode"),
    Row("nvme dim -d nvme1 -t register", ("DIM only supported for TCP|DIM register .*Invalid Command Opcode",)),
    Row("nvme disconnect -d nvme1"),
    Row("nvme disconnect -n {nqn}", (r"disconnected 1 controller",)),
    Row("nvme show-hostnqn", (r"\Anqn.2014-08.org.nvmexpress:uuid:b05ca7ed-\S+\n\Z",)),
    Row("new=$(nvme gen-hostnqn); echo $new", (r"\Anqn.2014-08.org.nvmexpress:uuid:[0-9a-f-]{36}\n\Z",)),
    # Another host, with SQ flow control off.
    Row("nvme connect {target} -n {nqn} -q $new -I 00000000-0000-4000-8000-000000000009 -i 1 -k 3 -D"),
    Row("until [ -b /dev/nvme0n1 ]; do sleep 0.05; done; head -c 131072 /dev/urandom > /tmp/w"),
    Row("dd if=/tmp/w of=/dev/nvme0n1 bs=4096 oflag=direct", (r"^32\+0 records out",)),
    Row("dd if=/dev/nvme0n1 of=/tmp/r bs=4096 count=32 iflag=direct; cmp /tmp/w /tmp/r", (r"^32\+0 records in",)),
    Row("nvme id-ctrl /dev/nvme0 | grep ^subnqn; cat /sys/class/nvme/nvme0/hostnqn", ("{nqn}", "^nqn.2014-08.*:uuid:")),
    Row("nvme get-feature /dev/nvme0 -f 0x81 --cdw11=1 -l 16", (r"00 00 00 00 00 00 40 00 80 .* 09\b",)),
    Row("nvme get-feature /dev/nvme0 -f 0xf", ("value:0x00000bb8",)),
    Row("nvme disconnect -n {nqn}", (r"disconnected 1 controller",)),
    Row("nvme connect-all {target}; until ls /dev/nvme*n1; do sleep 0.05; done 2>/dev/null", (r"^/dev/nvme\dn1",)),
    Row("nvme disconnect-all; ls /dev/nvme*", (r"^/dev/nvme-fabrics$",)),
)
