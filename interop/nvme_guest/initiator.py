"""Our initiator, with every command that it has, against the kernel's target."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path

from interop.nvme_guest import nvmet
from interop.nvme_guest.fabric import DIGESTS
from interop.nvme_guest.nvmet import KernelTarget
from interop.nvme_guest.ours import Ours
from interop.nvme_guest.session import Stage
from interop.outcome import DisagreementError


def initiator(stage: Stage) -> str:
    """discover, list, id-ctrl, id-ns and compare; with each kind of digests, write, read, and verified random I/O."""
    fabric = stage.fabric
    with KernelTarget(stage.kernel, fabric) as target, Ours(stage.kernel.machine.namespace) as ours:
        _look(ours, target, fabric.url(fabric.guest_address))
        lines = ["discover, list, id-ctrl, id-ns"]
        for digests in DIGESTS if fabric.transport == "tcp" else ("",):
            words = ("--digests", digests) if digests else ()
            moved, verified = _move(ours, target, stage.scratch, words), _verify(ours, target, words)
            lines.append(f"{f'digests {digests}: ' if digests else ''}{moved}, {verified}")
    return "; ".join(lines)


def _look(ours: Ours, target: KernelTarget, place: str) -> None:
    found = ours.run("nvme", "discover", place)
    expect("discover", nvmet.NQN in [entry["nqn"] for entry in found], found)
    [row] = ours.run("nvme", "list", place)
    expect("list", (row["size_bytes"], row["block_bytes"], row["model"]) == (SIZE_BYTES, 512, "Linux"), row)
    controller = ours.run("nvme", "id-ctrl", target.url)
    expect("id-ctrl", (controller["mn"], controller["subnqn"]) == ("Linux", nvmet.NQN), controller)
    namespace = ours.run("nvme", "id-ns", target.url)
    expect("id-ns", namespace["nsze"] * 512 == SIZE_BYTES, namespace)


def _move(ours: Ours, target: KernelTarget, scratch: Path, words: Sequence[str]) -> str:
    """Write a file, have the kernel say what it keeps, and read the same back."""
    source, copy = scratch / "source", scratch / "copy"
    source.write_bytes(random.Random(str(words)).randbytes(FILE_BYTES))
    ours.run("nvme", "write", target.url, "--file", str(source), *words)
    expect("write", target.sha256(FILE_BYTES) == hashlib.sha256(source.read_bytes()).hexdigest(), "other bytes")
    ours.run("nvme", "read", target.url, "--file", str(copy), "--length", str(FILE_BYTES), *words)
    expect("read", copy.read_bytes() == source.read_bytes(), "other bytes")
    # nvmet of Linux 6.1 has no Compare: ours has to say so, and not that there is a difference, which is status 1.
    refusal = ours.run("nvme", "compare", target.url, "--file", str(source), *words, status=2)
    expect("compare", "opcode" in refusal.lower(), refusal)
    return f"{FILE_BYTES >> 10} KiB written, kept and read"


def _verify(ours: Ours, target: KernelTarget, words: Sequence[str]) -> str:
    load = ["--rw", "randrw", "--block-size", "4KiB", "--queue-depth", "32", "--time", "50ms", "--span", "256KiB"]
    found = ours.run("perf", "nvme", target.url, *load, "--verify", "--overwrite", *words)
    expect("perf", found["operations"] and not found["mismatches"], found)
    return f"{found['operations']} x 4 KiB verified at queue depth 32"


def expect(what: str, is_right: object, found: object) -> None:
    """DisagreementError unless `is_right`."""
    if not is_right:
        raise DisagreementError(f"{what} gives {str(found)[:1000]}")


SIZE_BYTES = 32 << 20
FILE_BYTES = 256 << 10
