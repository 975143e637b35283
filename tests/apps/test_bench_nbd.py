"""fio on disks over NBD: what is read of its output, and what is said when something is missing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from apps.bench import nbd
from apps.bench.probes import Cpus
from apps.errors import CommandError

CPU = min(os.sched_getaffinity(0))
CPUS = Cpus(CPU, CPU)
PRINTED = "fio: connected to NBD server\n" + json.dumps(
    {"jobs": [{"read": {"iops": 0.0}}, {"jobname": "read", "read": {"iops": 123_456.7}}]}
)


def test_reads_a_second_are_those_of_the_last_job() -> None:
    assert nbd.read_iops(PRINTED) == 123_456.7


@pytest.mark.parametrize("printed", ["", "no JSON", "{", '{"jobs": []}', '{"jobs": [{"read": {}}]}', '{"jobs": [1]}'])
def test_output_that_is_not_known_is_a_reason_and_no_figure(printed: str) -> None:
    with pytest.raises(CommandError, match="fio printed no figures"):
        nbd.read_iops(printed)


@pytest.mark.parametrize(
    ("name", "package"), [("nbdkit", "nbdkit"), ("qemu_storage_daemon", "qemu-system-common"), ("ours", "fio")]
)
def test_a_program_that_is_missing_is_named_with_its_package(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if name != "ours":
        fio = tmp_path / "fio"
        fio.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match=f"is missing; .*apt install {package}"):
        getattr(nbd, name)("reading").take(CPUS)


@pytest.mark.slow
def test_a_server_that_does_not_come_about_tells_why(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "echo the disk burnt >&2; exit 1"]
    with pytest.raises(CommandError, match="sh: the disk burnt"), nbd.process(command, tmp_path / "x.sock", CPUS):
        pass


@pytest.mark.slow
def test_a_server_is_there_when_its_socket_is_and_gone_afterwards(tmp_path: Path) -> None:
    socket = tmp_path / "x.sock"
    command = ["/bin/sh", "-c", f"echo $$ > {tmp_path}/pid; touch {socket}; sleep 60"]
    with nbd.process(command, socket, CPUS):
        pid = int((tmp_path / "pid").read_text())
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_all_disks_are_read_alike() -> None:
    probes = (nbd.ours("a"), nbd.nbdkit("b"), nbd.qemu_storage_daemon("c"))
    (job,) = {probe.command.partition("; ")[2] for probe in probes}
    assert "--rw=randread --bs=4k --iodepth=32" in job
