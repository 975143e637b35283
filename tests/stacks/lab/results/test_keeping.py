"""Results on disk: reused when nothing changed, and never half of one for a whole."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from array import array
from dataclasses import replace
from pathlib import Path

import pytest

from stacks.lab.results import keeping
from stacks.lab.results.fingerprint import experiment_hash, run_hash
from stacks.lab.results.keeping import MANIFEST, Store, is_whole, load
from stacks.lab.results.parquet import decode, encode
from stacks.lab.results.record import Record
from stacks.lab.runners.virtual import VirtualRunner
from stacks.runtime import LocalError
from tests.stacks.lab.documents import changed, experiment

RECORD = Record(
    {"flows": {"name": ["a", "b"], "goodput_bps": array("q", [5, -1])}, "links": {"name": [], "share": array("d")}},
    ("up", "down"),
    {"jain": 0.5, "convergence_ns": None},
    7,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results", {"baremetal": "1"})


def test_a_table_comes_back_from_parquet_as_it_was() -> None:
    table = {"n": array("q", [1, -(2**63), 2**63 - 1]), "x": array("d", [0.1, -0.0, 1e300]), "w": ["a", "ü", ""]}
    back = decode(encode(table))
    assert dict(back) == table


def test_what_is_no_parquet_is_refused() -> None:
    with pytest.raises(LocalError, match="no Parquet file"):
        decode(b"PAR1 and nothing else")


def test_a_result_comes_back_as_it_was(store: Store) -> None:
    made = experiment()
    folder = store.keep(made, "virtual", RECORD)
    kept = load(folder)
    assert kept.record.digest() == RECORD.digest()
    assert kept.record == RECORD
    assert kept.manifest["seed"] == 1
    assert kept.manifest["versions"] == {"baremetal": "1"}
    assert store.has(made, "virtual")
    assert not store.has(made, "real")


def test_another_experiment_has_another_hash_and_another_title_has_not() -> None:
    first = experiment()
    assert experiment_hash(first) == experiment_hash(experiment())
    assert experiment_hash(first) == experiment_hash(replace(first, title="other", description="words"))
    for old, new in (("seed = 1", "seed = 2"), ('"1bdp"', '"2bdp"'), ('"reno"', '"bbr3"'), ('"20ms"', '"10ms"')):
        assert experiment_hash(experiment(changed(old, new))) != experiment_hash(first)
    assert run_hash(first, "virtual") != run_hash(first, "real")


def test_a_controller_of_its_own_counts_by_what_is_in_its_file(tmp_path: Path) -> None:
    text = changed('"reno"', '"mine.py:Mine"')
    source = "from stacks.congestion import Reno\nclass Mine(Reno):\n    pass\n"
    hashes = []
    for folder, extra in (("one", ""), ("two", ""), ("three", "# changed\n")):
        place = tmp_path / folder
        place.mkdir()
        (place / "mine.py").write_text(source + extra)
        hashes.append(experiment_hash(experiment(text, folder=place)))
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("damage", ["manifest", "table", "short", "format"])
def test_a_damaged_result_is_no_result(store: Store, damage: str) -> None:
    made = experiment()
    folder = store.keep(made, "virtual", RECORD)
    manifest = folder / MANIFEST
    if damage == "manifest":
        manifest.write_text(manifest.read_text()[:-20])
    elif damage == "table":
        (folder / "flows.parquet").unlink()
    elif damage == "short":
        (folder / "flows.parquet").write_bytes(b"PAR1")
    else:
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}))
    assert not store.has(made, "virtual")
    with pytest.raises(LocalError, match="holds no whole result"):
        load(folder)
    store.keep(made, "virtual", RECORD)
    assert load(folder).record == RECORD


def test_a_full_disk_leaves_nothing_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space left"):
        store.keep(experiment(), "virtual", RECORD)
    assert list((store.root / "plain").iterdir()) == []


def test_what_an_ended_process_left_is_removed_and_what_a_living_one_makes_is_not(store: Store) -> None:
    folder = store.root / "plain"
    folder.mkdir(parents=True)
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    dead, alive = folder / f".abc.{int(done.stdout)}.part", folder / f".abc.{os.getppid()}.part"
    dead.mkdir()
    alive.mkdir()
    store.keep(experiment(), "virtual", RECORD)
    assert not dead.exists()
    assert alive.exists()


def test_a_result_that_another_process_kept_meanwhile_is_taken(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = experiment()
    place = store.folder(made, "virtual")
    files = keeping.files_of(made, "virtual", RECORD, {})

    def rename(_: Path, target: Path) -> Path:
        target.mkdir()
        for name, content in files.items():
            (target / name).write_bytes(content)
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    monkeypatch.setattr(Path, "rename", rename)
    assert store.keep(made, "virtual", RECORD) == place
    assert is_whole(place)


def test_a_run_kept_and_loaded_is_the_run(store: Store) -> None:
    made = experiment()
    record = VirtualRunner().run(made, lambda _: None)
    assert load(store.keep(made, "virtual", record)).record.digest() == record.digest()
