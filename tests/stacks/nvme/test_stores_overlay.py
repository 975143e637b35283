"""Overlays: the base stays as it is, the layer keeps what was flushed, snapshots what was, and space comes back."""

from __future__ import annotations

import errno
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from stacks.nvme.stores import MemoryStore, ReadOnlyStore, Store
from stacks.nvme.stores.contract import FLUSH, WRITE
from stacks.nvme.stores.executor import run_together
from stacks.nvme.stores.file_layer import open_file
from stacks.nvme.stores.overlay import OverlayStore
from stacks.nvme.stores.overlay.layer import LayerFile
from stacks.runtime import LocalError
from tests.stacks.nvme.store_contract import ReadOnlyContract, StoreContract, pattern, read, request_of
from tests.stacks.nvme.vanishing_file import VanishingFile

SIZE = 1 << 20


class Golden(MemoryStore):
    """A base with something in it, that nobody may change."""

    def __init__(self, block_bytes: int = 4096, size_bytes: int = SIZE) -> None:
        super().__init__(size_bytes, block_bytes=block_bytes)
        self.is_closed = False
        rng = random.Random(99)
        for block in range(0, self.block_count, 7):
            super().write(block, [memoryview(bytes([1 + int(rng.random() * 255)]) * block_bytes)])

    def write(self, block: int, data: Sequence[memoryview]) -> None:
        raise AssertionError

    def write_zeroes(self, block: int, blocks: int) -> None:
        raise AssertionError

    def close(self) -> None:
        self.is_closed = True


class Reusing:
    """A layer's file over several lives of an overlay."""

    def __init__(self, block_bytes: int = 4096, base: Store | None = None) -> None:
        self.file = VanishingFile()
        self.base = base or Golden(block_bytes)

    def open(self, **options: bool) -> OverlayStore:
        self.file.is_open = True
        return OverlayStore(self.base, self.file, name="changes.layer", **options)


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


def test_a_snapshot_keeps_what_was_while_the_overlay_goes_on(life: Reusing) -> None:
    store, states = life.open(), {}
    for number in range(6):
        for at in range(5):
            store.write(number * 7 + at * 9, [memoryview(pattern(store, 6, number * 10 + at))])
        store.deallocate(number * 11, 4)
        store.snapshot(f"s{number}")
        states[f"s{number}"] = read(store, 0, 120)
    store.write(0, [memoryview(pattern(store, 120, 1000))])
    store.flush()
    for is_reopened in (False, True):
        if is_reopened:
            life.file.power_cut()
            store = life.open()
        assert [each.name for each in store.snapshots] == list(states)
        assert read(store, 0, 120) == pattern(store, 120, 1000)
        for name, expected in states.items():
            snapshot = store.open_snapshot(name)
            assert read(snapshot, 0, 120) == expected
            snapshot.close()


def test_rolling_back_brings_a_state_again_and_loses_what_came_later(life: Reusing) -> None:
    store = life.open()
    store.write(0, [memoryview(pattern(store, 30, 1))])
    store.snapshot("before")
    before = read(store, 0, 100)
    store.write(10, [memoryview(pattern(store, 60, 2))])
    store.flush()
    store.snapshot("after")
    after = read(store, 0, 100)
    store.write(50, [memoryview(pattern(store, 9, 3))])
    store.roll_back("before")
    assert read(store, 0, 100) == before
    store.write(5, [memoryview(pattern(store, 60, 4))])
    store.flush()
    store.roll_back("after")
    assert read(store, 0, 100) == after
    life.file.power_cut()
    store = life.open()
    assert read(store, 0, 100) == after
    assert [each.name for each in store.snapshots] == ["before", "after"]


