"""Commands that read, write, compare, copy, verify and spoil blocks; and those that give them back.

What is in the image is looked at from outside by `command_line`, between `FILL` and each of `DEALLOCATING`.
"""

from __future__ import annotations

from interop.nvme_guest.rows import Row, fails

BLOCKS, FIRST = 16, 2048
"""How many are filled, and from where on, to be given back."""
FILL = (
    Row(f"head -c {BLOCKS << 12} /dev/urandom > /tmp/f"),
    Row(f"nvme write {{disk}} -s {FIRST} -c {BLOCKS - 1} -z {BLOCKS << 12} -d /tmp/f", ("Success",)),
    Row("nvme flush {disk}", ("success",)),
)
DEALLOCATING = (
    Row(f"nvme dsm {{disk}} --ad --slbs={FIRST} --blocks={BLOCKS}", ("success",)),
    Row(f"nvme dsm {{disk}} --ad --slbs={FIRST + 8},{FIRST} --blocks=8,8", ("success",)),
    Row(f"nvme write-zeroes {{disk}} -s {FIRST} -c {BLOCKS - 1} -d", ("Success",)),
    Row(f"nvme write-zeroes {{disk}} -s {FIRST} -c {BLOCKS - 1}", ("Success",)),
    Row(f"blkdiscard -o {FIRST << 12} -l {BLOCKS << 12} {{disk}}"),
    Row(f"blkdiscard -z -o {FIRST << 12} -l {BLOCKS << 12} {{disk}}"),
)
"""Each gives the blocks back that `FILL` has written."""
EMPTY = (
    Row(f"nvme read {{disk}} -s {FIRST} -c {BLOCKS - 1} -z {BLOCKS << 12} -d /tmp/r", ("Success",)),
    Row(f"cmp -n {BLOCKS << 12} /tmp/r /dev/zero"),
)

WRITE = (
    # nvme-cli does not cut off what a file held before, as in an earlier case of the same boot.
    Row("rm -f /tmp/r; head -c 65536 /dev/urandom > /tmp/w; commands=$(smart host_write_commands)"),
    Row("nvme write {disk} -s 16 -c 15 -z 65536 -d /tmp/w", ("Success",)),
    Row("echo $(($(smart host_write_commands) - commands)) more", ("^1 more",)),
    Row("nvme read {disk} -s 16 -c 15 -z 65536 -d /tmp/r; cmp /tmp/w /tmp/r", ("Success",)),
    Row("nvme io-passthru {disk} -o 2 -n 1 --cdw10=17 -l 4096 -r -b > /tmp/r", ("Read is Success",)),
    Row("tail -c +4097 /tmp/w | cmp -n 4096 - /tmp/r"),
    Row("nvme io-passthru {disk} -o 1 -n 1 --cdw10=40 -l 4096 -w -i /tmp/w", ("Write is Success",)),
    Row("nvme read {disk} -s 40 -c 0 -z 4096 -d /tmp/r -f; cmp -n 4096 /tmp/w /tmp/r", ("Success",)),
    Row("nvme flush {disk}", ("success",)),
)
COMPARE = (
    Row("nvme compare {disk} -s 16 -c 15 -z 65536 -d /tmp/w", ("Success",)),
    fails("nvme compare {disk} -s 17 -c 1 -z 8192 -d /tmp/w", "Compare Failure"),
)
COPY = (
    Row("nvme copy {disk} --sdlba=100 --slbs=24,16 --blocks=7,3", ("success",)),
    Row(
        "nvme read {disk} -s 100 -c 11 -z 49152 -d /tmp/r; tail -c +32769 /tmp/w | cmp -n 32768 - /tmp/r", ("Success",)
    ),
    Row("tail -c +32769 /tmp/r | cmp -n 16384 - /tmp/w"),
    fails("nvme copy {disk} --sdlba=100 --slbs=0x3fff --blocks=1", "LBA Out of Range"),
    fails("nvme copy {disk} --sdlba=100 --slbs=0 --blocks=7 -F 1", "Invalid Field"),
)
SPOIL = (
    Row("nvme verify {disk} -s 16 -c 15", ("Success",)),
    Row("media=$(smart media_errors) before=$(errors)"),
    Row("nvme write-uncor {disk} -s 20 -c 1", ("Success",)),
    fails("nvme read {disk} -s 20 -c 0 -z 4096 -d /tmp/r", "Unrecovered Read Error"),
    Row(
        "nvme error-log {controller} -e 1",
        (
            r"sqid\s+: 1",
            r"0x6281\(Unrecovered Read Error",
            r"lba\s+: 0x14\b",
            r"parm_err_loc\s+: 0xffff",
            r"nsid\s+: 0x1",
        ),
    ),
    fails("nvme verify {disk} -s 16 -c 15", "Unrecovered Read Error"),
    Row("nvme error-log {controller} -e 1", (r"0x6281\(Unrecovered Read Error", r"lba\s+: 0x14\b")),
    Row("nvme read {disk} -s 16 -c 3 -z 16384 -d /tmp/r; cmp -n 16384 /tmp/w /tmp/r", ("Success",)),
    fails("nvme copy {disk} --sdlba=200 --slbs=16 --blocks=15", "Unrecovered Read Error"),
    Row("echo $(($(smart media_errors) - media)) of media, $(($(errors) - before)) of all", ("^3 of media, 3 of all",)),
    Row("nvme write {disk} -s 20 -c 1 -z 8192 -d /tmp/w; nvme verify {disk} -s 16 -c 15", ("Verify Success",)),
    Row("nvme read {disk} -s 20 -c 1 -z 8192 -d /tmp/r; cmp -n 8192 /tmp/w /tmp/r", ("Success",)),
    fails("nvme verify {disk} -s 0x3fff -c 1", "LBA Out of Range"),
    fails("nvme write-uncor {disk} -s 0x4000 -c 0", "LBA Out of Range"),
    fails("nvme write {disk} -s 0x4000 -c 0 -z 4096 -d /tmp/w", "LBA Out of Range"),
)
RESERVE = (
    Row("nvme resv-register {disk} --nrkey=0x77 --rrega=0", ("success",)),
    Row("nvme resv-acquire {disk} --crkey=0x77 --rtype=1 --racqa=0", ("success",)),
    Row("nvme resv-report {disk} --eds", (r"rtype +: 1\b", r"regctl +: 1\b", r"rkey +: 77\b", r"hostid +: b05ca7ed")),
    Row("nvme resv-release {disk} --crkey=0x77 --rtype=1 --rrela=0", ("success",)),
    Row("nvme resv-register {disk} --crkey=0x77 --rrega=1", ("success",)),
    Row("nvme resv-report {disk} --eds", (r"rtype +: 0\b", r"regctl +: 0\b")),
)
ROWS = (*WRITE, *COMPARE, *COPY, *SPOIL, *RESERVE)
