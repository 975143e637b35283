"""Overlays on a medium that is full, fails, or takes its time while others go on."""

from __future__ import annotations

import errno
import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from stacks.nvme.stores import Store
from stacks.nvme.stores.contract import FLUSH, WRITE
from stacks.nvme.stores.executor import run_together
from stacks.nvme.stores.file_layer import open_file
from stacks.nvme.stores.overlay import OverlayStore
from stacks.runtime import LocalError
from tests.stacks.nvme.overlay_rig import Golden
from tests.stacks.nvme.store_contract import pattern, read, request_of
from tests.stacks.nvme.vanishing_file import VanishingFile


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
