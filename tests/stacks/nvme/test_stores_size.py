"""Stores that get another size, or cannot, and what becomes of what lies beyond it or is lent."""

from __future__ import annotations

import errno

import pytest

from stacks.nvme.stores import FileStore, MemoryStore
from stacks.runtime import LocalError
from tests.stacks.nvme.store_contract import read
from tests.stacks.nvme.vanishing_file import VanishingFile

SIZE = 1 << 20


def test_a_memory_store_does_not_grow_under_somebodys_view() -> None:
    store = MemoryStore(SIZE)
    store.write(1, [memoryview(b"v" * 4096)])
    view = store.view(1, 1)
    with pytest.raises(LocalError, match="on their way out"):
        store.resize(2 * SIZE)
    assert (store.block_count, view, read(store, 1, 1)) == (SIZE // 4096, b"v" * 4096, b"v" * 4096)
    view.release()
    store.resize(2 * SIZE)
    assert read(store, 1, 1) + read(store, store.block_count - 1, 1) == b"v" * 4096 + bytes(4096)


def test_a_memory_store_shrinks_under_somebodys_view_and_grows_back_with_zeroes() -> None:
    store = MemoryStore(SIZE)
    store.write(255, [memoryview(b"v" * 4096)])
    view = store.view(0, 1)
    store.resize(SIZE // 2, may_shrink=True)
    store.resize(SIZE)
    assert view == bytes(4096)
    assert read(store, 255, 1) == bytes(4096)


def test_a_memory_store_without_room_keeps_its_size() -> None:
    store = MemoryStore(SIZE)
    store.write(1, [memoryview(b"v" * 4096)])
    with pytest.raises(LocalError, match="no room for") as caught:
        store.resize(1 << 60)
    assert caught.value.errno == errno.ENOMEM
    assert (store.block_count, read(store, 1, 1)) == (SIZE // 4096, b"v" * 4096)


def test_a_view_outlives_its_memory_store() -> None:
    store = MemoryStore(SIZE)
    store.write(1, [memoryview(b"v" * 4096)])
    view = store.view(1, 1)
    store.close()
    assert view == b"v" * 4096


def test_a_new_size_of_a_file_is_on_the_medium() -> None:
    layer = VanishingFile(SIZE)
    FileStore(layer).resize(3 * SIZE)
    layer.power_cut()
    assert layer.size() == 3 * SIZE


def test_what_a_file_has_beyond_its_store_does_not_come_to_light() -> None:
    layer = VanishingFile(2 * SIZE)
    layer.write_from(SIZE, [memoryview(b"secret" * 600)])
    store = FileStore(layer, size_bytes=SIZE)
    assert store.block_count == SIZE // 4096
    store.resize(2 * SIZE)
    assert read(store, SIZE // 4096, SIZE // 4096) == bytes(SIZE)


def test_a_file_that_is_shorter_than_its_store_is_refused() -> None:
    with pytest.raises(LocalError, match="the file has 1048576 bytes, less than"):
        FileStore(VanishingFile(SIZE), size_bytes=2 * SIZE)


class FixedFile(VanishingFile):
    """A file whose size cannot be changed, as a block device's."""

    def resize(self, size_bytes: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")


@pytest.mark.parametrize("size", [SIZE // 2, 2 * SIZE])
def test_a_block_device_keeps_its_size(size: int) -> None:
    store = FileStore(FixedFile(SIZE), name="/dev/loop9")
    with pytest.raises(LocalError, match=r"^/dev/loop9: invalid argument$"):
        store.resize(size, may_shrink=True)
    assert store.block_count == SIZE // 4096
    assert read(store, store.block_count - 1, 1) == bytes(4096)


def test_a_file_whose_size_cannot_be_synced_keeps_what_it_has() -> None:
    class Failing(VanishingFile):
        def sync(self) -> None:
            raise OSError(errno.EIO, "Input/output error")

    store = FileStore(Failing(SIZE))
    for why in ("input/output error", "written data was lost earlier"):
        with pytest.raises(LocalError, match=why):
            store.resize(2 * SIZE)
    assert store.block_count == SIZE // 4096
