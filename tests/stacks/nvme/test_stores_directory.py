"""Directories of namespaces: what the manifest says is there, and what it may not say is told."""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from stacks.nvme.stores.directory import (
    DirectoryEvent,
    DirectoryNamespace,
    ManifestEntry,
    NamespaceDirectory,
    open_directory,
)
from stacks.nvme.stores.directory.manifest import manifest_text, parse_manifest
from stacks.runtime import LocalError
from tests.stacks.nvme.store_contract import pattern, read

MIB = 1 << 20
UUIDS = [uuid.UUID(int=0x1234_5678 << 96 | number) for number in range(9)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "disks"


@pytest.fixture
def directory(folder: Path) -> NamespaceDirectory:
    folder.mkdir()
    return open_directory(str(folder))


def told_by(directory: NamespaceDirectory) -> list[tuple[str, int, int]]:
    """What the directory tells from now on: event, NSID, blocks of the store at that time."""
    told: list[tuple[str, int, int]] = []

    def on_change(event: DirectoryEvent, namespace: DirectoryNamespace) -> None:
        told.append((event.value, namespace.entry.nsid, namespace.store.block_count))

    directory.on_change = on_change
    return told


def test_an_empty_folder_gets_an_empty_manifest(folder: Path, directory: NamespaceDirectory) -> None:
    assert directory.namespaces == {}
    assert os.listdir(folder) == ["manifest.toml"]  # noqa: PTH208 (names are what it is about)


def test_namespaces_are_there_again_with_all_that_is_known_of_them(folder: Path, directory: NamespaceDirectory) -> None:
    made = [
        directory.create(MIB),
        directory.create(2 * MIB, nsid=7, block_bytes=512, file="swap space.img", identifier=UUIDS[1], ana_group=3),
        directory.create(3 * MIB),
    ]
    assert [each.entry.nsid for each in made] == [1, 7, 2]
    for each in made:
        each.store.write(5, [memoryview(pattern(each.store, 2, each.entry.nsid))])
    directory.close()
    again = open_directory(str(folder))
    assert [each.entry for each in again.namespaces.values()] == sorted(
        (each.entry for each in made), key=lambda entry: entry.nsid
    )
    for nsid, each in again.namespaces.items():
        assert read(each.store, 5, 2) == pattern(each.store, 2, nsid)
        assert each.store.block_count * each.store.block_bytes == each.entry.size_bytes
    assert again.namespaces[7].entry == ManifestEntry(7, UUIDS[1], 2 * MIB, "swap space.img", 512, ana_group=3)


def test_a_manifest_is_for_people(folder: Path, directory: NamespaceDirectory) -> None:
    directory.create(10 << 30, identifier=UUIDS[1])
    directory.create(512 * 3, block_bytes=512, identifier=UUIDS[2])
    assert (folder / "manifest.toml").read_text() == (
        "# The namespaces in this folder. Written by BareMetal; edit it only while nothing serves them. "
        "Comments are not kept.\n"
        "version = 1\n\n"
        "[[namespace]]\n"
        "nsid = 1\n"
        'uuid = "12345678-0000-0000-0000-000000000001"\n'
        'size = "10GiB"\n'
        "block_size = 4096\n"
        'file = "ns-1.img"\n'
        "read_only = false\n"
        "ana_group = 1\n\n"
        "[[namespace]]\n"
        "nsid = 2\n"
        'uuid = "12345678-0000-0000-0000-000000000002"\n'
        "size = 1536\n"
        "block_size = 512\n"
        'file = "ns-2.img"\n'
        "read_only = false\n"
        "ana_group = 1\n"
    )


def test_a_manifest_written_by_hand_needs_little(folder: Path) -> None:
    folder.mkdir()
    (folder / "old disk.img").write_bytes(bytes(2 * MIB))
    lines = ["version = 1", "[[namespace]]", "nsid = 5", f'uuid = "{UUIDS[1]}"', 'size = "1MiB"', "read_only = true"]
    (folder / "manifest.toml").write_text("\n".join([*lines, 'file = "old disk.img"']))
    namespace = open_directory(str(folder)).namespaces[5]
    assert namespace.store.is_read_only
    assert namespace.store.block_count == 256


def test_changes_are_told_while_it_runs(directory: NamespaceDirectory) -> None:
    told = told_by(directory)
    directory.create(MIB)
    directory.create(MIB)
    directory.resize(1, 3 * MIB)
    directory.resize(1, 3 * MIB)
    directory.delete(2)
    directory.resize(1, 2 * MIB, may_shrink=True)
    assert told == [
        ("added", 1, 256),
        ("added", 2, 256),
        ("resized", 1, 768),
        ("removed", 2, 256),
        ("resized", 1, 512),
    ]


def test_a_store_stays_the_same_when_its_namespace_is_resized(folder: Path, directory: NamespaceDirectory) -> None:
    store = directory.create(MIB).store
    store.write(255, [memoryview(pattern(store, 1))])
    assert directory.resize(1, 2 * MIB).store is store
    assert (store.block_count, (folder / "ns-1.img").stat().st_size) == (512, 2 * MIB)
    assert read(store, 255, 2) == pattern(store, 1) + bytes(4096)
    directory.resize(1, MIB // 2, may_shrink=True)
    assert (store.block_count, (folder / "ns-1.img").stat().st_size) == (128, MIB // 2)
    directory.resize(1, MIB)
    assert read(store, 255, 1) == bytes(4096)


def test_shrinking_is_refused_unless_it_is_asked_for(directory: NamespaceDirectory) -> None:
    directory.create(MIB)
    told = told_by(directory)
    with pytest.raises(LocalError, match="would cut off part of its 1048576; shrinking must be asked for"):
        directory.resize(1, MIB // 2)
    assert directory.namespaces[1].store.block_count == 256
    assert told == []


def test_a_namespace_is_told_to_be_smaller_before_its_file_is_cut(folder: Path, directory: NamespaceDirectory) -> None:
    directory.create(MIB)
    seen: list[tuple[int, int]] = []
    directory.on_change = lambda _, each: seen.append((each.store.block_count, (folder / "ns-1.img").stat().st_size))
    directory.resize(1, MIB // 2, may_shrink=True)
    assert seen == [(128, MIB)]
    assert (folder / "ns-1.img").stat().st_size == MIB // 2


def test_a_deleted_namespace_is_told_before_its_store_goes(folder: Path, directory: NamespaceDirectory) -> None:
    store = directory.create(MIB).store
    seen: list[bytes] = []
    directory.on_change = lambda _, each: seen.append(read(each.store, 0, 1))
    directory.delete(1)
    assert seen == [bytes(4096)]
    assert not (folder / "ns-1.img").exists()
    with pytest.raises(OSError, match="Bad file descriptor"):
        read(store, 0, 1)
    assert directory.create(MIB).entry.nsid == 1


def test_a_read_only_namespace_keeps_its_size_and_can_be_deleted(folder: Path) -> None:
    folder.mkdir()
    (folder / "a.img").write_bytes(bytes(MIB))
    entry = ManifestEntry(1, UUIDS[1], MIB, "a.img", is_read_only=True)
    (folder / "manifest.toml").write_text(manifest_text([entry]))
    directory = open_directory(str(folder))
    for size in (MIB // 2, 2 * MIB):
        with pytest.raises(LocalError, match="read-only and cannot be resized"):
            directory.resize(1, size, may_shrink=True)
    assert directory.namespaces[1].entry == entry
    directory.delete(1)
    assert not (folder / "a.img").exists()


def test_a_folder_is_one_process_alone(folder: Path, directory: NamespaceDirectory) -> None:
    with pytest.raises(LocalError, match="disks: folder is in use by this process already"):
        open_directory(str(folder))
    directory.close()
    open_directory(str(folder)).close()


def test_a_folder_that_is_none_is_named(folder: Path) -> None:
    with pytest.raises(LocalError, match="disks: no such file or directory"):
        open_directory(str(folder))
    folder.write_text("")
    with pytest.raises(LocalError, match="disks: not a directory"):
        open_directory(str(folder))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda directory: directory.create(MIB, nsid=1), "has a namespace 1 already"),
        (lambda directory: directory.create(MIB, identifier=UUIDS[1]), f"has a namespace of UUID {UUIDS[1]}"),
        (lambda directory: directory.create(MIB, file="ns-1.img"), r"ns-1\.img is there already"),
        (lambda directory: directory.create(MIB, file="mine.txt"), r"mine\.txt is there already"),
        (lambda directory: directory.create(MIB, file="manifest.toml"), "file is the name of an image"),
        (lambda directory: directory.create(MIB, file="../x"), "file is the name of an image"),
        (lambda directory: directory.create(MIB, file=".x"), "file is the name of an image"),
        (lambda directory: directory.create(MIB, file="x\n"), "file is the name of an image"),
        (lambda directory: directory.create(MIB, nsid=-1), "nsid is 1 to 4294967294, not -1"),
        (lambda directory: directory.create(1000), "size is some blocks of 4096 bytes, not 1000 bytes"),
        (lambda directory: directory.create(0), "size is some blocks of 4096 bytes, not 0"),
        (lambda directory: directory.create(MIB, block_bytes=1024), "block_size is 512 or 4096, not 1024"),
        (lambda directory: directory.create(MIB, ana_group=0), "ana_group is 1 to"),
        (lambda directory: directory.create(1 << 62), "file too large|invalid argument"),
        (lambda directory: directory.create(1 << 70), "disks: file too large"),
        (lambda directory: directory.resize(1, 1 << 70), r"ns-1\.img: file too large"),
        (lambda directory: directory.resize(1, 1000), "size is some blocks of 4096 bytes"),
        (lambda directory: directory.resize(2, MIB), "has no namespace 2; there are: 1"),
        (lambda directory: directory.delete(2), "has no namespace 2; there are: 1"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    folder: Path, directory: NamespaceDirectory, call: Callable[[NamespaceDirectory], None], message: str
) -> None:
    directory.create(MIB, identifier=UUIDS[1])
    (folder / "mine.txt").write_text("mine")
    told = told_by(directory)
    before = directory.namespaces[1]
    with pytest.raises(LocalError, match=message):
        call(directory)
    assert told == []
    assert directory.namespaces == {1: before}
    assert (folder / "mine.txt").read_text() == "mine"
    directory.create(MIB)
    directory.close()
    assert set(open_directory(str(folder)).namespaces) == {1, 2}


GOOD = f"""\
version = 1

[[namespace]]
nsid = 1
uuid = "{UUIDS[1]}"
size = "1MiB"
file = "a.img"

[[namespace]]
nsid = 2
uuid = "{UUIDS[2]}"
size = 1048576
file = "b.img"
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("version = 1", "version = 2", 1, "version is 1"),
        ("version = 1", "", 1, "version is 1"),
        ("version = 1", "version = 1\nname = 5", 2, "unknown key 'name'; there are version, and"),
        ("nsid = 2", "nsid = ", 10, "invalid value"),
        ("nsid = 2", "nsid = 2\nname = 3", 11, "unknown key 'name'; there are: nsid, uuid, size"),
        ("nsid = 2\n", "", 9, "a namespace needs nsid"),
        ('file = "b.img"\n', "", 9, "a namespace needs file"),
        ("nsid = 2", "nsid = true", 10, "nsid is a whole number, not True"),
        ("nsid = 2", "nsid = 0", 10, "nsid is 1 to 4294967294, not 0"),
        ("nsid = 2", "nsid = 1", 10, "nsid 1 is there already"),
        (str(UUIDS[2]), "1234", 11, "uuid is 32 hexadecimal digits, not '1234'"),
        (str(UUIDS[2]), str(UUIDS[1]), 11, f"uuid {UUIDS[1]} is there already"),
        (str(UUIDS[2]), str(UUIDS[0]).replace("12345678", "00000000"), 11, "uuid is not all zeroes"),
        ("size = 1048576", 'size = "big"', 12, "'big' is not a size"),
        ("size = 1048576", "size = 1.5", 12, "size is a whole number, not 1.5"),
        ("size = 1048576", "size = 1000", 12, "size is some blocks of 4096 bytes, not 1000"),
        ("size = 1048576", "size = 1048576\nblock_size = 520", 13, "block_size is 512 or 4096, not 520"),
        ('file = "b.img"', "file = 5", 13, "file is text in quotes, not 5"),
        ('file = "b.img"', 'file = "x/b.img"', 13, "file is the name of an image in this folder"),
        ('file = "b.img"', 'file = ""', 13, "file is the name of an image in this folder"),
        ('file = "b.img"', 'file = "a.img"', 13, r"file a\.img is there already"),
        ('file = "b.img"', 'file = "c.img"', 13, r"disks/c\.img: no such file"),
        ("size = 1048576", 'size = "2MiB"', 13, "the file has 1048576 bytes, less than the 2097152"),
        ("nsid = 2", "nsid = 2\nread_only = 1", 11, "read_only is true or false, not 1"),
        ("nsid = 2", "nsid = 2\nana_group = 0", 11, "ana_group is 1 to"),
        ("nsid = 2", 'nsid = 2\nstate = "busy"', 11, "state is creating, shrinking or deleting, not 'busy'"),
    ],
)
def test_what_is_wrong_in_a_manifest_is_told_with_its_line(
    folder: Path, old: str, new: str, line: int, message: str
) -> None:
    folder.mkdir()
    for name in ("a.img", "b.img"):
        (folder / name).write_bytes(bytes(MIB))
    assert old in GOOD
    (folder / "manifest.toml").write_text(GOOD.replace(old, new, 1))
    with pytest.raises(LocalError, match=rf"^{folder}/manifest\.toml:{line}: .*{message}") as caught:
        open_directory(str(folder))
    assert "\n" not in str(caught.value)
    (folder / "manifest.toml").write_text(GOOD)
    assert set(open_directory(str(folder)).namespaces) == {1, 2}


@pytest.mark.parametrize("content", [b"namespace = 5\nversion = 1", b"[namespace]\nnsid = 1\n", b"version = 1\n#\xff"])
def test_what_is_no_manifest_at_all_is_told_too(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "manifest.toml").write_bytes(content)
    with pytest.raises(LocalError, match=r"manifest\.toml(:\d+)?: "):
        open_directory(str(folder))
    assert (folder / "manifest.toml").read_bytes() == content


def test_a_manifest_is_what_is_read_back() -> None:
    rng = random.Random(8)
    entries = [
        ManifestEntry(
            nsid,
            uuid.UUID(int=1 + int(rng.random() * 2**127)),
            512 * (1 + int(rng.random() * 2**40)),
            f'{nsid} "é" \\ {rng.random()}',
            512,
            is_read_only=rng.random() < 0.5,
            ana_group=1 + int(rng.random() * 5),
        )
        for nsid in range(1, 50)
    ]
    assert list(parse_manifest(manifest_text(entries), "x").entries) == entries
