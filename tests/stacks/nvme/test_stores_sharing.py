"""Stores that several processes have: what they are opened with, the lock around blocks, and how sharing ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stacks.nvme.stores import FaultyStore, MemoryStore, ReadOnlyStore, Store, StoreRequest, create_image, open_store
from stacks.nvme.stores.contract import READ, WRITE, run
from stacks.nvme.stores.sharing import BlockLock, Share, SharedBlocks

BLOCK = 4096
ONES, TWOS = memoryview(b"\1" * BLOCK), memoryview(b"\2" * BLOCK)


def image(path: Path) -> Store:
    create_image(str(path / "disk.img"), 64 * BLOCK)
    return open_store(str(path / "disk.img"))


STORES: list[Callable[[Path], Store]] = [image, lambda _: MemoryStore(64 * BLOCK)]


def opened(share: Share) -> SharedBlocks:
    """As another process has it."""
    return SharedBlocks(os.dup(share.descriptor), os.dup(share.lock.descriptor), block_bytes=share.block_bytes)


def held(store: Store, block: int) -> bytes:
    into = bytearray(BLOCK)
    store.read(block, memoryview(into))
    return bytes(into)


@pytest.mark.parametrize("make", STORES)
def test_both_sides_see_what_either_writes(make: Callable[[Path], Store], tmp_path: Path) -> None:
    store = make(tmp_path)
    store.write(3, [ONES])
    store.write(63, [TWOS])
    share = store.share()
    assert share is not None
    assert store.share() is share
    other = opened(share)
    into = bytearray(BLOCK)
    for block, expected in ((3, ONES), (63, TWOS), (9, bytes(BLOCK))):
        assert other.read(block, memoryview(into))
        assert into == expected
    assert other.write(9, [ONES])
    assert held(store, 9) == ONES
    store.write(9, [TWOS])
    store.deallocate(3, 1)
    store.write_zeroes(63, 1)
    assert other.read(9, memoryview(into))
    assert into == TWOS
    assert held(store, 3) == held(store, 63) == bytes(BLOCK)
    assert store.view(3, 1) is None
    store.flush()
    other.close()
    store.close()


@pytest.mark.parametrize("make", STORES)
def test_resizing_and_closing_tell_first(make: Callable[[Path], Store], tmp_path: Path) -> None:
    store = make(tmp_path)
    told: list[int] = []
    share = store.share()
    assert share is not None
    share.on_recall.append(lambda: told.append(os.fstat(share.descriptor).st_size // BLOCK))
    store.resize(32 * BLOCK, may_shrink=True)
    assert told == [64]
    assert share.is_recalled
    again = store.share()
    assert again is not None
    assert again is not share
    again.on_recall.append(lambda: told.append(os.fstat(again.descriptor).st_size // BLOCK))
    store.resize(128 * BLOCK)
    third = store.share()
    assert third is not None
    third.on_recall.append(lambda: told.append(store.block_count))
    store.close()
    assert told == [64, 32, 128]
    assert store.lock is None


def test_a_write_in_a_thread_outlives_the_share_that_it_began_with(tmp_path: Path) -> None:
    store = image(tmp_path)
    share = store.share()
    assert share is not None
    lock = share.lock
    lock.take(WRITE)
    store.resize(32 * BLOCK, may_shrink=True)
    lock.release()
    descriptor = lock.descriptor
    del share, lock
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    store.close()


def test_what_changes_or_watches_io_is_not_shared() -> None:
    assert FaultyStore(MemoryStore(BLOCK), []).share() is None
    assert ReadOnlyStore(MemoryStore(BLOCK)).share() is None
    assert open_store("overlay:mem:1MiB+mem").share() is None


def test_a_read_that_fails_is_said_and_not_raised(tmp_path: Path) -> None:
    store = image(tmp_path)
    share = store.share()
    assert share is not None
    other = opened(share)
    os.truncate(tmp_path / "disk.img", 8 * BLOCK)
    assert not other.read(9, memoryview(bytearray(BLOCK)))
    other.close()


HOLDER = """
import sys, time
from stacks.nvme.stores.sharing import BlockLock
lock = BlockLock(int(sys.argv[1]))
lock.take(int(sys.argv[2]))
print("held", flush=True)
time.sleep(60)
"""


def holder(lock: BlockLock, verb: int) -> subprocess.Popen[str]:
    """Another process that keeps a lock."""
    arguments = [sys.executable, "-c", HOLDER, str(lock.descriptor), str(verb)]
    process = subprocess.Popen(arguments, pass_fds=[lock.descriptor], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize(("theirs", "ours", "waits"), [(READ, READ, False), (READ, WRITE, True), (WRITE, READ, True)])
def test_reads_share_a_lock_and_writes_do_not_and_who_dies_lets_go(theirs: int, ours: int, waits: bool) -> None:
    store = MemoryStore(64 * BLOCK)
    share = store.share()
    assert share is not None
    process = holder(share.lock, theirs)
    ended: list[int] = []

    def end() -> None:
        process.send_signal(signal.SIGKILL)
        ended.append(process.wait())

    share.lock.on_stuck.append(end)
    share.lock.stuck_s = 0.2
    request = StoreRequest()
    request.store, request.verb, request.block, request.view = store, ours, 0, memoryview(bytearray(BLOCK))
    began = time.monotonic()
    run(request)
    assert request.status == 0
    assert bool(ended) == waits == (time.monotonic() - began > 0.2)
    process.kill()
    process.communicate()
    store.close()


WRITER = """
import sys
from stacks.nvme.stores.contract import WRITE
from stacks.nvme.stores.sharing import SharedBlocks
blocks = SharedBlocks(int(sys.argv[1]), int(sys.argv[2]), block_bytes=4096)
contents = [(memoryview(bytes([each]) * 4096),) for each in (1, 2)]
print("writing", flush=True)
number = 0
while True:
    number += 1
    blocks.lock.take(WRITE)
    blocks.write(0, contents[number & 1])
    blocks.lock.release()
