"""fio in the background: again and again while a block lasts, each time with other data, every block verified."""

from __future__ import annotations

from typing import Self

from interop.guest.machine import GuestError
from interop.nvme_guest.fio import Workload
from interop.nvme_guest.kernel import Kernel
from interop.outcome import DisagreementError


class Writer:
    """A context manager; leaving it says whether all was well: DisagreementError with fio's words when it was not.

    rounds: how many were verified, once the block is left.
    """

    def __init__(self, kernel: Kernel, disk: str) -> None:
        self._kernel = kernel
        self.rounds = 0
        fio = LOAD.command(disk, seed="$round")
        # Only the round that fails is told.
        script = f"rm -f {STOP}; round=0; while [ ! -e {STOP} ]; do round=$((round + 1))\n"
        script += f"{fio} >/tmp/fio.json || {{ cat /tmp/fio.json; exit 1; }}; done; echo $round"
        self._job = kernel.machine.agent.start(script, seconds=LONGEST_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, GuestError):
            return
        self._kernel.machine.run(f"touch {STOP}")
        result = self._kernel.machine.agent.wait(self._job)
        if kind is not None:
            return
        if result.status:
            raise DisagreementError(f"fio ends with {result.status}: {result.output[-1000:]}")
        self.rounds = int(result.output.split()[-1])


LOAD = Workload(size_bytes=128 << 10, iops=40)
"""Slow, since all of it is judged packet by packet."""
LONGEST_S = 120
STOP = "/tmp/stop"
