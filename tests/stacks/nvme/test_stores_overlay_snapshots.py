"""Snapshots of overlays: what was is kept, brought back and deleted, in any order, and names are checked."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Sequence

import pytest

from stacks.runtime import LocalError
from tests.stacks.nvme.overlay_rig import Reusing
from tests.stacks.nvme.store_contract import pattern, read


@pytest.fixture(params=[512, 4096])
def life(request: pytest.FixtureRequest) -> Reusing:
    return Reusing(request.param)


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


def test_pages_are_read_again_when_too_many_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stacks.nvme.stores.overlay.block_map.PAGES_MAX", 2)
    for seed in range(4):
        Model(Reusing(512), random.Random(seed)).run(150)


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
