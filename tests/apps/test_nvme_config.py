"""`baremetal nvme target --config`: files that are checked, and a target from one, managed under a verifying writer."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from apps.processes import ServingProcess
from stacks.nvme import sync
from stacks.nvme.host import HostConfig, ReconnectPolicy
from stacks.nvme.stores import create_image
from tests.apps.cli import LIMIT_S, baremetal, only_line
from tests.apps.managed import command, control_folder
from tests.stacks.nvme.verifier import Verifier

__all__ = ["control_folder"]

NQN, HOST = "nqn.2026-11.io.baremetal:disk", "nqn.2026-11.io.baremetal:alice"
MIB = 1 << 20

DOCUMENT = f"""\
[[port]]
listen = "nvme+tcp://FIRST"

[[port]]
listen = "nvme+rdma://SECOND"

[[subsystem]]
nqn = "{NQN}"

[[subsystem.namespace]]
store = "disk.img"
nsid = 1

[[subsystem.namespace]]
store = "faulty:overlay:golden.img+mine.layer+cache"
nsid = 2

[[subsystem.directory]]
path = "disks"
"""


@pytest.fixture
def urls(loopback_addresses: Iterator[str]) -> list[str]:
    return [f"nvme+{transport}://{next(loopback_addresses)}:4420" for transport in ("tcp", "rdma")]


@pytest.fixture
def document(urls: list[str], tmp_path: Path) -> Path:
    """A configuration, and what it needs."""
    for name in ("disk.img", "golden.img"):
        create_image(str(tmp_path / name), MIB)
    (tmp_path / "disks").mkdir()
    path = tmp_path / "target.toml"
    first, second = (url.partition("://")[2] for url in urls)
    path.write_text(DOCUMENT.replace("FIRST", first).replace("SECOND", second))
    return path


def test_a_file_with_nothing_wrong_is_one_line(document: Path) -> None:
    done = command("nvme", "target", "--config", str(document), "--check")
    expected = f"{document}: nothing is wrong; ports 2, subsystems 1, namespaces 2"
    assert (done.status, done.line, done.output) == (0, "", f"{expected}\n")
    told = command("nvme", "target", "--config", str(document), "--check", "--json").json
    assert told == {"file": str(document), "problems": []}


@pytest.mark.slow
def test_each_mistake_is_a_line_and_a_target_names_the_first(document: Path) -> None:
    text = document.read_text().replace("nsid = 1\n", "nsid = 0\nsize = 5\n")
    document.write_text(text)
    keys = "store, nsid, block_size, uuid, ana_group, visible_to, read_only, faults, cache, seed"
    mistakes = [
        (12, "nsid is a whole number from 1 to 1024, not 0"),
        (13, f"unknown key 'size'; there are: {keys}"),
    ]
    done = baremetal("nvme", "target", "--config", str(document), "--check")
    lines = [f"{document}:{line}: {problem}" for line, problem in mistakes]
    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (2, "", lines)
    done = baremetal("nvme", "target", "--config", str(document), "--check", "--json")
    told = [{"line": line, "problem": problem} for line, problem in mistakes]
    assert (done.returncode, json.loads(done.stdout)) == (2, {"file": str(document), "problems": told})
    done = baremetal("nvme", "target", "--config", str(document))
    assert done.returncode == 2
    assert only_line(done) == f"baremetal: {lines[0]} (and 1 more mistake); --check lists all of them"


@pytest.mark.slow
def test_an_address_and_a_file_that_others_have_are_told_with_their_lines(
    document: Path, control_folder: Path, urls: list[str]
) -> None:
    words = ["nvme", "target", "--config", str(document), "--until-stdin-ends", "--json"]
    with ServingProcess(words, timeout_s=LIMIT_S):
        line = only_line(baremetal(*words[:4]))
        assert line.startswith(f"baremetal: {document}:19: {document.parent}/disks: folder is in use by another target")
        other = document.parent / "other.toml"
        other.write_text(f'[[port]]\nlisten = "{urls[0]}"\n')
        assert only_line(baremetal("nvme", "target", "--config", str(other))).startswith(f"baremetal: {other}:2: ")


@pytest.mark.slow
def test_a_target_is_changed_while_a_host_writes_and_verifies(
    document: Path, urls: list[str], control_folder: Path
) -> None:
    words = ["nvme", "target", "--config", str(document), "--until-stdin-ends", "--json"]
    process = ServingProcess(words, timeout_s=LIMIT_S)
    patience = ReconnectPolicy(reconnect_delay=0.05, ctrl_loss_tmo=LIMIT_S)
    try:
        assert process.ready["urls"] == [f"{url}/{NQN}" for url in urls]
        with (
            ThreadPoolExecutor(1) as pool,
            sync.connect(
                [f"{url}/{NQN}/1" for url in urls], config=HostConfig(host_nqn=HOST), reconnect=patience
            ) as space,
        ):
            work = Verifier(space.core, random.Random(4), depth=4)
            connection = space.connection

            def goes_on() -> None:
                goal = work.verified + 20
                connection.run_until(lambda: work.verified >= goal)

            def told(line: str) -> str:
                """Say something to the target, while the work goes on, and see that it does so afterwards."""
                answer = pool.submit(command, "nvme", "ctl", *line.split())
                connection.run_until(answer.done)
                result = answer.result()
                assert result.status == 0, (line, result.line)
                goes_on()
                return result.output

            goes_on()
            told("set-ana 1 inaccessible --port 1")
            told("set-ana 1 optimized --port 1 --after 100ms")
            told("add-namespace mem:1MiB --nsid 7")
            connection.run_until(lambda: 7 in connection.multipath.namespaces)
            told("resize 7 2MiB")
            told("create 1MiB --nsid 8")
            connection.run_until(lambda: 8 in connection.multipath.namespaces)
            told("delete 8")
            told("remove-namespace 7")
            connection.run_until(lambda: 7 not in connection.multipath.namespaces)
            assert "disconnected" in told(f"kick {HOST}")
            told("snapshot 2 monday")
            told("store-faults 2 --add read:error=EIO")
            told("power-cut 2")
            told("remove-port 2")
            told(f"add-port {urls[1]} --id 2")
            told("allow --all")
            assert json.loads(told("list --json"))["pid"] == process.pid
            work.is_stopped = True
            connection.run_until(lambda: work.is_idle)
            assert work.problems == []
            space.flush()
        assert command("nvme", "ctl", "drain").status == 0
    finally:
        status = process.stop()
    assert status == 0
    assert sorted(path.name for path in (document.parent / "disks").iterdir()) == ["manifest.toml"]
