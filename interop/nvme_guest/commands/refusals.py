"""Commands, log pages and CNS values that our target does not have: the status that the specification names.

Follows NVM Express Base 2.0 3.1.2.1: whatever an I/O controller has to have is in the other tables.
"""

from __future__ import annotations

from interop.nvme_guest.rows import fails

NO_OPCODE, NO_PAGE, NO_CNS = "Invalid Command Opcode", "Invalid Log Page", "Invalid Field"
COMMANDS = {
    "format {disk} --force": NO_OPCODE,
    "sanitize {controller} -a 2": NO_OPCODE,
    "device-self-test {controller} -n 1 -s 1": NO_OPCODE,
    "delete-ns {controller} -n 1": NO_OPCODE,
    "attach-ns {controller} -n 1 -c 1": NO_OPCODE,
    "security-recv {disk} -p 0 -s 0 -x 512": NO_OPCODE,
    "dir-receive {disk} -D 0 -O 1 -l 4096": NO_OPCODE,
    "lockdown {controller}": NO_OPCODE,
    "virt-mgmt {controller} -c 1 -r 0 -a 7 -n 0": NO_OPCODE,
    "get-lba-status {disk} -s 0 -m 10 -a 0x10": NO_OPCODE,
    "io-mgmt-recv {disk}": NO_OPCODE,
    "io-passthru {disk} -o 0xd0 -n 1": NO_OPCODE,
    "sanitize-log {controller}": NO_PAGE,
    "self-test-log {controller}": NO_PAGE,
    "endurance-log {controller}": NO_PAGE,
    "persistent-event-log {controller} -a 0": NO_PAGE,
    "lba-status-log {controller}": NO_PAGE,
    "id-uuid {controller}": NO_CNS,
    "id-nvmset {controller}": NO_CNS,
    "id-ns-granularity {controller}": NO_CNS,
    "id-domain {controller}": NO_CNS,
    "list-endgrp {controller}": NO_CNS,
    "primary-ctrl-caps {controller}": NO_CNS,
    "list-secondary {controller}": NO_CNS,
    "list-ctrl {controller}": NO_CNS,
    "list-ns {controller} --all": NO_CNS,
}
ROWS = tuple(fails(f"nvme {command}", error) for command, error in COMMANDS.items())
