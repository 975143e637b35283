"""An overlay whose medium is slow: reads and writes go on while a snapshot is brought to it, and belong to nobody's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stacks.nvme.stores import OverlayStore, open_store

BLOCK = 4096
BLOCKS = 512


@pytest.fixture
def place(tmp_path: Path) -> str:
    with (tmp_path / "base.img").open("wb") as base:
        base.truncate(BLOCKS * BLOCK)
    return f"overlay:{tmp_path / 'base.img'}+{tmp_path / 'layer'}"


def opened(place: str) -> OverlayStore:
    store = open_store(place)
    assert isinstance(store, OverlayStore)
    return store


def fill(store: OverlayStore, value: int, *, step: int = 1) -> None:
    for block in range(0, BLOCKS, step):
        store.write(block, [memoryview(bytes([value]) * BLOCK)])


def values(store: object) -> list[int]:
    into = memoryview(bytearray(BLOCKS * BLOCK))
    store.read(0, into)  # type: ignore[attr-defined]
    assert all(into[at : at + BLOCK] == bytes([into[at]]) * BLOCK for at in range(0, len(into), BLOCK))
    return [into[at] for at in range(0, len(into), BLOCK)]


@contextmanager
def during_syncs(action: Callable[[], None]) -> Iterator[None]:
    """Have `action` happen whenever the medium is waited for."""
    with pytest.MonkeyPatch.context() as patch:
        sync = os.fdatasync

        def slow(descriptor: int) -> None:
            action()
            sync(descriptor)

        patch.setattr(os, "fdatasync", slow)
        yield


@pytest.mark.parametrize("is_reopened", [False, True])
def test_what_is_written_while_a_snapshot_is_made_is_not_in_it_and_not_lost(place: str, is_reopened: bool) -> None:
    store = opened(place)
    fill(store, 1)
    store.flush()
    fill(store, 2, step=3)
    written = iter(range(3, 100))
    seen: list[int] = []

    def others() -> None:
        fill(store, next(written), step=2)
        store.write_zeroes(1, 1)
        seen.append(values(store)[0])

    with during_syncs(others):
        store.snapshot("one")
    last = seen[-1]
    assert seen, "reads and writes go on"
    kept = [2 if block % 3 == 0 else 1 for block in range(BLOCKS)]
    present = [last if block % 2 == 0 else kept[block] for block in range(BLOCKS)]
    present[1] = 0
    assert values(store) == present
    if is_reopened:
        store.close()
        store = opened(place)
    assert values(store) == present
    snapshot = store.open_snapshot("one")
    fill(store, 200)
    store.flush()
    assert values(snapshot) == kept
    assert values(store) == [200] * BLOCKS
    snapshot.close()
    used = store.used_bytes
    store.delete_snapshot("one")
    assert store.used_bytes < used
    assert values(store) == [200] * BLOCKS
    store.close()
    assert values(opened(place)) == [200] * BLOCKS


def test_what_is_written_before_a_snapshot_is_deleted_stays(place: str) -> None:
    store = opened(place)
    fill(store, 1)
    store.snapshot("one")
    fill(store, 2, step=2)
    store.delete_snapshot("one")
    expected = [2 if block % 2 == 0 else 1 for block in range(BLOCKS)]
    assert values(store) == expected
    store.close()
    assert values(opened(place)) == expected