def test_deleting_snapshots_in_any_order_gives_their_room_back(life: Reusing) -> None:
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)):
        life = Reusing(life.base.block_bytes)
        store = life.open()
        store.write(0, [memoryview(pattern(store, 100))])
        store.flush()
        alone = store.used_bytes
        for number in range(4):
            store.snapshot(f"s{number}")
            store.write(0, [memoryview(pattern(store, 100, number))])
            store.flush()
        assert store.used_bytes > 4 * alone
        expected = read(store, 0, 120)
        for number in order:
            store.delete_snapshot(f"s{number}")
            assert read(store, 0, 120) == expected
        assert store.used_bytes == alone
        assert life.open().used_bytes == alone


@pytest.mark.slow
def test_snapshots_model_any_order_of_operations(life: Reusing) -> None:
    for seed in range(12):
        Model(Reusing(life.base.block_bytes), random.Random(seed)).run(120)


class Model:
    """An overlay beside arrays that do the same."""

    BLOCKS = 150

    def __init__(self, life: Reusing, rng: random.Random) -> None:
        self.life = life
        self.rng = rng
        self.store = life.open()
        self.size = self.store.block_bytes
        self.now = bytearray(read(self.store, 0, self.BLOCKS))
        self.kept: dict[str, bytes] = {}
        self.count = 0

    def run(self, operations: int) -> None:
        for _ in range(operations):
            self.count += 1
            self.pick([self.write, self.write, self.write, self.zero, self.flush, self.keep, self.drop, self.back,
                       self.again, self.check])()  # fmt: skip
        self.check()

    def pick(self, choices: Sequence[Callable[[], None]]) -> Callable[[], None]:
        return choices[int(self.rng.random() * len(choices))]

    def some(self) -> tuple[int, int]:
        block = int(self.rng.random() * (self.BLOCKS - 1))
        return block, 1 + int(self.rng.random() * min(40, self.BLOCKS - block - 1))

    def write(self) -> None:
        block, blocks = self.some()
        data = pattern(self.store, blocks, self.count)
        self.store.write(block, [memoryview(data)])
        self.now[block * self.size : (block + blocks) * self.size] = data

    def zero(self) -> None:
        block, blocks = self.some()
        self.store.deallocate(block, blocks)
        self.now[block * self.size : (block + blocks) * self.size] = bytes(blocks * self.size)

    def flush(self) -> None:
        self.store.flush()

    def keep(self) -> None:
        self.store.snapshot(f"s{self.count}")
        self.kept[f"s{self.count}"] = bytes(self.now)

    def drop(self) -> None:
        if self.kept:
            name = list(self.kept)[int(self.rng.random() * len(self.kept))]
            self.store.delete_snapshot(name)
            del self.kept[name]

    def back(self) -> None:
        if self.kept:
            name = list(self.kept)[int(self.rng.random() * len(self.kept))]
            self.store.roll_back(name)
            self.now[:] = self.kept[name]

    def again(self) -> None:
        self.store.close()
        self.life.file.power_cut()
        self.store = self.life.open()

    def check(self) -> None:
        assert read(self.store, 0, self.BLOCKS) == self.now
        assert {each.name for each in self.store.snapshots} == set(self.kept)
        for name, expected in self.kept.items():
            snapshot = self.store.open_snapshot(name)
            assert read(snapshot, 0, self.BLOCKS) == expected
            snapshot.close()
        self.store.flush()
        assert self.store.used_bytes == self.life.open().used_bytes


def test_a_snapshot_in_use_is_not_deleted(life: Reusing) -> None:
    store = life.open()
    store.snapshot("one")
    one, other = store.open_snapshot("one"), store.open_snapshot("one")
    one.close()
    one.close()
    with pytest.raises(LocalError, match=r"snapshot one of changes\.layer is in use"):
        store.delete_snapshot("one")
    other.close()
    store.delete_snapshot("one")
    assert store.snapshots == ()


@pytest.mark.parametrize("name", ["", "a b", "a/b", "-x", ".x", "ü", "x" * 48, "a\n"])
def test_a_name_that_is_none_is_refused(life: Reusing, name: str) -> None:
    with pytest.raises(LocalError, match="is no name for a snapshot"):
        life.open().snapshot(name)


