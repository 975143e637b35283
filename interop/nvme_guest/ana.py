"""Two paths to one namespace, over RDMA and over TCP, joined by the kernel's native multipath, and states that change.

A verifying fio runs all the while. What the kernel knows is read from sysfs; where its commands go is counted by our
target, port by port.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence

from interop.guest.network import OURS, TAP, Namespace
from interop.nvme_guest.fabric import RDMA, TCP_IPV6
from interop.nvme_guest.kernel import PAUSE, Kernel
from interop.nvme_guest.session import Stage
from interop.nvme_guest.target import OurTarget
from interop.nvme_guest.writer import Writer
from interop.ours import Ours
from interop.outcome import DisagreementError

PATHS = (RDMA, TCP_IPV6)
"""By port: their addresses are of two families, so that one can be taken away."""


def ana_failover(stage: Stage) -> str:
    """Each path alone usable, one better than the other, both gone for a moment, one that is cut, and whole again."""
    kernel, namespace = stage.kernel, stage.kernel.machine.namespace
    kernel.run(f"modprobe -a {' '.join(path.host_modules for path in PATHS)}")
    with OurTarget(namespace, PATHS, [str(stage.image())]) as target, Ours(namespace.name) as ours:
        disk = [kernel.connect(path, OPTIONS) for path in PATHS][-1]
        with Writer(kernel, disk) as writer:
            for states in STATES:
                _change(kernel, ours, target, states)
            cut = _cut(kernel, namespace)
        kernel.run("nvme disconnect-all")
    return f"{len(STATES)} changes of states, a path cut for {cut:.1f} s; {writer.rounds} rounds of fio verified"


def _change(kernel: Kernel, ours: Ours, target: OurTarget, states: tuple[str, str]) -> None:
    """Set the states, and see the kernel know them, and its commands go where they may."""
    for port, state in enumerate(states, start=1):
        ours.run("nvme", "ctl", "--target", str(target.pid), "set-ana", "1", state, "--port", str(port))
    kernel.run("\n".join(f"until [ $(cat {_path(port)}/ana_state) = {state} ]; do {PAUSE}; done"
                         for port, state in enumerate(states)))  # fmt: skip
    best = min(states, key=ORDER.index)
    if best in USABLE:
        _see_used(target, states, ports=[port for port, state in enumerate(states) if state == best])


def _see_used(target: OurTarget, states: tuple[str, str], *, ports: Sequence[int]) -> None:
    """See commands come through one of these ports, and none but for keep-alives and logs through another."""
    before, deadline = target.answers(), time.monotonic() + PATIENCE_S
    while True:
        counts = [now - then for now, then in zip(target.answers(), before, strict=True)]
        if sum(counts[port] for port in ports) >= ENOUGH:
            break
        if time.monotonic() > deadline:
            raise DisagreementError(f"{states}: {counts} commands through the ports within {PATIENCE_S} s")
        time.sleep(0.1)
    if any(count >= ENOUGH for port, count in enumerate(counts) if port not in ports):
        raise DisagreementError(f"{states}: {counts} commands through the ports, though one of them is worse")


def _cut(kernel: Kernel, namespace: Namespace) -> float:
    """Take the second path's address away until the kernel has noticed; how long it was without that path."""
    before, started = kernel.outages("nvme1"), time.monotonic()
    address = OURS[1]
    _ip(namespace, "address", "del", address)
    kernel.wait_outage(before)
    _ip(namespace, "address", "add", address, "nodad")
    kernel.run(kernel.until_state("live", controller="nvme1"))
    return time.monotonic() - started


def _ip(namespace: Namespace, *words: str) -> None:
    subprocess.run(["ip", "-n", namespace.name, *words, "dev", TAP], check=True, capture_output=True)


def _path(port: int) -> str:
    return f"/sys/class/nvme/nvme{port}/nvme*c{port}n1"


OPTIONS = "--keep-alive-tmo=1 --reconnect-delay=1 --ctrl-loss-tmo=100"
ORDER = ("optimized", "non-optimized", "inaccessible")
USABLE = ("optimized", "non-optimized")
STATES = (
    ("optimized", "non-optimized"),
    ("inaccessible", "optimized"),
    ("inaccessible", "inaccessible"),
    ("non-optimized", "inaccessible"),
    ("optimized", "optimized"),
)
"""Of ANA group 1, by port."""
ENOUGH = 20
"""Commands that show that a path is used; keep-alives and logs are fewer."""
PATIENCE_S = 20
