"""A sweep's folder is a result, and what is written is whole or not there."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from apps.errors import CommandError, explain
from apps.lab.drawing import draw, obtain_any, page, short_name
from apps.lab.obtaining import check_result, obtain, open_store
from apps.lab.sweep import run_sweep
from apps.lab.sweep_file import SweepResult, load_sweep
from stacks.lab.results.files import write_whole
from stacks.lab.sweeping.processes import Processes
from tests.stacks.lab.documents import PLAIN

POOL = Processes(1)
GRID = ["topology.buffer=1bdp,2bdp", "topology.rtt=20ms,30ms"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("e.toml").write_text(PLAIN.replace('"4s"', '"1500ms"'))
    return tmp_path


def test_a_folder_of_a_sweep_is_that_sweep(folder: Path) -> None:
    store = open_store(folder / "results")
    made = run_sweep("e.toml", GRID, store, POOL)
    read = load_sweep(folder / "results" / "plain")
    assert [(row.parameters, row.metrics) for row in read.rows] == [(row.parameters, row.metrics) for row in made.rows]
    found = obtain_any("results/plain", store, (), POOL)
    assert isinstance(found, SweepResult)
    assert found.rows[0].folder == Path("results/plain", made.rows[0].folder.name)
    assert draw(found, ["jain"]) == draw(made, ["jain"])
    assert "4 runs" in page(found, ["jain"])
    assert short_name("results/plain") == "plain"
    with pytest.raises(CommandError, match="holds several results, of which one is needed; name one of those in it: "):
        obtain("results/plain", store)


def test_two_metrics_are_two_panels(folder: Path) -> None:
    made = run_sweep("e.toml", GRID, open_store(folder / "results"), POOL)
    svg = draw(made, ["jain", "goodput_bps"], ".svg").decode()
    words = re.findall(r">([^<>]+)</text>", svg)
    assert "jain" in words
    assert "goodput" in words
    assert "goodput" not in re.findall(r">([^<>]+)</text>", draw(made, ["jain"], ".svg").decode())
    assert draw(made, ["jain"], ".pdf") == draw(made, ["jain"], ".pdf")


def test_a_folder_of_single_runs_says_what_is_kept(folder: Path) -> None:
    kept = obtain("e.toml", open_store(folder / "results"))
    assert kept.folder is not None
    with pytest.raises(CommandError, match=f"holds results, of no sweep .*: {kept.folder.name}$"):
        check_result("results/plain")


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": 1, "title": "", "description": "", "runs": []}'])
def test_a_broken_note_of_a_sweep_is_one_line(folder: Path, content: str) -> None:
    (folder / "sweep.json").write_text(content)
    with pytest.raises(CommandError, match=r"sweep\.json says nothing of a sweep; the command `baremetal lab sweep`"):
        load_sweep(folder)


def test_results_of_a_sweep_that_are_gone_are_told(folder: Path) -> None:
    made = run_sweep("e.toml", GRID[:1], open_store(folder / "results"), POOL)
    (made.rows[0].folder / "manifest.json").unlink()
    with pytest.raises(CommandError, match="1 of 2 results of the sweep in .* are not there"):
        load_sweep(folder / "results" / "plain")


def test_a_file_that_does_not_fit_is_told_with_its_path_and_the_one_before_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "x.png"
    path.write_bytes(b"before")
    write = Path.write_bytes

    def fill(self: Path, content: bytes) -> int:
        write(self, content[:2])
        raise OSError(errno.ENOSPC, "No space left on device")  # as the kernel says it of a write: without a name

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(OSError, match="No space") as caught:
        write_whole(path, b"after")
    assert explain(caught.value)[0].startswith(f"{path}: no space left on device; free some space, or choose another ")
    assert "--output" in explain(caught.value)[0]
    assert path.read_bytes() == b"before"
    assert sorted(each.name for each in folder.iterdir()) == ["e.toml", "x.png"]
    with pytest.raises(OSError, match="No space") as caught:
        obtain("e.toml", open_store(folder / "results"))
    assert explain(caught.value)[0].startswith(f"{folder}/results/plain/")
