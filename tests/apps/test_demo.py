"""`baremetal demo`, with less data than people see."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from apps.errors import CommandError
from apps.processes import command_line, environment
from apps.signals import time_limit
from tests.apps.cli import LIMIT_S, baremetal, only_line, wait_until

pytestmark = pytest.mark.slow


def test_the_demo_verifies_every_byte_and_leaves_only_a_capture(tmp_path: Path) -> None:
    done = baremetal("demo", "--size", "8MiB", directory=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"verified {9 << 20} bytes"
    assert f"{8 << 20} + {1 << 20} bytes" in done.stdout
    assert "a second session, of 1 MiB, was captured whole" in done.stdout
    assert "MB/s" in done.stdout
    assert re.search(r"median \S+ (us|ms)", done.stdout)
    assert "tshark -r demo-out/demo.pcapng" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["demo-out"]
    (capture,) = (tmp_path / "demo-out").iterdir()
    assert 2 << 20 < capture.stat().st_size <= 10_000_000


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_interrupted_demo_leaves_nothing_and_ends_its_processes(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    with subprocess.Popen(
        command_line(["demo", "--size", "64MiB"]), cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until((tmp_path / "demo-out" / "copy.bin").exists, process)
        process.send_signal(number)
        _, error = process.communicate(timeout=LIMIT_S)
    assert process.returncode == status
    assert error == ("baremetal: interrupted\n" if number == signal.SIGINT else "")
    assert list(tmp_path.iterdir()) == []


def test_a_demo_without_space_says_how_much_it_needs(tmp_path: Path) -> None:
    line = only_line(baremetal("demo", "--size", "900TiB", directory=tmp_path))
    assert "of free space, the demo needs" in line
    assert list(tmp_path.iterdir()) == []


def test_what_takes_too_long_is_ended_wherever_it_is() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(CommandError, match="enough"), time_limit(0.01, lambda: CommandError("enough")):
        signal.pause()
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


@pytest.mark.long
def test_the_demo_as_people_run_it_ends_within_a_minute(tmp_path: Path) -> None:
    start = time.monotonic()
    assert baremetal("demo", directory=tmp_path).returncode == 0
    assert time.monotonic() - start < 60
