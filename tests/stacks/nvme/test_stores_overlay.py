"""Overlays: the base stays as it is, the layer keeps what was flushed, space comes back, and misfits are refused."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from stacks.nvme.stores import ReadOnlyStore, Store
from stacks.nvme.stores.overlay import OverlayStore
from stacks.runtime import LocalError
from tests.stacks.nvme.overlay_rig import SIZE, Golden, Reusing
from tests.stacks.nvme.store_contract import ReadOnlyContract, StoreContract, pattern, read
from tests.stacks.nvme.vanishing_file import VanishingFile


@pytest.fixture(params=[512, 4096])
def life(request: pytest.FixtureRequest) -> Reusing:
    return Reusing(request.param)


class TestOverlayStore(StoreContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        return Reusing(block_bytes).open()


class TestOverlayOverAnOverlay(StoreContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        lower = Reusing(block_bytes).open()
        for block in range(0, 200, 3):
            lower.write(block, [memoryview(pattern(lower, 2, block))])
        return Reusing(block_bytes, ReadOnlyStore(lower)).open()


class TestOverlayWithSnapshots(StoreContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        store = Reusing(block_bytes).open()
        for number in range(5):
            store.write(number * 10, [memoryview(pattern(store, 20, number))])
            store.snapshot(f"s{number}")
        return store


class TestOverlayOfManyLevels(StoreContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        class Endless(Store):
            block_count = 1 << 50

            def __init__(self) -> None:
                self.block_bytes = block_bytes

            def read(self, block: int, into: memoryview) -> None:
                into[:] = b"e" * len(into)

        return OverlayStore(Endless(), VanishingFile())


class TestReadOnlyOverlay(ReadOnlyContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        life = Reusing(block_bytes)
        store = life.open()
        store.write(0, [memoryview(pattern(store, 40))])
        store.close()
        return life.open(is_read_only=True)


class TestSnapshotStore(ReadOnlyContract):
    def make(self, folder: Path, block_bytes: int) -> Store:
        store = Reusing(block_bytes).open()
        store.write(3, [memoryview(pattern(store, 40))])
        store.write_zeroes(20, 5)
        store.snapshot("one")
        store.write(0, [memoryview(pattern(store, 40, 2))])
        return store.open_snapshot("one")


def test_a_new_overlay_reads_as_its_base(life: Reusing) -> None:
    assert read(life.open(), 0, life.base.block_count) == read(life.base, 0, life.base.block_count)


def test_what_was_flushed_is_there_when_the_layer_is_opened_again(life: Reusing) -> None:
    store = life.open()
    data = pattern(store, 50)
    store.write(3, [memoryview(data)])
    store.write_zeroes(10, 5)
    store.flush()
    expected = read(store, 0, 100)
    life.file.power_cut()
    assert read(life.open(), 0, 100) == expected


def test_closing_flushes_and_closes_the_base_too(life: Reusing) -> None:
    store = life.open()
    data = pattern(store, 2)
    store.write(3, [memoryview(data)])
    store.close()
    assert not life.file.is_open
    assert isinstance(life.base, Golden)
    assert life.base.is_closed
    life.file.power_cut()
    assert read(life.open(), 3, 2) == data


def test_a_flush_waits_twice_and_one_without_changes_not_at_all(life: Reusing) -> None:
    store = life.open()
    store.flush()
    before = life.file.syncs
    store.write(3, [memoryview(pattern(store, 2))])
    assert life.file.syncs == before
    store.flush()
    assert life.file.syncs == before + 2
    store.flush()
    assert life.file.syncs == before + 2


def test_blocks_that_have_not_changed_are_shown_by_the_base(life: Reusing) -> None:
    store = life.open()
    store.write(3, [memoryview(pattern(store, 1))])
    assert store.view(4, 10) == read(life.base, 4, 10)
    assert store.view(0, 4) is None
    store.write_zeroes(5, 1)
    assert store.view(5, 1) is None


def test_overwriting_again_and_again_does_not_make_the_file_grow(life: Reusing) -> None:
    store, rng = life.open(), random.Random(5)
    written = set()
    for number in range(600):
        block, blocks = int(rng.random() * 90), 1 + int(rng.random() * 10)
        store.write(block, [memoryview(pattern(store, blocks, number))])
        written.update(range(block, block + blocks))
        if number % 3 == 0:
            store.flush()
    assert life.file.size() < 5 * len(written) * store.block_bytes


def test_blocks_written_twice_before_a_flush_take_their_room_once(life: Reusing) -> None:
    store = life.open()
    for number in range(100):
        store.write(8, [memoryview(pattern(store, 10, number))])
    assert life.file.size() <= 8192 + 10 * store.block_bytes


def test_room_of_deallocated_blocks_is_used_again(life: Reusing) -> None:
    store = life.open()
    for number in range(20):
        store.write(0, [memoryview(pattern(store, 100, number))])
        store.flush()
        store.deallocate(0, 100)
        store.flush()
    assert life.file.size() <= 8192 + 140 * store.block_bytes
    assert read(store, 0, 100) == bytes(100 * store.block_bytes)


def test_much_that_is_deallocated_becomes_a_hole(life: Reusing) -> None:
    class Noting(VanishingFile):
        def punch(self, offset: int, length: int) -> bool:
            holes.append((offset, length))
            return super().punch(offset, length)

    holes: list[tuple[int, int]] = []
    life.file = Noting()
    store = life.open()
    store.write(0, [memoryview(pattern(store, 200))])
    store.flush()
    store.deallocate(2, 190)
    assert holes == []
    store.flush()
    assert [length for _, length in holes] == [190 * store.block_bytes]


def test_a_trim_of_everything_leaves_next_to_nothing(life: Reusing) -> None:
    store = life.open()
    store.write(0, [memoryview(pattern(store, 200))])
    store.flush()
    store.deallocate(0, store.block_count)
    store.flush()
    life.file.power_cut()
    again = life.open()
    assert read(again, 0, again.block_count) == bytes(SIZE)
    assert again.used_bytes <= 3 * again.block_bytes


def test_a_read_only_overlay_changes_nothing_at_all(life: Reusing) -> None:
    store = life.open()
    store.write(3, [memoryview(pattern(store, 2))])
    store.snapshot("one")
    store.close()
    before = life.file.operations
    store = life.open(is_read_only=True)
    for call in (store.snapshot, store.delete_snapshot, store.roll_back):
        with pytest.raises(LocalError, match="read-only"):
            call("one")
    assert read(store.open_snapshot("one"), 3, 2) == pattern(store, 2)
    store.flush()
    store.close()
    assert life.file.operations == before


def test_an_empty_file_becomes_a_layer_but_not_for_reading_only(life: Reusing) -> None:
    with pytest.raises(LocalError, match="no layer yet"):
        life.open(is_read_only=True)
    assert life.file.operations == 0


@pytest.mark.parametrize("content", [b"x", b"x" * 5000, bytes(9000), bytes(4096) + b"x" * 10, b"BMLAYER\n" * 1200])
def test_a_file_that_is_something_else_is_left_alone(content: bytes) -> None:
    life = Reusing()
    life.file.write_from(0, [memoryview(content)])
    before = life.file.operations
    with pytest.raises(LocalError, match=r"changes\.layer is no layer of an overlay, or damaged"):
        life.open()
    assert life.file.operations == before


def test_a_layer_of_another_base_is_refused() -> None:
    life = Reusing()
    life.open().close()
    life.base = Golden(512)
    with pytest.raises(LocalError, match="a layer of 4096-byte blocks, and its base has 512"):
        life.open()
    life.base = Golden(4096, 2 * SIZE)
    with pytest.raises(LocalError, match="a layer of 256 blocks, and its base has 512"):
        life.open()
