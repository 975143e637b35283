"""Files that are pipes, and options that only show with a target."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.processes import ServingProcess, command_line, environment
from tests.apps.cli import LIMIT_S, baremetal

pytestmark = pytest.mark.slow

MIB = 1 << 20


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(MIB))
    return path


@pytest.fixture
def url(image: Path, loopback_address: str) -> Iterator[str]:
    place = f"nvme+rdma://{loopback_address}"
    words = ["nvme", "target", "--namespace", str(image), "--listen", place, "--until-stdin-ends", "--json"]
    with ServingProcess(words, timeout_s=LIMIT_S):
        yield place


def test_a_pipe_is_written_and_read_under_the_name_of_a_dash(url: str, image: Path) -> None:
    content = random.Random(5).randbytes(MIB)
    words = ["nvme", "write", url, "--file", "-", "--length", "512KiB"]
    subprocess.run(command_line(words), input=content, check=True, env=environment(), timeout=LIMIT_S)
    assert image.read_bytes()[: MIB // 2] == content[: MIB // 2]
    words = ["nvme", "read", url, "--file", "-", "--length", "512KiB"]
    done = subprocess.run(command_line(words), stdout=subprocess.PIPE, check=True, env=environment(), timeout=LIMIT_S)
    assert done.stdout == content[: MIB // 2]


def test_digests_over_rdma_are_told_to_do_nothing_once(url: str, tmp_path: Path) -> None:
    block = tmp_path / "block"
    block.write_bytes(bytes(4096))
    words = ["nvme", "write", url, "--digests", "both", "--file", str(block)]
    done = baremetal(*words)
    assert done.returncode == 0
    assert done.stderr == "baremetal: --digests does nothing over RDMA: every packet has its ICRC anyway\n"


def test_perf_connects_under_the_name_that_it_is_given(url: str) -> None:
    words = ["perf", "nvme", url, "--time", "0.1s", "--json"]
    assert baremetal(*words, "--host-nqn", "nqn.2026-11.io.baremetal:alice").returncode == 0
    assert baremetal(*words, "--host-nqn", "alice").returncode == 2
