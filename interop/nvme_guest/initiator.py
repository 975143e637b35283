"""Our initiator, with every command that it has, against the kernel's target."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from interop.guest.network import Namespace
from interop.nvme_guest import nvmet
from interop.nvme_guest.nvmet import KernelTarget
from interop.nvme_guest.session import Stage
from interop.nvme_guest.target import ROOT
from interop.outcome import DisagreementError


def initiator(stage: Stage) -> str:
    """discover, list, id-ctrl, id-ns, write, read and compare; then verified random I/O at queue depth 32."""
    ours = _Ours(stage.kernel.machine.namespace)
    with KernelTarget(stage.kernel, stage.fabric) as target:
        _look(ours, target, stage.fabric.url(nvmet.ADDRESS))
        moved = _move(ours, target, stage.scratch)
        verified = _verify(ours, target)
    return f"discover, list, id-ctrl, id-ns; {moved}; {verified}"


class _Ours:
    """`baremetal` in the namespace that reaches the guest."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace

    def run(self, *words: str, status: int = 0) -> Any:
        """What a command prints as JSON, None for nothing; DisagreementError when it ends with another status."""
        command = self._namespace.command(sys.executable, "-m", "apps.main", *words, "--json")
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
        if done.returncode != status:
            raise DisagreementError(f"{' '.join(words)} ends with {done.returncode}: {done.stderr.strip()}")
        return json.loads(done.stdout) if done.stdout.strip() else done.stderr


def _look(ours: _Ours, target: KernelTarget, place: str) -> None:
    found = ours.run("nvme", "discover", place)
    expect("discover", nvmet.NQN in [entry["nqn"] for entry in found], found)
    [row] = ours.run("nvme", "list", place)
    expect("list", (row["size_bytes"], row["block_bytes"], row["model"]) == (SIZE_BYTES, 512, "Linux"), row)
    controller = ours.run("nvme", "id-ctrl", target.url)
    expect("id-ctrl", (controller["mn"], controller["subnqn"]) == ("Linux", nvmet.NQN), controller)
    namespace = ours.run("nvme", "id-ns", target.url)
    expect("id-ns", namespace["nsze"] * 512 == SIZE_BYTES, namespace)


def _move(ours: _Ours, target: KernelTarget, scratch: Path) -> str:
    """Write a file, have the kernel say what it keeps, and read the same back."""
    source, copy = scratch / "source", scratch / "copy"
    source.write_bytes(random.Random(1).randbytes(FILE_BYTES))
    ours.run("nvme", "write", target.url, "--file", str(source))
    expect("write", target.sha256(FILE_BYTES) == hashlib.sha256(source.read_bytes()).hexdigest(), "other bytes")
    ours.run("nvme", "read", target.url, "--file", str(copy), "--length", str(FILE_BYTES))
    expect("read", copy.read_bytes() == source.read_bytes(), "other bytes")
    # nvmet of Linux 6.1 has no Compare: ours has to say so, and not that there is a difference, which is status 1.
    refusal = ours.run("nvme", "compare", target.url, "--file", str(source), status=2)
    expect("compare", "opcode" in refusal.lower(), refusal)
    return f"{FILE_BYTES >> 10} KiB written and read, the kernel keeps the same"


def _verify(ours: _Ours, target: KernelTarget) -> str:
    words = ["--rw", "randrw", "--block-size", "4KiB", "--queue-depth", "32", "--time", "100ms", "--span", "1MiB"]
    found = ours.run("perf", "nvme", target.url, *words, "--verify", "--overwrite")
    expect("perf", found["operations"] and not found["mismatches"], found)
    return f"{found['operations']} x 4 KiB verified at queue depth 32"


def expect(what: str, is_right: object, found: object) -> None:
    """DisagreementError unless `is_right`."""
    if not is_right:
        raise DisagreementError(f"{what} gives {str(found)[:1000]}")


SIZE_BYTES = 32 << 20
FILE_BYTES = 512 << 10
SECONDS = 60
