"""`baremetal link tun` that is told to end at a bad moment: what it made goes all the same.

A program `ip` of the test's own notes what it is asked for, and sends the signal each time. So no root is needed, and
each signal comes exactly while namespaces are made or removed.
"""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from apps.processes import command_line, environment
from tests.apps.cli import LIMIT_S
from transports import namespaces
from transports.errors import TransportError


def fake_ip(folder: Path, then: str) -> str:
    """A PATH on which `ip` writes its words to `asked` and does `then`."""
    program = folder / "ip"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {folder}/asked\n{then}\n')
    program.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def asked(folder: Path) -> list[str]:
    """What `ip` was asked for, but for what does not make or remove namespaces."""
    return [line for line in (folder / "asked").read_text().splitlines() if line.startswith("netns")]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_while_namespaces_come_and_go_leaves_none(tmp_path: Path, number: signal.Signals) -> None:
    path = fake_ip(tmp_path, f"kill -{number.value} $PPID")
    words = command_line(["link", "tun", "--left", "bmtest-none-l", "--right", "bmtest-none-r"])
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env={**environment(), "PATH": path}, timeout=LIMIT_S
    )
    assert asked(tmp_path) == ["netns add bmtest-none-l", "netns delete bmtest-none-l"]
    # It got as far as the namespace that is not there, and did not die of the signal.
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)


def test_a_namespace_that_is_made_by_half_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", fake_ip(tmp_path, 'test "$1" != -n'))
    with pytest.raises(TransportError, match="-n bmtest-none link set lo up"):
        namespaces.create("bmtest-none")
    assert asked(tmp_path) == ["netns add bmtest-none", "netns delete bmtest-none"]
