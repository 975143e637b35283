"""A command run to its end in a fork of this process: as a process of its own, without loading every module again.

What differs from starting a new one is what the interpreter does before `apps.main`; other tests do start one.
"""

from __future__ import annotations

import io
import os
import selectors
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from typer.testing import CliRunner

from apps.command_line import app
from apps.main import main

# Whatever is loaded late is there for every fork.
CliRunner().invoke(app, ["nvme", "list", "no URL"])


def run_forked(
    arguments: Sequence[str], *, directory: Path | None, variables: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run `baremetal ARGUMENTS...`, as `subprocess.run` does with its output captured."""
    output, errors = os.pipe(), os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:
        _run(arguments, output[1], errors[1], directory, variables)
    os.close(output[1])
    os.close(errors[1])
    try:
        words = _read([output[0], errors[0]], time.monotonic() + timeout_s)
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
        raise subprocess.TimeoutExpired(list(arguments), timeout_s) from None
    finally:
        _, status = os.waitpid(pid, 0)
        os.close(output[0])
        os.close(errors[0])
    return subprocess.CompletedProcess(list(arguments), os.waitstatus_to_exitcode(status), *words)


def _read(files: Sequence[int], deadline: float) -> list[str]:
    read = {number: bytearray() for number in files}
    with selectors.DefaultSelector() as selector:
        for number in files:
            selector.register(number, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                piece = os.read(key.fd, 1 << 16)
                read[key.fd] += piece
                if not piece:
                    selector.unregister(key.fd)
    return [io.TextIOWrapper(io.BytesIO(bytes(each)), encoding="utf-8").read() for each in read.values()]


def _run(
    arguments: Sequence[str], output: int, errors: int, directory: Path | None, variables: Mapping[str, str]
) -> NoReturn:
    status = 1
    try:
        os.dup2(output, 1)
        os.dup2(errors, 2)
        os.closerange(3, 4096)
        sys.stdin = sys.__stdin__ = os.fdopen(0, "r", closefd=False)
        sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = sys.__stderr__ = os.fdopen(
            2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
        )
        signal.signal(signal.SIGINT, signal.default_int_handler)
        warnings.resetwarnings()
        os.environ.update(variables)
        if directory is not None:
            os.chdir(directory)
        sys.argv = ["baremetal", *arguments]
        status = _exit_status()
        sys.stdout.flush()
    finally:
        os._exit(status)


def _exit_status() -> int:
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 (whatever it is, an interpreter would print it)
        traceback.print_exc()
        return 1
