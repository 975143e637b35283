"""Sweeps: the same whatever the number of processes, kept as they go, resumed where they ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from stacks.lab.experiment.sweeping import Point, read_points
from stacks.lab.results.fingerprint import run_hash
from stacks.lab.results.keeping import Store, load_manifest
from stacks.lab.runners import catalogue
from stacks.lab.sweeping.cluster import Cluster
from stacks.lab.sweeping.jobs import Job, Pool
from stacks.lab.sweeping.processes import Processes
from stacks.runtime import LocalError
from tests.stacks.lab.documents import PLAIN, document

GRID = ["topology.buffer=1bdp,2bdp", "seed=1,2"]
SHORT = PLAIN.replace('"4s"', '"1500ms"')

MANY = 16
SWEEP_PROGRAM = """
import pathlib, sys
from stacks.lab.results.keeping import Store
from stacks.lab.sweeping.processes import Processes
from tests.stacks.lab.sweeping.test_sweeping import many

list(Processes(2).run(many(), Store(pathlib.Path(sys.argv[1]))))
"""
DOOMED = """
import os
from stacks.congestion import Reno


class Mine(Reno):
    def handle_ack(self, ack, now):
        os._exit(9)
"""


def jobs_of(points: Sequence[Point]) -> list[Job]:
    made = [point.experiment for point in points]
    return [Job(number, each, "virtual", run_hash(each, "virtual")) for number, each in enumerate(made)]


def jobs() -> list[Job]:
    return jobs_of(read_points(document(SHORT), GRID))


def many() -> list[Job]:
    return jobs_of(read_points(document(SHORT), ["seed=" + ",".join(map(str, range(MANY)))]))


def digests(pool: Pool, folder: Path) -> list[object]:
    store = Store(folder)
    done = list(pool.run(jobs(), store))
    assert sorted(done) == list(range(4))
    return [load_manifest(store.folder(job.experiment, "virtual"))["digest"] for job in jobs()]


@pytest.mark.slow
def test_the_results_do_not_depend_on_how_many_processes_there_are(tmp_path: Path) -> None:
    assert digests(Processes(1), tmp_path / "one") == digests(Processes(2), tmp_path / "two")


@pytest.mark.slow
def test_a_process_that_is_ended_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(DOOMED)
    text = SHORT.replace('"reno"', '"mine.py:Mine"')
    points = read_points(document(text, folder=tmp_path), GRID)
    doomed = jobs_of(points)
    with pytest.raises(LocalError, match="a process that ran part of the sweep was ended"):
        list(Processes(2).run(doomed, Store(tmp_path / "results")))


def test_sources_that_changed_meanwhile_are_told(tmp_path: Path) -> None:
    changed = [replace(jobs()[0], key="0123456789ab")]
    with pytest.raises(LocalError, match="changed while the sweep ran; start it again"):
        list(Processes(1).run(changed, Store(tmp_path)))


def test_without_dask_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(LocalError, match=r"pip install 'baremetal-emulator\[cluster\]'"):
        Cluster("tcp://127.0.0.1:1")


@pytest.mark.long
def test_a_cluster_gives_the_same_results(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        there = digests(Cluster(cluster.scheduler_address), tmp_path / "there")
    assert there == digests(Processes(1), tmp_path / "here")


@pytest.mark.long
def test_a_cluster_that_is_not_there_is_one_line() -> None:
    pytest.importorskip("distributed", reason="the extra cluster is not installed")
    with pytest.raises(LocalError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        list(Cluster("tcp://127.0.0.1:9").run(jobs(), Store(Path())))


def test_a_sender_that_is_not_there_is_refused_with_its_line() -> None:
    text = PLAIN.replace('controller = "reno"', 'sender = "toe"\ncontroller = "reno"')
    (point,) = read_points(document(text))
    with pytest.raises(LocalError, match=r"^e\.toml:15: a has the sender toe .* not there yet; in virtual time"):
        catalogue.runner_for(point.experiment, document(text).origin)


def alive(group: int) -> list[str]:
    """The processes of a group, without those that ended and were not waited for."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, in_group = path.read_text().rpartition(")")[2].split()[:3]
            if in_group == str(group) and state != "Z":
                found.append(path.parent.name)
    return found


@pytest.mark.slow
def test_a_sweep_that_was_killed_goes_on_where_it_ended(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}
    command = [sys.executable, "-c", SWEEP_PROGRAM, str(tmp_path)]
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        deadline = time.monotonic() + 50
        while len(list(tmp_path.glob("plain/[!.]*"))) < 2:
            assert process.poll() is None, "the sweep ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    while alive(process.pid):  # the processes that the sweep started end with it
        assert time.monotonic() < deadline
        time.sleep(0.005)
    store = Store(tmp_path)
    before = [job for job in many() if store.has(job.experiment, "virtual")]
    assert 2 <= len(before) < MANY
    assert {each.name for each in tmp_path.glob("plain/[!.]*")} == {
        store.folder(job.experiment, "virtual").name for job in before
    }
    rest = [job for job in many() if job not in before]
    assert list(Processes(1).run(rest, store)) == [job.number for job in rest]
    assert len(list((tmp_path / "plain").iterdir())) == MANY