def test_a_name_may_be_long_and_is_taken_once(life: Reusing) -> None:
    store = life.open()
    store.snapshot("x" * 47)
    with pytest.raises(LocalError, match="already") as caught:
        store.snapshot("x" * 47)
    assert caught.value.errno == errno.EEXIST
    assert [each.name for each in life.open().snapshots] == ["x" * 47]


def test_a_snapshot_that_is_not_there_is_named_with_those_that_are(life: Reusing) -> None:
    store = life.open()
    store.snapshot("one")
    for call in (store.delete_snapshot, store.roll_back, store.open_snapshot):
        with pytest.raises(LocalError, match=r"changes\.layer has no snapshot two; there are: one"):
            call("two")


def test_a_layer_has_room_for_so_many_snapshots(life: Reusing) -> None:
    store = life.open()
    for number in range(63):
        store.snapshot(f"s{number}")
    with pytest.raises(LocalError, match="63 snapshots"):
        store.snapshot("more")
    assert len(life.open().snapshots) == 63


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


def content_of(file: VanishingFile) -> bytearray:
    whole = bytearray(file.size())
    file.read_into(0, memoryview(whole))
    return whole


def file_with(content: bytearray) -> VanishingFile:
    file = VanishingFile(len(content))
    for start in range(0, len(content), 8192):
        file.write_from(start, [memoryview(content)[start : start + 8192]])
    return file


def pages_of(layer: LayerFile, cell: int, level: int) -> set[int]:
    """The cells of all pages of a map."""
    if cell < 2:
        return set()
    below = layer.read_page(cell, level) if level else ()
    return {cell}.union(*(pages_of(layer, entry, level - 1) for entry in below))


def test_damage_of_any_page_of_a_map_is_noticed_when_the_layer_is_opened() -> None:
    life, rng = Reusing(512), random.Random(3)
    store = life.open()
    for block in range(0, 2000, 200):
        store.write(block, [memoryview(pattern(store, 70, block))])
    store.snapshot("one")
    store.write(60, [memoryview(pattern(store, 100))])
    store.close()
    layer = LayerFile(life.file, "layer")
    roots = (layer.known_state.root, layer.known_state.snapshots[0].root)
    pages = set().union(*(pages_of(layer, root, layer.map_of(0).top) for root in roots))
    assert len(pages) > 20
    whole = content_of(life.file)
    for cell in pages:
        damaged = bytearray(whole)
        damaged[cell * 512 + int(rng.random() * 512)] ^= 1 << int(rng.random() * 8)
        life.file = file_with(damaged)
        with pytest.raises(LocalError, match=f"the layer is damaged: page {cell} "):
            life.open()


def test_a_damaged_header_leads_to_the_one_before_and_two_to_nothing() -> None:
    life = Reusing()
    store = life.open()
    for number in range(2):
        store.write(0, [memoryview(pattern(store, 10, number))])
        store.flush()
    whole = content_of(life.file)
    for at in range(0, 4096, 37):
        damaged = bytearray(whole)
        damaged[at] ^= 4
        life.file = file_with(damaged)
        assert read(life.open(), 0, 10) == pattern(store, 10, 0)
        damaged[4096 + at] ^= 4
        life.file = file_with(damaged)
        with pytest.raises(LocalError, match="no layer of an overlay, or damaged"):
            life.open()


def test_a_map_that_leads_out_of_the_file_or_into_the_headers_is_damaged() -> None:
    for root in (2, 3, 1 << 40):
        life = Reusing(512)
        life.open()
        layer = LayerFile(life.file, "layer")
        layer.commit(replace(layer.known_state, generation=1, root=root))
        with pytest.raises(LocalError, match="the layer is damaged: its map leads to cell"):
            life.open()


def test_a_layer_that_lost_its_end_is_damaged() -> None:
    life = Reusing()
    store = life.open()
    store.write(0, [memoryview(pattern(store, 20))])
    store.close()
    life.file.is_open = True
    life.file.resize(life.file.size() - 4096)
    with pytest.raises(LocalError, match="the layer is damaged"):
        life.open()


