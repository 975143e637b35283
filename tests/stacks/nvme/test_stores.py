"""Stores: what is written is read, in memory and in files, and what cannot be done is said clearly."""

from __future__ import annotations

import errno
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from stacks.nvme.stores import (
    FileStore,
    MemoryStore,
    ReadOnlyStore,
    Store,
    StoreWrapper,
    VolatileStore,
    create_image,
    open_image,
    open_store,
    parse_size,
)
from stacks.nvme.stores.contract import READ, WRITE, StoreRequest, run
from stacks.nvme.stores.executor import run_together
from stacks.runtime import LocalError
from tests.stacks.nvme.store_contract import ReadOnlyContract, StoreContract, pattern, read
from tests.stacks.nvme.vanishing_file import VanishingFile
from wire.nvme.status import StatusCode

SIZE = 1 << 20


def make_file(folder: Path, block_bytes: int = 4096) -> Store:
    create_image(str(folder / "disk.img"), SIZE)
    return open_image(str(folder / "disk.img"), block_bytes=block_bytes)


class TestMemoryStore(StoreContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        return MemoryStore(SIZE, block_bytes=block_bytes)


class TestFileStore(StoreContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        return make_file(folder, block_bytes)


class TestFileStoreOfPart(StoreContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        return FileStore(VanishingFile(2 * SIZE), block_bytes=block_bytes, size_bytes=SIZE)


class TestFileStoreWithShortWrites(StoreContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        return FileStore(VanishingFile(SIZE), block_bytes=block_bytes)


class TestVolatileStore(StoreContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        return VolatileStore(MemoryStore(SIZE, block_bytes=block_bytes), random.Random(1))


class TestVolatileStoreOverFile(StoreContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        return VolatileStore(make_file(folder, block_bytes), random.Random(1))


class TestStoreWrapper(StoreContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        return StoreWrapper(MemoryStore(SIZE, block_bytes=block_bytes))


class TestReadOnlyStore(ReadOnlyContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        inner = MemoryStore(SIZE, block_bytes=block_bytes)
        inner.write(0, [memoryview(pattern(inner, 20))])
        return ReadOnlyStore(inner)


class TestReadOnlyFile(ReadOnlyContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        store = make_file(folder, block_bytes)
        store.write(0, [memoryview(pattern(store, 20))])
        store.close()
        return open_store(f"ro:{folder / 'disk.img'}", block_bytes=block_bytes)


class Dictionary(Store):
    """A store as a user would write one, with nothing but what he must."""

    block_bytes, block_count = 512, 10000

    def __init__(self) -> None:
        self.blocks: dict[int, bytes] = {}

    def read(self, block: int, into: memoryview) -> None:
        for at in range(0, len(into), 512):
            into[at : at + 512] = self.blocks.get(block + at // 512, bytes(512))

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        whole = b"".join(data)
        for at in range(0, len(whole), 512):
            self.blocks[block + at // 512] = whole[at : at + 512]

    is_zero_after_deallocate = False


class TestStoreOfAUser(StoreContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        return Dictionary()


class Counting(Store):
    """A store that computes its blocks, of which there are many."""

    block_bytes, block_count, is_read_only = 4096, 1 << 50, True

    def read(self, block: int, into: memoryview) -> None:
        for at in range(0, len(into), 4096):
            into[at : at + 4096] = (block + at // 4096).to_bytes(8, "little") * 512

    def write(self, block: int, data: object) -> None:
        raise OSError(errno.EROFS, "nothing can be written here")


class TestComputedStore(ReadOnlyContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        return Counting()


@pytest.mark.parametrize("block_bytes", [512, 4096])
def test_new_stores_read_as_zeroes(tmp_path: Path, block_bytes: int) -> None:
    for store in (MemoryStore(SIZE, block_bytes=block_bytes), make_file(tmp_path, block_bytes)):
        assert store.block_count == SIZE // block_bytes
        assert read(store, 0, store.block_count) == bytes(SIZE)


def test_a_file_keeps_what_was_written_after_it_is_opened_again(tmp_path: Path) -> None:
    store = make_file(tmp_path)
    data = pattern(store, 2)
    store.write(9, [memoryview(data)])
    store.close()
    assert read(open_image(str(tmp_path / "disk.img")), 9, 2) == data


def test_an_image_in_use_is_refused(tmp_path: Path) -> None:
    make_file(tmp_path)
    with pytest.raises(LocalError, match="image is in use"):
        open_image(str(tmp_path / "disk.img"))


def test_a_closed_image_can_be_opened_again(tmp_path: Path) -> None:
    make_file(tmp_path).close()
    open_image(str(tmp_path / "disk.img")).close()


@pytest.mark.parametrize(
    ("content", "block_bytes", "message"),
    [
        (b"x" * 1000, 512, "not a positive multiple of the 512-byte block"),
        (b"", 512, "not a positive"),
        (b"x" * 512, 1024, "block size 1024"),
    ],
)
def test_an_image_of_a_wrong_size_is_refused(tmp_path: Path, content: bytes, block_bytes: int, message: str) -> None:
    path = tmp_path / "odd.img"
    path.write_bytes(content)
    with pytest.raises(LocalError, match=message):
        open_image(str(path), block_bytes=block_bytes)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"nothing\.img: no such file"):
        open_store(str(tmp_path / "nothing.img"))


def test_a_file_that_was_cut_short_is_a_read_error(tmp_path: Path) -> None:
    store = make_file(tmp_path)
    with (tmp_path / "disk.img").open("r+b") as file:
        file.truncate(4096)
    request = StoreRequest()
    request.verb, request.store, request.block = READ, store, 1
    request.view = memoryview(bytearray(4096))
    run(request)
    assert request.status == StatusCode.UNRECOVERED_READ_ERROR


def test_a_terabyte_file_costs_no_space(tmp_path: Path) -> None:
    path = tmp_path / "big.img"
    create_image(str(path), 1 << 40)
    store = open_image(str(path))
    store.write(store.block_count - 1, [memoryview(b"z" * 4096)])
    assert read(store, store.block_count - 1, 1) == b"z" * 4096
    assert path.stat().st_blocks * 512 < 1 << 20


def test_a_deallocated_range_of_a_file_gives_its_space_back(tmp_path: Path) -> None:
    store = make_file(tmp_path)
    store.write(0, [memoryview(bytearray(b"q" * SIZE))])
    store.flush()
    before = (tmp_path / "disk.img").stat().st_blocks
    store.deallocate(0, store.block_count)
    store.flush()
    if store.is_zero_after_deallocate:
        assert (tmp_path / "disk.img").stat().st_blocks < before


class Full(Store):
    """A medium without room."""

    block_bytes, block_count = 512, 8

    def __init__(self, number: int) -> None:
        self.number = number

    def read(self, block: int, into: memoryview) -> None:
        raise OSError(self.number, "no")

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        raise OSError(self.number, "no")


@pytest.mark.parametrize(
    ("number", "verb", "status"),
    [
        (errno.ENOSPC, WRITE, StatusCode.CAPACITY_EXCEEDED),
        (errno.EIO, WRITE, StatusCode.WRITE_FAULT),
        (errno.EIO, READ, StatusCode.UNRECOVERED_READ_ERROR),
        (errno.EROFS, WRITE, StatusCode.NAMESPACE_WRITE_PROTECTED),
    ],
)
def test_an_errno_becomes_the_status_that_it_stands_for(number: int, verb: int, status: StatusCode) -> None:
    request = StoreRequest()
    request.verb, request.store, request.view = verb, Full(number), memoryview(bytearray(512))
    run(request)
    assert request.status == status


def test_a_power_cut_drops_or_tears_only_what_was_not_flushed() -> None:
    medium = MemoryStore(SIZE)
    store = VolatileStore(medium, random.Random(7))
    store.write(0, [memoryview(b"f" * 4096 * 8)])
    store.flush()
    for block in range(8, 72, 8):
        store.write(block, [memoryview(b"u" * 4096 * 8)])
    assert read(store, 8, 64) == b"u" * 4096 * 64
    store.power_cut()
    assert read(store, 0, 8) == b"f" * 4096 * 8
    blocks = [read(store, block, 1) for block in range(8, 72)]
    assert all(block in (b"u" * 4096, bytes(4096)) for block in blocks)
    assert store.dropped
    assert store.torn
    assert 0 < blocks.count(b"u" * 4096) < 64


def test_one_flush_serves_all_requests_that_wait_for_one() -> None:
    layer = VanishingFile(SIZE)
    store = FileStore(layer)
    requests = []
    for block in range(5):
        request = StoreRequest()
        request.verb, request.store, request.block, request.is_fua = WRITE, store, block, True
        request.view = memoryview(b"w" * 4096)
        requests.append(request)
    run_together(requests)
    assert layer.syncs == 1
    layer.power_cut()
    assert read(store, 0, 5) == b"w" * 4096 * 5


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4096", 4096),
        ("4k", 4096),
        ("128KiB", 131072),
        ("1GiB", 1 << 30),
        ("1.5M", 3 << 19),
        ("1GB", 10**9),
        ("512 B", 512),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "big", "-1", "1XiB", "0.3k7"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(LocalError):
        parse_size(text)


def test_a_memory_store_is_named_by_its_size() -> None:
    assert open_store("mem:1GiB").block_count == 1 << 18
    with pytest.raises(LocalError, match="not a positive multiple"):
        open_store("mem:1000")


def test_ro_makes_any_store_read_only(tmp_path: Path) -> None:
    make_file(tmp_path).close()
    for text in ("ro:mem:1MiB", f"ro:{tmp_path / 'disk.img'}", f"ro:file:{tmp_path / 'disk.img'}"):
        store = open_store(text)
        assert store.is_read_only
        with pytest.raises(OSError, match="read-only"):
            store.write(0, [memoryview(bytes(4096))])
        store.close()


def test_a_read_only_image_is_shared_with_readers_alone(tmp_path: Path) -> None:
    make_file(tmp_path).close()
    path = str(tmp_path / "disk.img")
    one, other = open_store(f"ro:{path}"), open_store(f"ro:{path}")
    with pytest.raises(LocalError, match="image is in use"):
        open_store(path)
    one.close()
    other.close()
    open_store(path).close()


def test_a_full_cache_is_written_back_without_a_flush() -> None:
    medium = MemoryStore(128 << 20)
    store = VolatileStore(medium, random.Random(1))
    data = memoryview(b"c" * (1 << 20))
    for megabyte in range(65):
        store.write(megabyte * 256, [data])
    assert store.flushes == 0
    assert read(medium, 0, 1) == b"c" * 4096
    store.power_cut()
    assert read(store, 0, 256) == data


def test_zeroes_in_a_cache_are_lost_with_it_unless_flushed() -> None:
    medium = MemoryStore(SIZE)
    store = VolatileStore(medium, random.Random(3))
    store.write(0, [memoryview(b"f" * SIZE)])
    store.flush()
    for block in range(0, 128, 8):
        store.deallocate(block, 8)
    assert read(store, 0, 128) == bytes(SIZE // 2)
    assert store.view(0, 1) is None
    assert store.view(200, 1) == b"f" * 4096
    store.power_cut()
    assert 0 < read(store, 0, 128).count(b"f" * 4096) < 128
    store.deallocate(0, 100)
    store.flush()
    store.power_cut()
    assert read(store, 0, 100) == bytes(100 * 4096)


def test_a_big_deallocation_does_not_fill_the_cache() -> None:
    medium = MemoryStore(1 << 40)
    store = VolatileStore(medium, random.Random(1))
    store.write(3, [memoryview(b"x" * 4096)])
    store.write_zeroes(0, store.block_count)
    store.power_cut()
    assert read(store, 3, 1) == bytes(4096)
