"""The command as a process of its own, as people run it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from apps.processes import command_line, environment
from tests.apps.forked import run_forked

LIMIT_S = 55.0
"""How long a test waits for what takes a second: for a machine that has other things to do."""


def baremetal(
    *arguments: str, directory: Path | None = None, timeout_s: float = LIMIT_S
) -> subprocess.CompletedProcess[str]:
    """Run `baremetal ARGUMENTS...` to its end."""
    return run_forked(arguments, directory=directory, variables={"COLUMNS": "200"}, timeout_s=timeout_s)


def baremetal_anew(*arguments: str, directory: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The same, with an interpreter of its own from the start."""
    return subprocess.run(
        command_line(arguments),
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        env={**environment(), "COLUMNS": "200"},
        timeout=LIMIT_S,
    )


def json_of(*arguments: str, directory: Path | None = None) -> dict[str, object]:
    """The JSON object that a command prints, which must succeed."""
    done = baremetal(*arguments, "--json", directory=directory)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    return document


def only_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a command that failed as it should: on standard error, under our name, without a traceback."""
    assert done.returncode != 0
    assert done.stderr.startswith("baremetal: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.strip()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Return when `condition` holds; an error when `process` ends first."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert process.poll() is None, "the process ended first"
        assert time.monotonic() < deadline
