"""A cell as a running link between two network namespaces, with the kernel's TCP set as the experiments want it."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from apps.lab.realtime.bottleneck import settle_tcp
from apps.processes import ServingProcess
from interop.congestion.cells import Cell
from interop.outcome import MissingToolError
from transports import namespaces


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """A cell that runs. left, right: the namespaces; the queue is on the way from left to right. address: of right."""

    cell: Cell
    left: str
    right: str
    address: str
    process: ServingProcess

    def finish(self) -> dict[str, object]:
        """End it; what it says of the run. CommandError when it says nothing."""
        return self.process.report()


@contextlib.contextmanager
def running(cell: Cell, options: Sequence[str] = ()) -> Iterator[Bottleneck]:
    """A cell between namespaces of its own, which go whatever ends the block, or this process. options: more of
    `baremetal link tun`.

    MissingToolError where this machine or user has no namespaces and TUN devices.
    """
    require_namespaces()
    left, right = f"bm{os.getpid()}l", f"bm{os.getpid()}r"
    words = ["link", "tun", "--left", f"{left}/bm0/10.78.0.1/24", "--right", f"{right}/bm0/10.78.0.2/24"]
    words += ["--rate", f"{cell.rate_mbit}mbit", "--delay", f"{cell.delay_ns // 1000}us"]
    words += ["--limit", str(cell.limit_packets), "--back-limit", "0", "--until-stdin-ends", "--json", *options]
    process = ServingProcess(words)
    try:
        for name in (left, right):
            with namespaces.entered(name):
                settle_tcp()
        yield Bottleneck(cell, left, right, "10.78.0.2", process)
    finally:
        process.stop()
        for name in (left, right):
            if namespaces.exists(name):  # it was killed
                namespaces.remove(name)


def require_namespaces() -> None:
    """MissingToolError unless this process may have TUN devices in network namespaces."""
    if os.geteuid() != 0:
        raise MissingToolError("this needs root, for network namespaces and TUN devices")
    if not os.path.exists("/dev/net/tun"):  # noqa: PTH110 (a device)
        raise MissingToolError("/dev/net/tun is missing: modprobe tun")
    if shutil.which("ip") is None:
        raise MissingToolError("ip is missing: install the package iproute2")


def require_congestion(name: str) -> None:
    """MissingToolError unless this kernel has the congestion control."""
    with open("/proc/sys/net/ipv4/tcp_available_congestion_control", encoding="ascii") as file:  # noqa: PTH123 (/proc)
        available = file.read().split()
    if name not in available:
        raise MissingToolError(f"this kernel has no {name} (modprobe tcp_{name}); there are: {', '.join(available)}")


def settle(seconds: float = 0.2) -> None:
    """Let what a kernel sends of itself when a device comes up pass."""
    time.sleep(seconds)

