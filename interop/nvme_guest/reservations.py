"""Reservations between three hosts in one guest, each with an NQN and an identifier of its own, by nvme-cli.

The guest is booted without native multipath, since that takes the three disks for one. In braces: one, two and three,
the disk of each host; one_controller, the first one's controller. One and two are registrants, three is not.
"""

from __future__ import annotations

from interop.nvme_guest.fabric import PORT, Fabric
from interop.nvme_guest.kernel import PAUSE, Kernel
from interop.nvme_guest.rows import Row, fails, play_rows
from interop.nvme_guest.session import Stage
from interop.nvme_guest.target import NQN, OurTarget

HOSTS = ("one", "two", "three")


def reservations(stage: Stage) -> str:
    """All six types, who may do what under each, preemption, notices, and persistence through a killed target."""
    kernel = stage.kernel
    with stage.target(str(stage.image())) as target:
        for number in range(len(HOSTS)):
            _connect(kernel, stage.fabric, target.address, number)
        names = {host: f"/dev/nvme{number}n1" for number, host in enumerate(HOSTS)} | {"one_controller": "/dev/nvme0"}
        play_rows(kernel, ROWS, names, functions=FUNCTIONS)
        _restart(kernel, target)
        play_rows(kernel, ROWS_AFTER_RESTART, names, functions=FUNCTIONS)
        kernel.run("nvme disconnect-all")
    return f"three hosts, {len(ROWS) + len(ROWS_AFTER_RESTART)} commands of nvme-cli, a killed target between them"


def _connect(kernel: Kernel, fabric: Fabric, address: str, number: int) -> None:
    """Connect as a host of its own: nvme-cli 2.3 takes a second host's connection for the first one's, and refuses."""
    words = f"nqn={NQN},transport={fabric.transport},traddr={address},trsvcid={PORT}"
    words += f",hostnqn=nqn.2026-11.org.example:{HOSTS[number]},hostid=0000000{number}-0000-4000-8000-000000000000"
    words += ",keep_alive_tmo=1,reconnect_delay=1,ctrl_loss_tmo=100"
    kernel.run(f"echo {words} > /dev/nvme-fabrics; until [ -b /dev/nvme{number}n1 ]; do {PAUSE}; done")


def _restart(kernel: Kernel, target: OurTarget) -> None:
    """Kill the target, start it again, and wait until every host has noticed, and is back."""
    controllers = [f"nvme{number}" for number in range(len(HOSTS))]
    before = kernel.outages(*controllers)
    target.kill()
    target.restart()
    kernel.wait_outage(before)
    kernel.run("\n".join(kernel.until_state("live", controller=each) for each in controllers))


def _under(kind: int, two: str, three: str) -> list[Row]:
    """The first host has a reservation of a type: what the others may then, `r` for read and `w` for write."""
    return [
        Row(f"nvme resv-acquire {{one}} --crkey=0x11 --rtype={kind} --racqa=0", ("success",)),
        Row("nvme resv-report {one} --eds", (rf"rtype +: {kind}\b", r"regctl +: 2\b", r"rcsts +: 1\b")),
        Row("may {one}; may {two}; may {three}", (rf"\Arw\n{two}\n{three}\n",)),
        Row(f"nvme resv-release {{one}} --crkey=0x11 --rtype={kind} --rrela=0", ("success",)),
    ]


ROWS = (
    Row("head -c 4096 /dev/urandom > /tmp/w; nvme id-ns {one}", (r"rescap +: 0x[1-9a-f]",)),
    fails("nvme resv-report {one}", "Host Identifier Inconsistent Format"),
    Row("nvme resv-report {one} --eds", (r"gen +: 0\b", r"rtype +: 0\b", r"regctl +: 0\b", r"ptpls +: 0\b")),
    fails("nvme resv-acquire {one} --crkey=0x11 --rtype=1 --racqa=0", "Reservation Conflict"),
    Row("nvme resv-register {one} --nrkey=0x11 --rrega=0", ("success",)),
    Row("nvme resv-register {two} --nrkey=0x22 --rrega=0", ("success",)),
    *_under(1, "r-", "r-"),
    *_under(2, "--", "--"),
    *_under(3, "rw", "r-"),
    *_under(4, "rw", "--"),
    *_under(5, "rw", "r-"),
    *_under(6, "rw", "--"),
    Row("nvme resv-acquire {one} --crkey=0x11 --rtype=1 --racqa=0", ("success",)),
    fails("nvme resv-acquire {two} --crkey=0x22 --rtype=1 --racqa=0", "Reservation Conflict"),
    fails("nvme resv-acquire {two} --crkey=0x23 --prkey=0x11 --rtype=3 --racqa=1", "Reservation Conflict"),
    Row("nvme resv-acquire {two} --crkey=0x22 --prkey=0x11 --rtype=3 --racqa=1", ("success",)),
    Row("nvme resv-report {three} --eds", (r"rtype +: 3\b", r"regctl +: 1\b", r"rkey +: 22\b", r"hostid +: 00000001")),
    Row("nvme resv-notif-log {one_controller}", (r"Page Type\s+: 1 ", r"Namespace ID:\s+: 1\b")),
    Row("may {one}; may {two}; may {three}", (r"\Ar-\nrw\nr-\n",)),
    Row("nvme resv-register {two} --crkey=0x22 --nrkey=0x33 --rrega=2", ("success",)),
    Row("nvme resv-register {one} --nrkey=0x44 --rrega=0 --cptpl=3", ("success",)),
    Row("nvme resv-acquire {one} --crkey=0x44 --prkey=0x33 --rtype=2 --racqa=2", ("success",)),
    Row("nvme resv-report {one} --eds", (r"rtype +: 2\b", r"regctl +: 1\b", r"rkey +: 44\b", r"ptpls +: 1\b")),
    Row("nvme get-feature {one_controller} -f 0x83 -n 1", ("value:0x00000001",)),
    Row("may {one}; may {two}", (r"\Arw\n--\n",)),
)
ROWS_AFTER_RESTART = (
    Row("nvme resv-report {two} --eds", (r"rtype +: 2\b", r"regctl +: 1\b", r"rkey +: 44\b", r"ptpls +: 1\b")),
    Row("may {one}; may {two}; may {three}", (r"\Arw\n--\n--\n",)),
    Row("nvme resv-release {one} --crkey=0x44 --rrela=1", ("success",)),
    Row("nvme resv-report {two} --eds", (r"rtype +: 0\b", r"regctl +: 0\b")),
    Row("may {one}; may {two}; may {three}", (r"\Arw\nrw\nrw\n",)),
)
FUNCTIONS = """
may() {
  for verb in read write; do
    words=$(nvme $verb $1 -s 0 -c 0 -z 4096 -d /tmp/w 2>&1)
    case "$words" in *Success*) printf $verb | head -c 1 ;; *Conflict*) printf -- - ;; *) printf "? ($words)" ;; esac
  done
  echo
}
"""
"""`may DISK` prints `rw` when both are granted, and `-` for each that conflicts with a reservation."""
