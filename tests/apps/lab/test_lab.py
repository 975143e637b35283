"""`baremetal lab` as people run it."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from apps.errors import INTERRUPTED, CommandError, explain
from apps.lab.obtaining import obtain, open_store
from apps.lab.sweep import run_sweep
from apps.pictures.canvas import check_canvas
from apps.processes import environment
from stacks.lab.results.keeping import Store
from stacks.lab.sweeping.jobs import Job
from stacks.lab.sweeping.processes import Processes as ProcessPool
from stacks.runtime import LocalError
from tests.apps.cli import LIMIT_S, baremetal, json_of, only_line, wait_until
from tests.stacks.lab.documents import PLAIN, changed
from tests.stacks.lab.sweeping.test_sweeping import alive

SHORT = PLAIN.replace('"4s"', '"1500ms"')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "e.toml").write_text(SHORT)
    return tmp_path


def test_the_ready_experiments_have_titles() -> None:
    titles = json_of("lab", "list")
    assert "first-steps" in titles
    assert all(titles.values())
    assert "first-steps" in baremetal("lab", "list").stdout


def test_a_run_prints_its_tables_and_says_where_it_is_kept(folder: Path) -> None:
    done = baremetal("lab", "run", "e.toml", directory=folder)
    assert done.returncode == 0, done.stderr
    for word in ("a", "cubic", "goodput", "bottleneck", "jain", "Mbit/s", "dropped", "all after the warm-up of 1 s"):
        assert word in done.stdout
    kept = Path(folder, re.findall(r"kept in (\S+)", done.stdout)[0])
    assert sorted(path.name for path in kept.iterdir()) == [
        "flows.parquet", "links.parquet", "manifest.json", "queues.parquet", "series.parquet",
    ]  # fmt: skip


def test_a_second_run_reads_what_the_first_kept_and_a_fresh_one_does_not(folder: Path) -> None:
    first = json_of("lab", "run", "e.toml", directory=folder)
    manifest = Path(folder, str(first["folder"]), "manifest.json")
    before = manifest.stat().st_mtime_ns
    assert json_of("lab", "run", "e.toml", directory=folder) == first
    assert manifest.stat().st_mtime_ns == before
    assert json_of("lab", "run", "e.toml", "--fresh", directory=folder)["digest"] == first["digest"]
    assert manifest.stat().st_mtime_ns > before


def test_a_setting_replaces_a_value(folder: Path) -> None:
    found = json_of("lab", "run", "e.toml", "--set", "flow.a.controller=bbr3", directory=folder)
    assert json.dumps(found["experiment"]).count("bbr3") == 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("run", "nothing.toml"), "nothing.toml: no such file or directory"),
        (("run", "first-step"), "no ready experiment is called 'first-step'.* is it first-steps"),
        (("run", "e.toml", "--set", "seed=1,2"), "that is 2 runs: `baremetal lab sweep` does several"),
        (("run", "e.toml", "--set", "duration=0s"), "e.toml: with duration = 0s: duration is more than no time"),
        (("run", "e.toml", "--set", "flow.a.sender=linux:bbr"), "needs real time: `baremetal lab run --real`"),
        (("run", "e.toml", "--set", "flow.a.sender=toe"), "a has the sender toe .* not there yet"),
        (("run", "first-steps", "--real", "--set", "metrics=[harm]"), "harm"),
        (("sweep", "e.toml", "--real", "--processes", "2"), "one after the other.* leave --processes"),
        (("sweep", "e.toml", "--processes", "0"), "processes"),
        (("sweep", "e.toml", "--metric", "jane"), "these runs have no jane; there are "),
        (("plot", "e.toml", "--file", "a.gif"), r"a\.gif is of no kind .* ends with \.png or \.svg or \.pdf"),
        (("plot", "e.toml", "--file", "no/a.png"), "no/a.png cannot be written; there is no folder no"),
        (("report", "e.toml", "--file", "a.png"), r"name a file that ends with \.html"),
        (("plot", "."), r"\. is a folder without manifest\.json"),
        (("report", "/etc"), r"/etc is a folder without manifest\.json"),
        (("plot", "e.toml", "--metric", "jain"), "--metric chooses of a sweep, and this is one run"),
        (("compare", "e.toml", "x"), "no ready experiment is called 'x'"),
    ],
)
def test_bad_input_is_one_line(folder: Path, words: tuple[str, ...], line: str) -> None:
    assert re.search(line, only_line(baremetal("lab", *words, directory=folder)))


def test_a_mistake_has_its_line(folder: Path) -> None:
    (folder / "bad.toml").write_text(changed('rate = "10Mbit/s"', 'rate = "fast"'))
    assert only_line(baremetal("lab", "run", "bad.toml", directory=folder)).startswith(
        'baremetal: bad.toml:9: rate is a rate such as "10Mbit/s", not \'fast\''
    )


def test_every_mistake_has_a_line_of_its_own(folder: Path) -> None:
    text = changed('rate = "10Mbit/s"', 'rate = "fast"').replace("seed = 1", 'seed = "x"')
    (folder / "bad.toml").write_text(text)
    done = baremetal("lab", "run", "bad.toml", directory=folder)
    assert [line.partition(" is ")[0] for line in done.stderr.splitlines()] == [
        "baremetal: bad.toml:4: seed", "baremetal: bad.toml:9: rate",
    ]  # fmt: skip
    (folder / "many.toml").write_text(text + "\n".join(f"x{number} = 1" for number in range(11)))
    lines = baremetal("lab", "run", "many.toml", directory=folder).stderr.splitlines()
    assert len(lines) == 11
    assert lines[-1] == "baremetal: and 3 more mistakes"


def test_a_controller_that_fails_is_one_line(folder: Path) -> None:
    (folder / "mine.py").write_text("from stacks.congestion import Reno\nclass Mine(Reno):\n    window_bytes = 1 / 0\n")
    done = baremetal("lab", "run", "e.toml", "--set", "flow.a.controller=mine.py:Mine", directory=folder)
    assert re.search(r"mine\.py:3: ZeroDivisionError: division by zero", only_line(done))


@pytest.mark.slow
def test_a_sweep_has_a_line_for_each_run_and_says_which_were_there(folder: Path) -> None:
    words = ("lab", "sweep", "e.toml", "--set", "topology.buffer=1bdp,2bdp", "--processes", "1")
    rows = json.loads(baremetal(*words, "--json", directory=folder).stdout)
    assert [row["parameters"] for row in rows] == [{"topology.buffer": "1bdp"}, {"topology.buffer": "2bdp"}]
    assert rows[0]["metrics"]["utilisation"] > 0.9
    done = baremetal(*words, "--metric", "jain", directory=folder)
    assert "2 runs, 2 of them before" in done.stdout
    assert "jain" in done.stdout
    assert "utilisation" not in done.stdout


@pytest.mark.slow
def test_pictures_and_pages_are_what_their_names_say(folder: Path) -> None:
    for words in (("e.toml",), ("e.toml", "--set", "seed=1,2", "--processes", "1")):
        for suffix, start in ((".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")):
            done = baremetal("lab", "plot", *words, "--file", f"a{suffix}", directory=folder)
            assert done.returncode == 0, done.stderr
            assert (folder / f"a{suffix}").read_bytes().startswith(start)
    assert baremetal("lab", "report", "e.toml", directory=folder).returncode == 0
    page = (folder / "e.html").read_text()
    assert page.startswith("<!doctype html>")
    assert page.count("<svg") == 2
    assert "Jain" in page
    assert "cubic" in page
    # Nothing is asked of any network: no address but those that name XML's vocabularies, no script, no style sheet.
    assert not re.findall(r"<(?:script|link|img|iframe)|url\(http|@import", page)
    assert set(re.findall(r'(?:src|href)="([^"#][^"]*)"', page)) == set()


@pytest.mark.slow
def test_the_page_of_a_sweep_has_a_picture_of_each_metric(folder: Path) -> None:
    grid = ("--set", "topology.buffer=1bdp,2bdp", "--set", "topology.rtt=20ms,30ms", "--processes", "1")
    done = baremetal(
        "lab", "report", "e.toml", *grid, "--metric", "jain", "--metric", "loss", "--file", "s.html", directory=folder
    )
    assert done.returncode == 0, done.stderr
    page = (folder / "s.html").read_text()
    assert page.count("<svg") == 2
    assert page.count("<tr>") == 5


def test_a_comparison_shows_what_differs_and_the_change(folder: Path) -> None:
    words = ("lab", "compare", "e.toml", "e.toml", "--set-second", "topology.buffer=2bdp", "--json")
    found = json.loads(baremetal(*words, directory=folder).stdout)
    assert found["differences"] == [{"path": "topology.hops.0.forward.buffer.amount", "first": 1000, "second": 2000}]
    assert not found["identical"]
    by_name = {each["metric"]: each for each in found["metrics"]}
    delay = by_name["delay_p95_ns"]
    assert delay["second"] > delay["first"]
    assert delay["change"] == (delay["second"] - delay["first"]) / delay["first"]
    done = baremetal("lab", "compare", "e.toml", "e.toml", directory=folder)
    assert "the results are identical" in done.stdout
    assert "%" in baremetal(*words[:-1], directory=folder).stdout


def test_without_pyarrow_a_run_is_told_and_not_kept_and_a_sweep_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    kept = obtain("e.toml", open_store(Path("results")))
    assert kept.folder is None
    assert kept.record.metrics
    told = capsys.readouterr().err
    assert "pyarrow is missing: pip install 'baremetal-emulator[lab]' (this result is not kept)" in told
    assert not Path("results").exists()
    with pytest.raises(LocalError, match="pyarrow is missing"):
        run_sweep("e.toml", ["seed=1,2"], open_store(Path("results")), ProcessPool(1))


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(CommandError, match=r"pictures need matplotlib, .*pip install 'baremetal-emulator\[lab\]'"):
        check_canvas()


class Interrupted:
    """A pool whose second run is interrupted."""

    def run(self, jobs: Sequence[Job], store: Store) -> Iterator[int]:
        yield from ProcessPool(1).run(jobs[:1], store)
        raise KeyboardInterrupt


def test_an_interrupted_sweep_says_how_to_go_on_and_does(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    store = open_store(Path("results"))
    with pytest.raises(CommandError) as caught:
        run_sweep("e.toml", ["seed=1,2,3"], store, Interrupted())
    assert str(caught.value) == "interrupted; 1 of 3 runs are kept; the same command goes on from there"
    assert caught.value.status == INTERRUPTED
    assert run_sweep("e.toml", ["seed=1,2,3"], store, ProcessPool(1)).reused == 1


def test_a_full_disk_is_one_line_and_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.chdir(folder)
    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space") as caught:
        obtain("e.toml", open_store(Path("results")))
    line, status = explain(caught.value)
    assert re.fullmatch(r"results/plain/\S+: no space left on device; free some space, or .*", line)
    assert status == 1
    assert list(Path("results/plain").iterdir()) == []


@pytest.mark.slow
def test_ctrl_c_ends_a_sweep_with_one_line_and_no_process_stays(folder: Path) -> None:
    command = [sys.executable, "-m", "apps.main", "lab", "sweep", "e.toml", "--processes", "2"]
    command += ["--set", "seed=" + ",".join(map(str, range(200)))]
    here = {**environment(), "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(
        command, cwd=folder, env=here, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        wait_until(lambda: bool(list(folder.glob("lab-results/plain/[!.]*"))), process)
        os.killpg(process.pid, signal.SIGINT)
        told = process.communicate(timeout=LIMIT_S)[1]
    words = r"baremetal: interrupted; \d+ of 200 runs are kept; the same command goes on from there\n"
    assert re.fullmatch(words, told)
    assert process.returncode == INTERRUPTED
    # Python's own process that watches over shared resources ends on seeing that the others have.
    deadline = time.monotonic() + 5
    while alive(process.pid):
        assert time.monotonic() < deadline, alive(process.pid)
        time.sleep(0.01)
    assert list(folder.glob("lab-results/plain/.*")) == []
