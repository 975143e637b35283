"""Compare and Write as a fused pair, by our initiator: to our target, which the kernel uses too, and to the kernel's.

Linux sends none. What ours does to our target is looked at through the kernel; what the kernel's target makes of a pair
that it does not offer is told, and must leave the block as it was.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from interop.captured import read_capture
from interop.nvme_guest.fabric import TCP
from interop.nvme_guest.initiator import expect
from interop.nvme_guest.kernel import Kernel
from interop.nvme_guest.nvmet import DEVICE, KernelTarget
from interop.nvme_guest.session import Stage
from interop.nvme_guest.target import NQN, ROOT, OurTarget
from interop.outcome import DisagreementError
from interop.tshark_judge import judge
from wire.nvme.opcodes import Fuse


def fused(stage: Stage) -> str:
    """Pairs to our target, over the kernel's writes and under its reads; then to nvmet, politely and insisting."""
    ours = _to_ours(stage)
    refused, answered = _to_nvmet(stage)
    return f"{ours}; of nvmet our initiator says {refused!r}, and nvmet itself {answered!r}"


def _to_ours(stage: Stage) -> str:
    # The kernel over the fabric of the case, our initiator over TCP: one address is one RDMA device.
    kernel, fabrics = stage.kernel, [*dict.fromkeys((stage.fabric, TCP))]
    capture = stage.scratch / "target.pcapng"
    with OurTarget(kernel.machine.namespace, fabrics, [str(stage.image())], capture=capture):
        disk = kernel.connect(stage.fabric)
        _fill(kernel, disk)
        mismatch, match, too_long = _pairs(kernel, TCP.url(TCP.our_address, NQN))
        expect("a pair that does not match", "compare" in mismatch.lower(), mismatch)
        expect("a pair that matches", match == "done", match)
        expect("a pair that is too long", "at most" in too_long, too_long)
        _see(kernel, disk, "c")
        kernel.disconnect()
    # What does not leave our namespace is in no capture of the guest's, so our target records it.
    pairs = [entry.flags & 3 for entry in (command.entry for command in read_capture(capture).tcp.commands)]
    expect("the capture", (pairs.count(Fuse.FIRST), pairs.count(Fuse.SECOND)) == (2, 2), pairs)
    judged = judge(capture, check_icrc=False)
    return f"a pair that matched was done, another refused ({mismatch}), as the kernel reads; between ours {judged}"


def _to_nvmet(stage: Stage) -> tuple[str, str]:
    """What our initiator says of it, and what nvmet answers when it is sent all the same."""
    kernel = stage.kernel
    with KernelTarget(kernel, stage.fabric) as target:
        _fill(kernel, DEVICE)
        polite = _pairs(kernel, target.url)
        expect("a controller without pairs", all("no fused" in each for each in polite), polite)
        insisting = _pairs(kernel, target.url, "--insist")
        expect("nvmet", "done" not in insisting[:2], insisting)
        _see(kernel, DEVICE, "a")
    return polite[0], insisting[0]


def _pairs(kernel: Kernel, url: str, *words: str) -> Sequence[str]:
    command = (sys.executable, "-m", "interop.nvme_guest.fused_pair", url, str(BLOCK), *words)
    process = subprocess.run(
        kernel.machine.namespace.command(*command), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    if process.returncode:
        raise DisagreementError(f"fused_pair {url} ends with {process.returncode}: {process.stderr[-1000:]}")
    outcomes = json.loads(process.stdout)["outcomes"]
    assert isinstance(outcomes, list)
    return outcomes


def _fill(kernel: Kernel, disk: str) -> None:
    # Blocks of either size: 32 KiB around the one that is meant.
    kernel.run(f"head -c 65536 /dev/zero | tr '\\0' a | dd of={disk} bs=4096 oflag=direct iflag=fullblock 2>/dev/null")


def _see(kernel: Kernel, disk: str, letter: str) -> None:
    """The block holds that letter, and those around it the `a` that they were filled with."""
    script = f"dd if={disk} bs=65536 count=1 iflag=direct 2>/dev/null | tr -s a-z"
    found = kernel.run(script).strip()
    wanted = "a" if letter == "a" else f"a{letter}a"
    if found != wanted:
        raise DisagreementError(f"the kernel reads {found[:40]!r} and not {wanted!r} around block {BLOCK}")


BLOCK = 5