"""


@pytest.mark.long
def test_no_block_is_read_half_written_by_another_process() -> None:
    # Without the lock on either side, a few in a hundred thousand reads are.
    store = MemoryStore(64 * BLOCK)
    share = store.share()
    assert share is not None
    files = (share.descriptor, share.lock.descriptor)
    arguments = [sys.executable, "-c", WRITER, *map(str, files)]
    with subprocess.Popen(arguments, pass_fds=files, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        into = bytearray(BLOCK)
        request = StoreRequest()
        request.store, request.verb, request.view = store, READ, memoryview(into)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            run(request)
            assert into.count(into[0]) == BLOCK
        process.kill()
    store.close()


READER = """
import sys
from stacks.nvme.stores.contract import READ
from stacks.nvme.stores.sharing import BlockLock
lock, into, blocks = BlockLock(int(sys.argv[1])), bytearray(1 << 20), memoryview(bytes(1 << 20))
print("reading", flush=True)
while True:
    lock.take(READ)
    into[:] = blocks
    lock.release()
"""


@pytest.mark.slow
def test_readers_without_end_do_not_keep_a_write_waiting() -> None:
    store = MemoryStore(64 * BLOCK)
    share = store.share()
    assert share is not None
    lock, stuck = share.lock, []
    arguments = [sys.executable, "-c", READER, str(lock.descriptor)]
    readers = [
        subprocess.Popen(arguments, pass_fds=[lock.descriptor], stdout=subprocess.PIPE) for _ in range(4)
    ]
    for reader in readers:
        assert reader.stdout is not None
        reader.stdout.readline()

    def end() -> None:
        stuck.append(True)
        for reader in readers:
            reader.kill()

    lock.on_stuck.append(end)
    for _ in range(50):
        lock.take(WRITE)
        lock.release()
    assert stuck == []
    end()
    for reader in readers:
        reader.communicate()
    store.close()
