"""Commands in the guest: asked for in lines over a virtio port, several at a time, each with its output and status.

`root/agent` is the other end and tells the format. Nothing here waits longer than it was told to.
"""

from __future__ import annotations

import base64
import select
import socket
import time
from dataclasses import dataclass

READY = 0
"""The number of the line that the guest sends by itself, once it is ready."""
KILLED = 137
"""The status of a script that took too long or was ended."""


class GuestError(Exception):
    """The guest does not answer, or not as it should."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a script ended: the shell's status, and what it printed on both streams."""

    status: int
    output: str


@dataclass(frozen=True, slots=True)
class Job:
    """A script under way. deadline: on the host's monotonic clock, in seconds, when the guest has surely answered."""

    number: int
    deadline: float


class Agent:
    """The host's end; takes over `stream`, connected to the guest's port."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._stream.setblocking(False)
        self._pending = b""
        self._results: dict[int, Result] = {}
        self._last = READY

    def start(self, script: str, *, seconds: float = 30) -> Job:
        """Have the guest's shell run `script`; after `seconds`, it and what it started are killed."""
        self._last += 1
        self._send(encode_run(self._last, script, seconds=seconds))
        return Job(self._last, time.monotonic() + seconds + GRACE_SECONDS)

    def end(self, job: Job) -> None:
        """Kill a script and what it started, if it still runs; `wait` tells its output all the same."""
        self._send(b"end %d\n" % job.number)

    def is_done(self, job: Job) -> bool:
        """Whether `wait` returns at once."""
        self._receive(0)
        return job.number in self._results

    def wait(self, job: Job) -> Result:
        """The result of a script, once; GuestError when the guest does not answer though the time is over."""
        while job.number not in self._results:
            remaining = job.deadline - time.monotonic()
            if remaining <= 0:
                raise GuestError(f"the guest does not answer to command {job.number}")
            self._receive(remaining)
        return self._results.pop(job.number)

    def run(self, script: str, *, seconds: float = 30) -> Result:
        """Start a script and wait for it."""
        return self.wait(self.start(script, seconds=seconds))

    def close(self) -> None:
        """Leave the guest alone. Idempotent."""
        self._stream.close()

    def _send(self, line: bytes) -> None:
        self._stream.settimeout(GRACE_SECONDS)
        try:
            self._stream.sendall(line)
        except OSError as error:
            raise GuestError(f"the guest takes no commands: {error}") from error
        finally:
            self._stream.setblocking(False)

    def _receive(self, seconds: float) -> None:
        if not select.select([self._stream], [], [], seconds)[0]:
            return
        data = self._stream.recv(RECEIVE_BYTES)
        if not data:
            raise GuestError("the guest has ended")
        *lines, self._pending = (self._pending + data).split(b"\n")
        self._results.update(map(decode_answer, lines))


def encode_run(number: int, script: str, *, seconds: float) -> bytes:
    """The line that has the guest run a script."""
    return b"run %d %d %s\n" % (number, max(1, round(seconds)), base64.b64encode(script.encode()))


def decode_answer(line: bytes) -> tuple[int, Result]:
    """The number and result in a line of the guest's; GuestError when it is none."""
    try:
        number, status, *output = line.decode("ascii").split(" ")
        text = base64.b64decode("".join(output), validate=True).decode(errors="replace")
        return int(number), Result(int(status), text)
    except ValueError as error:
        raise GuestError(f"no answer of the guest's agent: {line[:80]!r}") from error


GRACE_SECONDS = 10
"""What an emulated guest may take to notice that the time is over, and to say so."""
RECEIVE_BYTES = 65536
