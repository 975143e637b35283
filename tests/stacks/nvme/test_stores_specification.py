"""Stores from the words that people type."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stacks.nvme.stores import FaultyStore, OverlayStore, create_image, open_store
from stacks.runtime import LocalError
from tests.stacks.nvme.store_contract import pattern, read

SIZE = 1 << 20


@pytest.fixture
def golden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image in the working folder."""
    monkeypatch.chdir(tmp_path)
    create_image("golden.img", SIZE)
    store = open_store("golden.img")
    store.write(0, [memoryview(pattern(store, 100))])
    store.close()
    return tmp_path / "golden.img"


def test_an_overlay_makes_its_layer_and_finds_it_again(golden: Path) -> None:
    before = golden.read_bytes()
    store = open_store("overlay:golden.img+changes.layer")
    data = pattern(store, 3, 2)
    store.write(10, [memoryview(data)])
    assert read(store, 0, 10) == before[: 10 * 4096]
    store.close()
    store = open_store("overlay:file:golden.img+changes.layer")
    assert read(store, 10, 3) == data
    store.close()
    assert golden.read_bytes() == before


def test_many_overlays_share_a_base_and_none_a_layer(golden: Path) -> None:
    stores = [open_store(f"overlay:golden.img+{name}.layer") for name in ("one", "other")]
    stores[0].write(0, [memoryview(bytes(4096))])
    assert read(stores[1], 0, 1) != bytes(4096)
    with pytest.raises(LocalError, match=r"one\.layer: image is in use"):
        open_store("overlay:golden.img+one.layer")
    with pytest.raises(LocalError, match=r"golden\.img: image is in use"):
        open_store("golden.img")
    for store in stores:
        store.close()
    open_store("golden.img").close()


def test_an_overlay_in_memory_is_gone_when_it_is_closed(golden: Path) -> None:
    store = open_store("overlay:golden.img+mem:")
    store.write(0, [memoryview(bytes(4096))])
    store.flush()
    assert read(store, 0, 1) == bytes(4096)
    store.close()
    store = open_store("overlay:golden.img+mem:")
    assert read(store, 0, 1) != bytes(4096)
    store.close()
    assert os.listdir() == ["golden.img"]  # noqa: PTH208 (names are what it is about)


def test_overlays_go_on_top_of_each_other(golden: Path) -> None:
    lower = open_store("overlay:golden.img+lower.layer")
    lower.write(0, [memoryview(pattern(lower, 2, 7))])
    lower.close()
    upper = open_store("overlay:overlay:golden.img+lower.layer+upper.layer")
    upper.write(1, [memoryview(pattern(upper, 1, 8))])
    assert read(upper, 0, 2) == pattern(upper, 1, 7)[:4096] + pattern(upper, 1, 8)
    upper.close()


def test_a_snapshot_is_a_read_only_store_beside_others(golden: Path) -> None:
    overlay = open_store("overlay:golden.img+changes.layer")
    assert isinstance(overlay, OverlayStore)
    overlay.write(0, [memoryview(pattern(overlay, 2, 7))])
    overlay.snapshot("monday")
    overlay.write(0, [memoryview(pattern(overlay, 2, 8))])
    overlay.snapshot("tuesday")
    overlay.close()
    stores = {day: open_store(f"overlay:golden.img+changes.layer@{day}") for day in ("monday", "tuesday")}
    assert read(stores["monday"], 0, 2) == pattern(overlay, 2, 7)
    assert read(stores["tuesday"], 0, 2) == pattern(overlay, 2, 8)
    assert all(store.is_read_only for store in stores.values())
    with pytest.raises(LocalError, match="no snapshot sunday; there are: monday, tuesday"):
        open_store("overlay:golden.img+changes.layer@sunday")
    for store in stores.values():
        store.close()
    open_store("golden.img").close()
    open_store("overlay:golden.img+changes.layer").close()


def test_an_overlay_for_reading_wants_a_layer(golden: Path) -> None:
    with pytest.raises(LocalError, match=r"none\.layer: no such file"):
        open_store("ro:overlay:golden.img+none.layer")
    open_store("overlay:golden.img+some.layer").close()
    stores = [open_store("ro:overlay:golden.img+some.layer") for _ in range(2)]
    for store in stores:
        assert store.is_read_only
        store.close()


def test_what_cannot_be_an_overlay_leaves_nothing_locked(golden: Path) -> None:
    for text, message in (
        ("overlay:golden.img", "write overlay:golden.img"),
        ("overlay:+changes.layer", "no base or no layer"),
        ("overlay:golden.img+", "no base or no layer"),
        ("overlay:golden.img+@monday", "no base or no layer"),
        ("overlay:nothing.img+changes.layer", r"nothing\.img: no such file"),
        ("overlay:golden.img+no/such/folder.layer", r"no/such/folder\.layer: no such file"),
        ("overlay:golden.img+/dev/null", "/dev/null"),
    ):
        with pytest.raises(LocalError, match=message):
            open_store(text)
    Path("text").write_text("something else")
    with pytest.raises(LocalError, match="text is no layer of an overlay"):
        open_store("overlay:golden.img+text")
    assert Path("text").read_text() == "something else"
    open_store("golden.img").close()


def test_a_block_size_goes_through_to_what_is_inside(golden: Path) -> None:
    for text in ("ro:golden.img", "overlay:golden.img+changes.layer", "faulty:golden.img", "overlay:mem:1MiB+mem:"):
        store = open_store(text, block_bytes=512)
        assert (store.block_bytes, store.block_count) == (512, 2048)
        store.close()
    with pytest.raises(LocalError, match="layer of 512-byte blocks, and its base has 4096"):
        open_store("overlay:golden.img+changes.layer")


def test_faults_stand_behind_the_store_that_has_them(golden: Path) -> None:
    text = "faulty:golden.img+read:error=EIO,blocks=3..4+cache+flush:delay=5ms+seed=9"
    store = open_store(text)
    assert isinstance(store, FaultyStore)
    assert [rule.text for rule in store.report().rules] == ["read:error=EIO,blocks=3..4", "flush:delay=5ms"]
    read(store, 0, 3)
    with pytest.raises(OSError, match="on purpose"):
        read(store, 0, 4)
    store.power_cut()
    store.close()
    with pytest.raises(LocalError, match="EIOO"):
        open_store("faulty:golden.img+read:error=EIOO")
    open_store("golden.img").close()


def test_forms_go_into_each_other(golden: Path) -> None:
    store = open_store("faulty:overlay:faulty:ro:golden.img+read:error=EIO,nth=2+mem:+write:error=ENOSPC,nth=2")
    assert isinstance(store, FaultyStore)
    assert not store.is_read_only
    read(store, 0, 1)
    with pytest.raises(OSError, match="Input/output error"):
        read(store, 0, 1)
    store.write(0, [memoryview(bytes(4096))])
    with pytest.raises(OSError, match="No space left"):
        store.write(0, [memoryview(bytes(4096))])
    store.close()
    store = open_store("ro:faulty:golden.img")
    assert store.is_read_only
    store.close()


def test_a_folder_is_no_single_store() -> None:
    with pytest.raises(LocalError, match="dir:/srv/disks has several namespaces"):
        open_store("dir:/srv/disks")


def test_an_odd_name_is_a_file_all_the_same(golden: Path) -> None:
    golden.rename("ro:c++@home")
    open_store("file:ro:c++@home").close()
    golden = Path("ro:c++@home").rename("mem")
    open_store("mem").close()
