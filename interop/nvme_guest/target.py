"""Our target in the guest's namespace: a process that can be killed, frozen, and started again on the same images."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from interop.guest.network import Namespace
from interop.nvme_guest.fabric import Fabric
from interop.outcome import DisagreementError
from stacks.nvme.url import parse_url
from transports.control import ControlClient, Json, running_processes

ROOT = Path(__file__).resolve().parent.parent.parent
NQN = "nqn.2026-11.io.baremetal:disk"


class TargetProcess:
    """A process that serves until its standard input ends; a context manager that ends it in good order.

    words: the arguments of Python. Leaving the block raises DisagreementError when it ended with another status than 0
    or said anything on standard error but what the pattern `says` matches.
    """

    def __init__(self, namespace: Namespace, *words: str, says: str = "") -> None:
        self._says = says
        self._command = namespace.command(sys.executable, *words)
        self._process = self._started()

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self._process.kill()
        self._process.communicate()

    def restart(self) -> None:
        """Start it again, once it was killed."""
        self._process = self._started()

    def freeze(self) -> None:
        """Have it stand still: it holds its connections, and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it go on."""
        self._process.send_signal(signal.SIGCONT)

    def snapshot(self) -> dict[str, Json]:
        """What it tells of itself on its control socket."""
        with self._control() as client:
            return client.snapshot()

    def command(self, name: str, **arguments: Json) -> Json:
        """Have it do something, by its control socket."""
        with self._control() as client:
            return client.command(name, arguments)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def _control(self) -> ControlClient:
        [entry] = [entry for entry in running_processes() if entry.pid == self.pid]
        return ControlClient(entry.path)

    def _started(self) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(self._command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert process.stdout is not None
        if not (line := process.stdout.readline()):
            raise DisagreementError(f"our target does not start: {process.communicate()[1].strip()}")
        json.loads(line)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.thaw()
            _, words = self._process.communicate(timeout=END_SECONDS)  # which closes its standard input
        except subprocess.TimeoutExpired:
            self._process.kill()
            _, words = self._process.communicate()
            words = f"it did not end in {END_SECONDS} s; {words}"
        if kind is None and (self._process.returncode or not re.fullmatch(self._says, words.strip(), re.DOTALL)):
            raise DisagreementError(f"our target ended with {self._process.returncode}: {words.strip()}")


class OurTarget(TargetProcess):
    """`baremetal nvme target` at our address of each fabric, by port from 1 on.

    sources: what its namespaces are, as the command takes them. capture: where it records what it sends and receives.
    """

    def __init__(
        self, namespace: Namespace, fabrics: Sequence[Fabric], sources: Sequence[str], *, capture: Path | None = None
    ) -> None:
        self.address = fabrics[0].our_address
        self._urls = [fabric.url(fabric.our_address, NQN) for fabric in fabrics]
        words = ["nvme", "target", "--json", "--until-stdin-ends"]
        words += [word for url in self._urls for word in ("--listen", url)]
        words += [word for source in sources for word in ("--namespace", source)]
        words += [word for fabric in fabrics if fabric.workers for word in ("--workers", str(fabric.workers))]
        words += [] if capture is None else ["--capture", str(capture)]
        super().__init__(namespace, "-m", "apps.main", *words)

    def answers(self) -> list[int]:
        """How many commands were answered through each port so far."""
        listening = self.snapshot()["listening"]
        assert isinstance(listening, dict)
        counters = [listening[str(parse_url(url))] for url in self._urls]
        return [int(str(each["responses_sent"])) for each in counters if isinstance(each, dict)]


END_SECONDS = 20
