"""Interruptions under a verifying workload: a target that stands still, one that is killed, a host that is silent.

None may cost a byte or give the workload an error: the kernel's NVMe host repeats what was not answered.
"""

from __future__ import annotations

import time
from typing import Self

from interop.nvme_guest.kernel import Kernel
from interop.nvme_guest.session import Stage
from interop.nvme_guest.target import OurTarget
from interop.nvme_guest.writer import Writer
from interop.outcome import DisagreementError


def recovery(stage: Stage) -> str:
    """A target frozen beyond the keep-alive timeout, then killed and started again, then a frozen host; under fio."""
    kernel = stage.kernel
    with stage.target(str(stage.image())) as target:
        disk = kernel.connect(stage.fabric, OPTIONS)
        with Writer(kernel, disk) as writer:
            outages = [f"{name} {interrupt(kernel, target):.1f} s" for name, interrupt in INTERRUPTIONS]
        kernel.disconnect()
    return f"{', '.join(outages)} without the path; {writer.rounds} rounds of fio verified"


def _freeze_target(kernel: Kernel, target: OurTarget) -> float:
    """The target stands still until the host has given up."""
    with _Outage(kernel) as outage:
        target.freeze()
        outage.wait_noticed()
        target.thaw()
    return outage.seconds


def _kill_target(kernel: Kernel, target: OurTarget) -> float:
    """The target is gone, and another one there, before the host knows."""
    with _Outage(kernel) as outage:
        target.kill()
        target.restart()
        outage.wait_noticed()
    return outage.seconds


def _freeze_host(kernel: Kernel, target: OurTarget) -> float:
    """The host says nothing until the target has given it up."""
    with _Outage(kernel) as outage:
        with kernel.machine.frozen():
            deadline = time.monotonic() + PATIENCE_S
            while target.snapshot()["queues"]:
                if time.monotonic() > deadline:
                    raise DisagreementError(f"our target keeps a host that has been silent for {PATIENCE_S} s")
                time.sleep(0.1)
        outage.wait_noticed()
    return outage.seconds


class _Outage:
    """From before the interruption, so that not even a short one is missed, to when the host has its path again."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.seconds = 0.0

    def wait_noticed(self) -> None:
        """Wait until the host knows."""
        self._kernel.wait_outage(self._before)

    def __enter__(self) -> Self:
        self._before = self._kernel.outages("nvme0")
        self._started = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._kernel.run(self._kernel.until_state("live"))
            self.seconds = time.monotonic() - self._started


OPTIONS = "--keep-alive-tmo=1 --reconnect-delay=1 --ctrl-loss-tmo=100"
INTERRUPTIONS = (
    ("frozen target", _freeze_target),
    ("killed target", _kill_target),
    ("silent host", _freeze_host),
)
PATIENCE_S = 20
"""Twenty times the keep-alive timeout."""
