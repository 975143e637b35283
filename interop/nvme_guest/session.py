"""One case between the guest's kernel and our processes: recorded from the first frame to the last, then judged."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from interop.guest.machine import GuestError
from interop.guest.shared import SharedGuest
from interop.nvme_guest.fabric import Fabric
from interop.nvme_guest.kernel import Kernel
from interop.nvme_guest.target import OurTarget
from interop.outcome import DisagreementError
from interop.tshark_judge import judge


@dataclass(frozen=True, slots=True)
class Stage:
    """What a case plays on. scratch: a folder of its own."""

    kernel: Kernel
    fabric: Fabric
    scratch: Path

    def image(self, size_bytes: int = 64 << 20) -> Path:
        """A sparse file for a namespace, without contents."""
        path = self.scratch / "disk.img"
        with path.open("wb") as file:
            file.truncate(size_bytes)
        return path

    def target(self, *sources: str) -> OurTarget:
        """Our target, serving over the fabric of the case."""
        return OurTarget(self.kernel.machine.namespace, [self.fabric], sources)


Act = Callable[[Stage], str]


def play(shared: SharedGuest, scratch: Path, act: Act, fabric: Fabric, *, multipath: bool = True) -> str:
    """Play `act`, and have tshark judge every frame of it; returns what it says, and what was judged.

    multipath: which kind of guest. DisagreementError: what is wrong; the next case then gets a fresh guest.
    """
    kernel = Kernel(shared.machine(multipath=multipath))
    capture = scratch / "frames.pcapng"
    started = time.monotonic()
    try:
        kernel.begin(fabric)
        with kernel.machine.capture(capture):
            praise = act(Stage(kernel, fabric, scratch))
        kernel.check_log()
    except (GuestError, DisagreementError):
        shared.discard()
        raise
    seconds = time.monotonic() - started
    return f"{praise}; {judge(capture)}; {seconds:.1f} s"
