"""Our initiator with two paths to the kernel's target, over RDMA and over TCP, whose states change under fio.

    fio (nbd engine)  -->  baremetal nvme nbd  ==two paths==>  nvmet

fio verifies all the while. What happens to the paths is done through the kernel's configfs.
"""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path
from typing import Self

from interop.nvme_guest.fabric import RDMA, TCP_IPV6
from interop.nvme_guest.fio import verified
from interop.nvme_guest.nvmet import KernelTarget
from interop.nvme_guest.session import Stage
from interop.nvme_guest.target import TargetProcess
from interop.nvme_guest.writer import LOAD
from interop.outcome import DisagreementError, require

FABRICS = (RDMA, TCP_IPV6)


def initiator_failover(stage: Stage) -> str:
    """Each path alone usable, none for a moment, one that is taken away while the other serves, and given back."""
    require("fio", package="fio")
    kernel, path = stage.kernel, stage.scratch / "nbd.sock"
    kernel.run(f"modprobe -a {' '.join(fabric.target_modules for fabric in FABRICS)}")
    uri = f"nbd+unix:///?socket={path}"
    with KernelTarget(kernel, *FABRICS) as target:
        first, second = target.urls
        words = ["nvme", "nbd", first, "--path", second, "--listen", uri, "--reconnect-delay", "1"]
        words += ["--json", "--until-stdin-ends"]
        ours = TargetProcess(kernel.machine.namespace, "-m", "apps.main", *words, says=SAYS)
        with ours, _Writer(uri, stage.scratch) as writer:
            for states in STATES:
                for port, state in enumerate(states, start=1):
                    target.set_ana(port, state)
                writer.wait_rounds(1) if "optimized" in states else time.sleep(A_MOMENT_S)
            before = target.associations()
            target.unlink(2)
            writer.wait_rounds(1)
            target.link(2)
            _wait_back(target, before)
    return f"{len(STATES)} changes of states, a path lost and back; {writer.rounds} rounds of fio over NBD verified"


def _wait_back(target: KernelTarget, before: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while target.associations() <= before:
        if time.monotonic() > deadline:
            raise DisagreementError(f"our initiator is not back within {PATIENCE_S} s at a port that serves again")
        time.sleep(0.2)


class _Writer:
    """fio again and again while the block lasts, each time with other data; rounds: how many were verified."""

    def __init__(self, uri: str, scratch: Path) -> None:
        self._uri = uri
        self._scratch = scratch
        self._is_stopping = False
        self._error: DisagreementError | None = None
        self._turn = threading.Condition()
        self._thread = threading.Thread(target=self._run)
        self.rounds = 0

    def wait_rounds(self, count: int) -> None:
        """Wait until that many rounds more have begun and ended; DisagreementError when one was not verified."""
        with self._turn:
            wanted = self.rounds + count + 1  # the one that is under way began before
            self._turn.wait_for(lambda: self.rounds >= wanted or self._error, timeout=count * PATIENCE_S)
            if self._error:
                raise self._error
            if self.rounds < wanted:
                raise DisagreementError(f"fio does not end within {count * PATIENCE_S} s")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._is_stopping = True
        self._thread.join()
        if kind is None and self._error:
            raise self._error

    def _run(self) -> None:
        while not self._is_stopping and not self._error:
            command = LOAD.nbd_command(self._uri, seed=str(self.rounds + 1))
            try:
                done = subprocess.run(
                    command, cwd=self._scratch, capture_output=True, text=True, timeout=PATIENCE_S, check=False
                )
                verified(done.stdout or done.stderr, LOAD.size_bytes)
                error = None
            except subprocess.TimeoutExpired:
                error = DisagreementError(f"fio does not end within {PATIENCE_S} s")
            except DisagreementError as found:
                error = found
            with self._turn:
                self._error = error
                self.rounds += not error
                self._turn.notify_all()


STATES = (
    ("inaccessible", "optimized"),
    ("optimized", "inaccessible"),
    ("inaccessible", "inaccessible"),
    ("non-optimized", "optimized"),
)
SAYS = ".*closed the connection; trying again.*connected to .* again"
"""What ours tells of the path that is lost."""
PATIENCE_S = 40
A_MOMENT_S = 0.5
