"""Overlays whose power is cut at any moment, or whose process is killed: the layer is as at the last flush, or as at
the one under way, whole.

The file forgets what was not synced, or keeps any of its sectors.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from stacks.nvme.stores.overlay import OverlayStore
from tests.stacks.nvme.overlay_rig import Golden
from tests.stacks.nvme.store_contract import pattern, read
from tests.stacks.nvme.vanishing_file import PowerCut, VanishingFile

BLOCKS = 140

State = tuple[bytes, dict[str, bytes]]
"""What all blocks hold, and each snapshot."""


class MeanwhileFile(VanishingFile):
    """A file in whose operations something else may go on."""

    meanwhile: Callable[[], None] | None = None

    def write_from(self, offset: int, data: Sequence[memoryview]) -> int:
        """Write, after something."""
        self._let_go_on()
        return super().write_from(offset, data)

    def sync(self) -> None:
        """Sync, with something before and something after."""
        self._let_go_on()
        self._let_go_on()
        super().sync()
        self._let_go_on()

    def _let_go_on(self) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
            self.meanwhile = meanwhile


class Lives:
    """One layer, its overlay, and what may be found after a cut.

    now: what is there now; possible: the states that the medium may show, the first of them for sure when nothing is
    under way.
    """

    def __init__(self, rng: random.Random, block_bytes: int = 4096) -> None:
        self.rng = rng
        self.base = Golden(block_bytes, BLOCKS * block_bytes)
        self.file = MeanwhileFile()
        self.size = block_bytes
        self.number = 0
        self.cuts = 0
        self.store = OverlayStore(self.base, self.file)
        self.now = bytearray(read(self.base, 0, BLOCKS))
        self.kept: dict[str, bytes] = {}
        self.possible: list[State] = [(bytes(self.now), {})]

    def write(self) -> None:
        block, blocks = self.some()
        self.number += 1
        data = pattern(self.store, blocks, self.number)
        self.store.write(block, [memoryview(data)])
        self.now[block * self.size : (block + blocks) * self.size] = data

    def zero(self) -> None:
        block, blocks = self.some()
        self.store.deallocate(block, blocks)
        self.now[block * self.size : (block + blocks) * self.size] = bytes(blocks * self.size)

    def flush(self) -> None:
        self.becomes((bytes(self.now), self.kept), self.store.flush)

    def busy_flush(self) -> None:
        self.file.meanwhile = lambda: self.write() if self.rng.random() < 0.7 else self.zero()
        try:
            self.flush()
        finally:
            self.file.meanwhile = None

    def keep(self) -> None:
        self.number += 1
        name = f"s{self.number}"
        kept = {**self.kept, name: bytes(self.now)}
        self.becomes((bytes(self.now), kept), lambda: self.store.snapshot(name))

    def drop(self) -> None:
        if self.kept:
            name = self.any_snapshot()
            kept = {key: content for key, content in self.kept.items() if key != name}
            self.becomes((bytes(self.now), kept), lambda: self.store.delete_snapshot(name))

    def back(self) -> None:
        if self.kept:
            name = self.any_snapshot()
            self.becomes((self.kept[name], self.kept), lambda: self.store.roll_back(name))
            self.now[:] = self.kept[name]

    def becomes(self, state: State, change: Callable[[], object]) -> None:
        """Make a change that is to be on the medium when it is over."""
        self.possible.append(state)
        change()
        self.possible, self.kept = [state], state[1]

    def die(self, *, is_cut: bool) -> None:
        """The power is cut, or the process killed; then the overlay is opened again and looked at."""
        self.cuts += 1
        self.file.cut_at = 0
        if is_cut:
            self.file.power_cut(self.rng if self.rng.random() < 0.8 else None)
        self.store = OverlayStore(self.base, self.file)
        found = self.found()
        assert found in self.possible, f"after {self.cuts} cuts"
        self.possible = [found]
        self.now[:], self.kept = found[0], found[1]

    def found(self) -> State:
        kept = {}
        for each in self.store.snapshots:
            snapshot = self.store.open_snapshot(each.name)
            kept[each.name] = read(snapshot, 0, BLOCKS)
            snapshot.close()
        return read(self.store, 0, BLOCKS), kept

    def step(self) -> None:
        choices = [self.write, self.write, self.write, self.zero, self.flush, self.busy_flush, self.keep, self.drop,
                   self.back]  # fmt: skip
        choices[int(self.rng.random() * len(choices))]()
        if len(self.kept) > 4:
            self.drop()

    def some(self) -> tuple[int, int]:
        block = int(self.rng.random() * (BLOCKS - 1))
        return block, 1 + int(self.rng.random() * min(12, BLOCKS - block - 1))

    def any_snapshot(self) -> str:
        return list(self.kept)[int(self.rng.random() * len(self.kept))]


def live(seed: int, cuts: int, block_bytes: int) -> Lives:
    """Go through so many cuts, each after some operations of the file."""
    rng = random.Random(seed)
    lives = Lives(rng, block_bytes)
    while lives.cuts < cuts:
        lives.file.cut_at = lives.file.operations + 1 + int(rng.random() * 60)
        try:
            while True:
                lives.step()
        except PowerCut:
            lives.die(is_cut=rng.random() < 0.7)
    return lives


@pytest.mark.slow
@pytest.mark.parametrize("block_bytes", [512, 4096])
@pytest.mark.parametrize("seed", range(4))
def test_a_layer_is_whole_after_any_cut(seed: int, block_bytes: int) -> None:
    lives = live(seed, 60, block_bytes)
    assert lives.file.size() < 20 * BLOCKS * block_bytes


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 16))
def test_a_layer_is_whole_after_any_cut_when_few_pages_are_in_memory(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stacks.nvme.stores.overlay.block_map.PAGES_MAX", 1)
    live(seed, 60, 512)


@pytest.mark.long
@pytest.mark.parametrize("block_bytes", [512, 4096])
@pytest.mark.parametrize("seed", range(100, 120))
def test_a_layer_is_whole_after_very_many_cuts(seed: int, block_bytes: int) -> None:
    live(seed, 500, block_bytes)


SCRIPT = ("write", "write", "flush", "write", "zero", "keep", "write", "busy_flush", "write", "keep", "drop", "write",
          "back", "write", "flush", "zero", "flush")  # fmt: skip


def play(lives: Lives) -> None:
    for step in SCRIPT:
        getattr(lives, step)()


@pytest.mark.parametrize("is_cut", [True, False])
def test_a_cut_at_each_operation_of_the_file_leaves_the_state_before_or_after(is_cut: bool) -> None:
    whole = Lives(random.Random(0))
    first = whole.file.operations
    play(whole)
    total = whole.file.operations
    assert total > first + 50
    for cut_at in range(first + 1, total + 1):
        lives = Lives(random.Random(0))
        lives.file.cut_at = cut_at
        with pytest.raises(PowerCut):
            play(lives)
        lives.rng = random.Random(cut_at)
        lives.die(is_cut=is_cut)
        lives.write()
        lives.flush()
        lives.die(is_cut=True)


def test_a_cut_while_a_layer_is_made_leaves_one_to_make() -> None:
    for cut_at in range(1, 4):
        for seed in range(40):
            file = VanishingFile()
            file.cut_at = cut_at
            base = Golden(4096)
            with pytest.raises(PowerCut):
                OverlayStore(base, file)
            file.power_cut(random.Random(seed))
            store = OverlayStore(base, file)
            assert read(store, 0, 9) == read(base, 0, 9)
            store.write(0, [memoryview(pattern(store, 1))])
            store.flush()
            file.power_cut()
            assert read(OverlayStore(base, file), 0, 1) == pattern(store, 1)


def test_what_a_killed_process_left_is_on_the_medium_before_anything_is_built_on_it() -> None:
    for seed in range(30):
        rng = random.Random(seed)
        lives = Lives(rng)
        lives.write()
        lives.flush()
        lives.write()
        # The header is written, and the process is killed before it has waited for it.
        lives.file.cut_at = lives.file.operations + 4
        with pytest.raises(PowerCut):
            lives.flush()
        lives.die(is_cut=False)
        for _ in range(6):
            lives.write()
        lives.die(is_cut=True)
