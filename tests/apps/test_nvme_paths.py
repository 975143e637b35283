"""`baremetal nvme` over several paths, through losses, and with discovery that stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.processes import ServingProcess, command_line, environment
from tests.apps.cli import LIMIT_S, baremetal, json_of, only_line

pytestmark = pytest.mark.slow

MIB = 1 << 20


def serve(listen: list[str], namespace: str = "mem:4MiB") -> ServingProcess:
    words = [word for url in listen for word in ("--listen", url)]
    return ServingProcess(
        ["nvme", "target", "--namespace", namespace, *words, "--until-stdin-ends", "--json"], timeout_s=LIMIT_S
    )


@pytest.fixture
def urls(loopback_addresses: Iterator[str]) -> list[str]:
    return [f"nvme+{transport}://{next(loopback_addresses)}" for transport in ("tcp", "rdma")]


def test_a_file_goes_out_and_comes_back_over_two_paths(urls: list[str], tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(os.urandom(2 * MIB))
    with serve(urls):
        json_of("nvme", "write", urls[0], "--file", str(source), "--path", urls[1])
        options = ["--path", urls[0], "--policy", "queue-depth", "--length", str(2 * MIB)]
        json_of("nvme", "read", urls[1], "--file", str(copy), *options)
        assert copy.read_bytes() == source.read_bytes()


def test_a_path_that_nobody_serves_is_named_and_the_other_used(urls: list[str], tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(MIB))
    with serve(urls[:1]):
        nobody = urls[0].rpartition(".")[0] + ".249"
        done = baremetal("nvme", "write", urls[0], "--path", nobody, "--file", str(source))
    assert done.returncode == 0
    assert "is a target running there?; trying again for 600 seconds" in done.stderr


def test_nobody_at_first_is_said_at_once(urls: list[str], tmp_path: Path) -> None:
    options = ["--ctrl-loss-tmo", "600", "--file", str(tmp_path / "copy")]
    for words in (options, ["--path", urls[0], *options]):
        done = baremetal("nvme", "read", f"{urls[0]}/nqn.2026-11.io.baremetal:disk", *words)
        assert done.returncode == 1
        assert "is a target running there?" in done.stderr


@pytest.mark.parametrize("wrong", [["--reconnect-delay", "0"], ["--ctrl-loss-tmo", "-5"], ["--policy", "best"]])
def test_options_that_cannot_be_are_wrong_arguments(urls: list[str], wrong: list[str]) -> None:
    done = baremetal("nvme", "read", urls[0], "--file", "copy", *wrong)
    assert done.returncode == 2
    assert only_line(done)


def test_a_verified_run_survives_a_restart_of_the_target(urls: list[str], tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(MIB)
    target = serve(urls[:1], str(image))
    words = ["perf", "nvme", urls[0], "--rw", "randrw", "--verify", "--overwrite", "--time", "6s", "--queue-depth", "4"]
    words += ["--ctrl-loss-tmo", "60", "--reconnect-delay", "0.2", "--json"]
    try:
        with subprocess.Popen(
            command_line(words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True
        ) as run:
            with pytest.raises(subprocess.TimeoutExpired):
                run.wait(4)
            os.kill(target.pid, signal.SIGKILL)
            target.stop()
            target = serve(urls[:1], str(image))
            output, said = run.communicate(timeout=LIMIT_S)
    finally:
        target.stop()
    assert run.returncode == 0, said
    assert json.loads(output)["mismatches"] == 0


def test_everything_that_is_listed_is_connected_and_shown(urls: list[str]) -> None:
    with serve(urls):
        rows = json.loads(baremetal("nvme", "connect-all", urls[0], "--json").stdout)
    assert [row["nsid"] for row in rows] == [1]
    assert baremetal("nvme", "connect-all", urls[0]).returncode == 1


def test_discovery_that_stays_prints_what_there_is_and_ends_with_a_signal(urls: list[str]) -> None:
    with (
        serve(urls[:1]),
        subprocess.Popen(
            command_line(["nvme", "discover", urls[0], "--persistent", "--json"]),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            text=True,
        ) as watching,
    ):
        assert watching.stdout is not None
        change = json.loads(watching.stdout.readline())
        assert any(url.endswith("nqn.2026-11.io.baremetal:disk") for url in change["added"])
        watching.send_signal(signal.SIGINT)
        assert watching.wait(LIMIT_S) == 0
