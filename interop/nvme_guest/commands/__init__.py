"""nvme-cli's commands for what our target has: each command line, and what it must print.

`GROUPS` has them all, in the order in which they run, in one shell for each group, on a namespace of 64 MiB in blocks
of 4096 bytes. In braces: disk and controller, the devices of the subsystem; target, `-t ... -a ... -s ...`; nqn.

Left out: `show-regs` and `effects-log` without `-c`, which in nvme-cli 2.3 print memory that was freed, and nothing;
with the kernel's own target, too. What `show-regs` reads, `get-property` does.
"""

from __future__ import annotations

from collections.abc import Mapping

from interop.nvme_guest.commands import blocks, connections, features, identify, logs, refusals
from interop.nvme_guest.rows import Row

GROUPS: Mapping[str, tuple[Row, ...]] = {
    "Identify": identify.ROWS,
    "I/O": blocks.ROWS,
    "logs": logs.ROWS,
    "features": features.ROWS,
    "refusals": refusals.ROWS,
    "connections": connections.ROWS,
}
"""By what they are about."""

FUNCTIONS = r"""
smart() { nvme smart-log {controller} $2 -o json | sed -n "s/.*\"$1\" *: *\"\{0,1\}\([0-9]*\).*/\1/p"; }
errors() { nvme error-log {controller} -e 1 | sed -n 's/^error_count.*: //p'; }
raw() { nvme $* -b | hexdump -ve '1/1 "%02x"'; echo; }
"""
"""Of the shell, for the rows: `smart FIELD [-n 1]`, a number of the SMART log; `errors`, how many there were so far;
`raw`, what a command that takes `-b` prints, in hexadecimal.
"""
