"""Which files a store lives in, and whether it could be opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacks.nvme.stores import create_image, open_store
from stacks.nvme.stores.store_files import StoreFile, check_store, store_files
from stacks.runtime import LocalError


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("mem:1MiB", []),
        ("disk.img", [StoreFile("/d/disk.img", is_shared=False)]),
        ("file:mem:1", [StoreFile("/d/mem:1", is_shared=False)]),
        ("/x/disk.img", [StoreFile("/x/disk.img", is_shared=False)]),
        ("ro:disk.img", [StoreFile("/d/disk.img", is_shared=True)]),
        ("overlay:a.img+mem:", [StoreFile("/d/a.img", is_shared=True)]),
        (
            "overlay:a.img+b.layer",
            [StoreFile("/d/a.img", is_shared=True), StoreFile("/d/b.layer", is_shared=False, is_layer=True)],
        ),
        (
            "faulty:overlay:a.img+b.layer@monday+read:error=EIO+cache+seed=3",
            [StoreFile("/d/a.img", is_shared=True), StoreFile("/d/b.layer", is_shared=True, is_layer=True)],
        ),
        (
            "ro:overlay:overlay:a.img+b.layer+c.layer",
            [
                StoreFile("/d/a.img", is_shared=True),
                StoreFile("/d/b.layer", is_shared=True, is_layer=True),
                StoreFile("/d/c.layer", is_shared=True, is_layer=True),
            ],
        ),
    ],
)
def test_the_files_of_a_store_are_known_before_it_is_opened(text: str, files: list[StoreFile]) -> None:
    assert store_files(text, folder="/d") == files


def test_paths_begin_in_the_folder_that_is_given(tmp_path: Path) -> None:
    odd = tmp_path / "with+and@"
    odd.mkdir()
    create_image(str(odd / "golden.img"), 8192)
    store = open_store("overlay:golden.img+mine.layer", folder=odd)
    store.write(0, [memoryview(bytes(4096))])
    store.close()
    assert (odd / "mine.layer").exists()
    check_store("overlay:golden.img+mine.layer", folder=odd)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("none.img", r"/none\.img: no such file; make one: truncate -s 1G"),
        ("ro:none.img", "no such file"),
        (".", "is a directory"),
        ("empty.img", "is empty; give it a size"),
        ("odd.img", r"has 1000 bytes, no whole number of blocks of 4096; round it up: truncate -s %4096"),
        ("mem:1000", "size 1000 is not a positive multiple of the 4096-byte block"),
        ("ro:mem:0", "size 0"),
        ("faulty:overlay:mem:1000+mem:", "size 1000"),
        ("mem:much", "'much' is not a size"),
        ("overlay:good.img", "no base or no layer"),
        ("overlay:good.img+nowhere/x.layer", r"nowhere: no such folder for a layer; make it: mkdir -p"),
        ("ro:overlay:good.img+new.layer", r"new\.layer: no such file, and a layer that is only read is not made"),
        ("overlay:good.img+.", "is a directory; name the layer's file"),
        ("faulty:good.img+read:error=EWHAT", "EWHAT"),
        ("dir:.", "several namespaces"),
    ],
)
def test_what_cannot_be_opened_is_told_without_a_trace(tmp_path: Path, text: str, message: str) -> None:
    create_image(str(tmp_path / "good.img"), 8192)
    (tmp_path / "empty.img").touch()
    (tmp_path / "odd.img").write_bytes(bytes(1000))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(LocalError, match=message):
        check_store(text, folder=tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_of_which_a_folder_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalError, match="not a directory; check the path"):
        check_store("file/disk.img", folder=tmp_path)


def test_what_can_be_opened_is_left_as_it_is(tmp_path: Path) -> None:
    create_image(str(tmp_path / "good.img"), 8192)
    for text in ("good.img", "ro:good.img", "overlay:good.img+new.layer", "overlay:good.img+mem:", "mem:8k"):
        check_store(text, folder=tmp_path)
    check_store("/dev/null")
    assert [path.name for path in tmp_path.iterdir()] == ["good.img"]


def test_two_names_of_one_file_are_one(tmp_path: Path) -> None:
    (tmp_path / "a.img").touch()
    (tmp_path / "b.img").symlink_to("a.img")
    one, other = (store_files(f"{name}.img", folder=tmp_path)[0] for name in "ab")
    assert one.real_path == other.real_path