class FullFile(VanishingFile):
    """A file on a medium that is full from some size on."""

    room = 1 << 40

    def write_from(self, offset: int, data: Sequence[memoryview]) -> int:
        if offset + sum(map(len, data)) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write_from(offset, data)


def test_a_full_medium_is_an_error_that_passes_when_there_is_room_again() -> None:
    file = FullFile()
    store = OverlayStore(Golden(), file)
    store.write(0, [memoryview(pattern(store, 10))])
    store.flush()
    file.room = file.size()
    before = read(store, 0, 40)
    for _ in range(3):
        with pytest.raises(OSError, match="No space"):
            store.write(20, [memoryview(pattern(store, 10))])
    assert read(store, 0, 40) == before
    file.room += 2 * 4096
    store.write(30, [memoryview(pattern(store, 2, 5))])
    for _ in range(3):
        with pytest.raises(OSError, match="No space"):
            store.flush()
        with pytest.raises(LocalError, match="no space"):
            store.snapshot("one")
    expected = read(store, 0, 40)
    file.room = 1 << 40
    store.write(35, [memoryview(pattern(store, 2, 6))])
    store.flush()
    file.power_cut()
    again = OverlayStore(Golden(), file)
    assert read(again, 0, 35) == expected[: 35 * 4096]
    assert read(again, 35, 2) == pattern(store, 2, 6)
    assert again.snapshots == ()


@pytest.mark.parametrize("which", [1, 2])
def test_after_a_sync_that_failed_everything_is_refused_until_the_layer_is_opened_again(which: int) -> None:
    class Failing(VanishingFile):
        countdown = 0

        def sync(self) -> None:
            self.countdown -= 1
            if self.countdown == 0:
                self.power_cut()
                raise OSError(errno.EIO, "Input/output error")
            super().sync()

    file = Failing()
    store = OverlayStore(Golden(), file)
    store.write(0, [memoryview(pattern(store, 10))])
    store.flush()
    file.countdown = which
    store.write(0, [memoryview(pattern(store, 10, 2))])
    with pytest.raises(OSError, match="Input/output error"):
        store.flush()
    for call in (
        store.flush,
        lambda: store.write(0, [memoryview(bytes(4096))]),
        lambda: store.deallocate(0, 1),
        lambda: store.snapshot("one"),
        store.close,
    ):
        with pytest.raises((OSError, LocalError), match="lost earlier"):
            call()
    file.is_open = True
    assert read(OverlayStore(Golden(), file), 0, 10) == pattern(store, 10)


def test_pages_are_read_again_when_too_many_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stacks.nvme.stores.overlay.block_map.PAGES_MAX", 2)
    for seed in range(4):
        Model(Reusing(512), random.Random(seed)).run(150)


def test_a_page_that_is_not_in_the_file_yet_is_found_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stacks.nvme.stores.overlay.block_map.PAGES_MAX", 2)
    file, old, new = FullFile(), range(0, 1000, 70), range(1000, 2000, 70)

    def check(store: Store, blocks: Sequence[int]) -> None:
        for block in blocks:
            assert read(store, block, 2) == pattern(store, 2, block)

    store = OverlayStore(Golden(512), file)
    for block in old:
        store.write(block, [memoryview(pattern(store, 2, block))])
    store.close()
    file.is_open = True
    store = OverlayStore(Golden(512), file)
    for block in new:
        store.write(block, [memoryview(pattern(store, 2, block))])
    file.room = file.size()
    with pytest.raises(OSError, match="No space"):
        store.flush()
    check(store, [*old, *new])
    file.room = 1 << 40
    store.write(1004, [memoryview(pattern(store, 2, 7))])
    check(store, [*old, *new])
    store.flush()
    file.power_cut()
    again = OverlayStore(Golden(512), file)
    check(again, [*old, *new])
    assert read(again, 1004, 2) == pattern(store, 2, 7)


