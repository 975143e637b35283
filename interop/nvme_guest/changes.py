"""What is changed at our target while the kernel uses it, by `baremetal nvme ctl`; the kernel hears of it by events.

Nothing in the guest asks for a rescan. Each change is a row: the words of `ctl`, and a script that waits in the guest
until what the change is to bring about is there.
"""

from __future__ import annotations

from dataclasses import dataclass

from interop.guest.image import HOST_NQN
from interop.nvme_guest.commands import FUNCTIONS
from interop.nvme_guest.commands.connections import AER, LIVE
from interop.nvme_guest.fabric import TCP
from interop.nvme_guest.kernel import PAUSE, Kernel
from interop.nvme_guest.rows import Row, filled, play_rows
from interop.nvme_guest.session import Stage
from interop.nvme_guest.target import NQN, OurTarget
from interop.ours import Ours
from interop.outcome import DisagreementError


@dataclass(frozen=True, slots=True)
class Change:
    """words: of `baremetal nvme ctl`; until: a condition of the guest's shell that becomes true."""

    words: str
    until: str


def changes(stage: Stage) -> str:
    """Namespaces that come, grow, shrink, hide, show and go; a host that is kicked; a discovery log that changes."""
    kernel, image, address = stage.kernel, stage.image(), stage.fabric.our_address
    with stage.target(str(image)) as target, Ours(kernel.machine.namespace.name) as ours:
        disk = kernel.connect(stage.fabric, OPTIONS)
        kernel.run(f"nvme discover {stage.fabric.place(address)} --persistent")
        names = {"disk": disk, "controller": "/dev/nvme0", "host": HOST_NQN, "nqn": NQN}
        names |= {"place": stage.fabric.place(address), "there": TCP.url(address, port=OTHER_PORT)}
        listening = kernel.machine.agent.start(f"uevent env > {EVENTS}", seconds=120)
        for change in CHANGES:
            _ctl(ours, target, filled(change.words, names))
            _wait(kernel, filled(change.until, names))
        kernel.machine.agent.end(listening)
        _see_size(image.stat().st_size)
        _see_changed_list(kernel, ours, target, names)
        before = kernel.outages("nvme0")
        _ctl(ours, target, f"kick {HOST_NQN}")
        kernel.wait_outage(before)
        kernel.run(kernel.until_state("live"))
        kernel.run("nvme disconnect-all")
    return f"{len(CHANGES)} changes reached the kernel by events; the list of changed namespaces; a host kicked"


def _see_changed_list(kernel: Kernel, ours: Ours, target: OurTarget, names: dict[str, str]) -> None:
    """Without its event request the kernel hears of nothing, so that nvme-cli finds the list as it is."""
    play_rows(kernel, BEFORE_LIST, names)
    for nsid in LISTED:
        _ctl(ours, target, f"add-namespace mem:1MiB --nsid {nsid}")
    play_rows(kernel, LIST, names, functions=FUNCTIONS, seconds=PATIENCE_S)


def _see_size(found: int) -> None:
    if found != GROWN_BYTES:
        raise DisagreementError(f"the image has {found} bytes and not {GROWN_BYTES}")


def _ctl(ours: Ours, target: OurTarget, words: str) -> None:
    ours.run("nvme", "ctl", "--target", str(target.pid), *words.split())


def _wait(kernel: Kernel, condition: str) -> None:
    kernel.run(f"until {condition}; do {PAUSE}; done", seconds=PATIENCE_S)


def _size(nsid: int, size_bytes: int) -> str:
    return f'[ "$(blockdev --getsize64 /dev/nvme0n{nsid} 2>/dev/null)" = {size_bytes} ]'


def _keeps(nsid: int, block: int) -> str:
    """A block of the namespace is written, and read past the page cache."""
    where = f"of=/dev/nvme0n{nsid} seek={block} conv=notrunc oflag=direct"
    there = f"if=/dev/nvme0n{nsid} skip={block} iflag=direct"
    return (
        "head -c 4096 /dev/urandom > /tmp/w"
        f" && dd if=/tmp/w bs=4096 count=1 {where} 2>/dev/null && dd bs=4096 count=1 {there} 2>/dev/null | cmp - /tmp/w"
    )


OPTIONS = "--keep-alive-tmo=2 --reconnect-delay=1 --ctrl-loss-tmo=100"
OTHER_PORT = 4421
EVENTS = "/tmp/uevents"
DISCOVERY_EVENT = "NVME_AEN=0x70f002"
"""What the kernel tells user space of a changed discovery log (NVMe Base 2.0 figure 147): udev connects to all then."""
MIB = 1 << 20
GROWN_BYTES = 96 * MIB
LISTED = 3, 4
"""NSIDs, and the numbers that the kernel gives to disks as they come."""
LISTING = "".join(rf"\[ +{row}\]:{nsid:#x}\n" for row, nsid in enumerate(LISTED))
IN_HEXADECIMAL = "".join(nsid.to_bytes(4, "little").hex() for nsid in LISTED) + "0" * 8

CHANGES = (
    Change("add-namespace mem:16MiB --nsid 2", f"{_size(2, 16 * MIB)} && {_keeps(2, 4095)}"),
    Change("resize 2 32MiB", f"{_size(2, 32 * MIB)} && {_keeps(2, 8191)}"),
    Change("resize 2 8MiB --shrink", f"{_size(2, 8 * MIB)} && {_keeps(2, 2047)}"),
    Change("resize 1 96MiB", f"{_size(1, GROWN_BYTES)} && {_keeps(1, 24575)}"),
    Change("hide 2 --all", "[ ! -b /dev/nvme0n2 ]"),
    Change("show 2 {host}", f"{_size(2, 8 * MIB)} && {_keeps(2, 2047)}"),
    Change("remove-namespace 2", "[ ! -b /dev/nvme0n2 ]"),
    Change("add-namespace mem:4MiB --nsid 2 --block-size 512", f"{_size(2, 4 * MIB)} && {_keeps(2, 1023)}"),
    Change("add-port {there}", f"grep -q {DISCOVERY_EVENT} {EVENTS} && nvme discover {{place}} | grep -q {OTHER_PORT}"),
    Change("add-referral nvme+tcp://192.0.2.9:8009", "nvme discover {place} | grep -q 'traddr: *192.0.2.9'"),
    Change("remove-referral nvme+tcp://192.0.2.9:8009", "! nvme discover {place} | grep -q 'traddr: *192.0.2.9'"),
    Change("remove-port 2", f"! nvme discover {{place}} | grep -q {OTHER_PORT}"),
)
BEFORE_LIST = (
    Row("nvme changed-ns-list-log {controller}", (r"\A\Z",)),  # the kernel has read it each time
    Row(f"nvme admin-passthru {{controller}} -o 8 --cdw10={AER:#x}", (r"Abort is Success and result: 0x0+$",)),
)
LIST = (
    Row("nvme changed-ns-list-log {controller}", (LISTING,)),  # which retains the event, and with it the list
    Row("raw get-log {controller} -i 4 -l 4096 -r | cut -c 1-24", (IN_HEXADECIMAL,)),
    Row("raw get-log {controller} -i 4 -l 4096 | cut -c 1-24", (IN_HEXADECIMAL,)),
    Row("nvme changed-ns-list-log {controller}", (r"\A\Z",)),
    Row(f"ls /dev/nvme0n{LISTED[0]}", status=1),
    Row(f"nvme reset {{controller}}; {LIVE}; until [ -b /dev/nvme0n{LISTED[1]} ]; do {PAUSE}; done"),
)
PATIENCE_S = 20
