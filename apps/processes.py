"""Other processes of ours that a command needs: started, waited for until they serve, stopped in good order."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import apps
from apps.errors import CommandError

Json = dict[str, object]


class ServingProcess:
    """`baremetal ARGUMENTS...` in a process of its own; a context manager that ends it.

    arguments: of a command that prints one line of JSON as soon as it serves, and ends when its standard input does:
    so it never outlives this process, however this one ends.
    cpu: the processor it is bound to, or None. timeout_s: how long it may take until it serves.
    CommandError with the process's own words when it does not come to serve.
    """

    def __init__(self, arguments: Sequence[str], *, cpu: int | None = None, timeout_s: float = 20.0) -> None:
        self._last_words = b""
        self._process = subprocess.Popen(
            command_line(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            start_new_session=True,  # Ctrl-C reaches us, and we end it
        )
        try:
            if cpu is not None:
                os.sched_setaffinity(self._process.pid, {cpu})
            self.ready = self._wait_ready(timeout_s)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    def report(self, timeout_s: float = 10.0) -> Json:
        """Have it end as `stop` does; the line of JSON that it prints at its end. CommandError when there is none."""
        self.stop(timeout_s)
        try:
            document = json.loads(self._last_words.decode().strip().rpartition("\n")[2])
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise CommandError("the serving process ended without a report")
        return document

    def stop(self, timeout_s: float = 10.0) -> int:
        """Have it drain and end; killed when it does not within `timeout_s`. Returns its exit status; idempotent."""
        process = self._process
        if process.returncode is None:
            # Closes its standard input, and takes what it still has to say, on which it would otherwise wait.
            try:
                self._last_words = process.communicate(timeout=timeout_s)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        return process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_ready(self, timeout_s: float) -> Json:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        deadline = time.monotonic() + timeout_s
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise CommandError(f"the serving process did not come to serve within {timeout_s:.0f} s")
                chunk = os.read(descriptor, 4096)
                if not chunk:
                    raise self._failure()
                line += chunk
        ready = json.loads(line)
        if not isinstance(ready, dict):
            raise CommandError("the serving process did not say what it serves")
        return ready

    def _failure(self) -> CommandError:
        assert self._process.stderr is not None
        words = self._process.stderr.read().decode(errors="replace").strip().removeprefix("baremetal: ")
        return CommandError(words or f"the serving process ended with status {self._process.wait()}")


def run_measuring(arguments: Sequence[str], *, cpu: int | None = None, timeout_s: float = 120.0) -> Json:
    """Run `baremetal ARGUMENTS...`, which prints one JSON object, on one processor and return that object.

    CommandError with the process's own words when it fails.
    """
    process = subprocess.Popen(
        command_line(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True
    )
    try:
        if cpu is not None:
            os.sched_setaffinity(process.pid, {cpu})
        output, words = process.communicate(timeout=timeout_s)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode:
        raise CommandError(words.strip().removeprefix("baremetal: ") or f"ended with status {process.returncode}")
    result = json.loads(output)
    assert isinstance(result, dict)
    return result


def command_line(arguments: Sequence[str]) -> list[str]:
    """What starts this same program, whether it was installed or runs from its tree."""
    return [sys.executable, "-P", "-m", "apps.main", *arguments]


def environment() -> dict[str, str]:
    """The environment of such a process: like ours, with this very program first among the places to import from."""
    places = [str(Path(apps.__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