def test_a_page_on_its_way_to_the_file_does_not_get_what_is_written_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stacks.nvme.stores.overlay.block_map.PAGES_MAX", 1)

    class Meanwhile(VanishingFile):
        hook: Callable[[], None] | None = None

        def write_from(self, offset: int, data: Sequence[memoryview]) -> int:
            hook, self.hook = self.hook, None
            if hook is not None:
                hook()
            return super().write_from(offset, data)

    file = Meanwhile()
    store = OverlayStore(Golden(512), file)
    store.write(100, [memoryview(pattern(store, 1))])
    store.close()
    file.is_open = True
    store = OverlayStore(Golden(512), file)
    for block in (0, 130):
        store.write(block, [memoryview(pattern(store, 1, 5))])

    def hook() -> None:
        # The page of block 0 is being written; that of block 130 is next, and not in memory any more after this.
        assert read(store, 100, 1) == pattern(store, 1)
        store.write(131, [memoryview(pattern(store, 1, 6))])

    file.hook = hook
    store.flush()
    file.power_cut()
    again = OverlayStore(Golden(512), file)
    assert read(again, 130, 2) == pattern(store, 1, 5) + read(Golden(512), 131, 1)


def test_reads_and_writes_go_on_while_a_flush_waits_for_the_medium() -> None:
    waiting, go_on = threading.Event(), threading.Event()

    class Gate(VanishingFile):
        is_closed = False

        def sync(self) -> None:
            if self.is_closed:
                waiting.set()
                go_on.wait()
            super().sync()

    file = Gate()
    store = OverlayStore(Golden(), file)
    store.write(0, [memoryview(pattern(store, 4, 1))])
    assert FLUSH in store.slow_verbs
    assert WRITE not in store.slow_verbs
    file.is_closed = True
    flush = threading.Thread(target=store.flush)
    flush.start()
    waiting.wait()
    store.write(0, [memoryview(pattern(store, 2, 2))])
    store.write_zeroes(2, 1)
    store.write(9, [memoryview(pattern(store, 1, 3))])
    go_on.set()
    flush.join()
    expected = pattern(store, 2, 2) + bytes(4096) + pattern(store, 4, 1)[-4096:]
    assert read(store, 0, 4) == expected
    file.power_cut()
    again = OverlayStore(Golden(), file)
    assert read(again, 0, 4) == pattern(store, 4, 1)
    assert read(again, 9, 1) == read(Golden(), 9, 1)


@pytest.mark.slow
def test_two_threads_may_use_an_overlay_as_executors_do(tmp_path: Path) -> None:
    path = tmp_path / "layer"
    path.touch()
    store = OverlayStore(Golden(), open_file(str(path)))
    failures: list[str] = []

    def flushing() -> None:
        for number in range(60):
            requests = []
            for block in range(100, 110):
                request = request_of(store, WRITE)
                request.block, request.is_fua = block, True
                request.view = memoryview(bytes([number]) * 4096)
                requests.append(request)
            run_together(requests)
            failures.extend(request.failure for request in requests if request.status)

    thread = threading.Thread(target=flushing)
    thread.start()
    expected = bytearray(read(store, 0, 100))
    rng, count = random.Random(1), 0
    while thread.is_alive() or count < 300:
        count += 1
        block, blocks = int(rng.random() * 90), 1 + int(rng.random() * 10)
        data = pattern(store, blocks, count)
        store.write(block, [memoryview(data)])
        expected[block * 4096 : (block + blocks) * 4096] = data
        if count % 5 == 0 and read(store, 0, 100) != expected:
            failures.append("read something else")
    thread.join()
    assert failures == []
    assert read(store, 0, 100) == expected
    assert read(store, 100, 10) == bytes([59]) * 40960
    in_use = store.used_bytes
    store.close()
    again = OverlayStore(Golden(), open_file(str(path)))
    assert read(again, 0, 100) == expected
    assert again.used_bytes <= in_use
