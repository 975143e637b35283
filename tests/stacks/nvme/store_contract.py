"""What every store does. To run it on one of your own, subclass in a test module and say how to make one:

    class TestMyStore(StoreContract):
        def make(self, folder: Path, block_bytes: int) -> Store:
            return MyStore(...)

A store that cannot be written subclasses `ReadOnlyContract`. Both want a fresh store from each call of `make`, of
`MIN_BLOCKS` blocks at least; what it holds at first is its own affair.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stacks.nvme.stores.contract import DEALLOCATE, FLUSH, READ, WRITE, WRITE_ZEROES, Store, StoreRequest, run
from stacks.runtime import LocalError

MIN_BLOCKS = 256
OPERATIONS = 150


def read(store: Store, block: int, blocks: int) -> bytes:
    """Blocks of a store, read into a buffer that held something else."""
    into = bytearray(b"\xa5" * (blocks * store.block_bytes))
    store.read(block, memoryview(into))
    return bytes(into)


def pattern(store: Store, blocks: int, seed: int = 1) -> bytes:
    """Blocks without zeroes, of which no two neighbours are alike; random only in what .random() draws."""
    rng = random.Random(seed)
    return b"".join(bytes([int(rng.random() * 255) + 1]) * store.block_bytes for _ in range(blocks))


def cut(data: bytes, rng: random.Random) -> list[memoryview]:
    """The data as some views in a row, of any lengths."""
    edges = sorted({0, len(data), *(int(rng.random() * len(data)) for _ in range(int(rng.random() * 4)))})
    return [memoryview(data)[start:stop] for start, stop in itertools.pairwise(edges)]


class Base:
    """What both kinds of store have in common."""

    def make(self, folder: Path, block_bytes: int) -> Store:
        """A new store; folder: an empty one for this test. Other block sizes may be made where one does not suit."""
        raise NotImplementedError

    @pytest.fixture(params=[512, 4096])
    def store(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
        store = self.make(tmp_path, request.param)
        yield store
        store.close()

    def test_its_size_is_a_number_of_blocks_of_a_usual_size(self, store: Store) -> None:
        assert store.block_bytes in (512, 4096)
        assert store.block_count >= MIN_BLOCKS

    def test_reading_changes_nothing_and_gives_the_same_by_blocks_and_at_once(self, store: Store) -> None:
        for start in (0, store.block_count - 9):
            at_once = read(store, start, 9)
            assert b"".join(read(store, block, 1) for block in range(start, start + 9)) == at_once
            assert read(store, start, 9) == at_once

    def test_a_view_is_what_is_read_and_cannot_be_written(self, store: Store) -> None:
        for start, blocks in ((0, 1), (3, 9), (store.block_count - 5, 5)):
            view = store.view(start, blocks)
            if view is not None:
                assert view.readonly
                assert view == read(store, start, blocks)
                view.release()

    def test_a_delay_is_not_negative_and_is_announced(self, store: Store) -> None:
        for verb in (READ, WRITE, FLUSH, DEALLOCATE, WRITE_ZEROES):
            delay_ns = store.delay_ns(request_of(store, verb))
            assert delay_ns > 0 if delay_ns and store.has_delays else delay_ns == 0

    def test_a_flush_succeeds_even_when_there_is_nothing_to_do(self, store: Store) -> None:
        store.flush()
        store.flush()

    def test_what_is_no_number_of_blocks_is_no_new_size(self, store: Store) -> None:
        before = store.block_count
        for size_bytes in (0, -store.block_bytes, before * store.block_bytes + 1):
            with pytest.raises(LocalError):
                store.resize(size_bytes, may_shrink=True)
        assert store.block_count == before


class StoreContract(Base):
    """Tests of a store that can be written."""

    def test_it_can_be_written(self, store: Store) -> None:
        assert not store.is_read_only

    def test_blocks_come_back_as_they_were_written_from_several_views(self, store: Store) -> None:
        data, before, size = memoryview(pattern(store, 5)), read(store, 0, 20), store.block_bytes
        store.write(7, [data[:100], data[100 : 2 * size], data[2 * size :]])
        for _ in range(2):
            assert read(store, 0, 20) == before[: 7 * size] + data + before[12 * size :]
            store.flush()

    def test_a_write_may_come_in_thousands_of_views(self, store: Store) -> None:
        data = pattern(store, 2)
        store.write(4, [memoryview(data)[at : at + 1] for at in range(len(data))])
        assert read(store, 4, 2) == data

    def test_the_first_and_the_last_block_can_be_written(self, store: Store) -> None:
        data = pattern(store, 2)
        store.write(0, [memoryview(data)[: store.block_bytes]])
        store.write(store.block_count - 1, [memoryview(data)[store.block_bytes :]])
        assert read(store, 0, 1) + read(store, store.block_count - 1, 1) == data

    def test_a_buffer_is_the_callers_again_after_the_call(self, store: Store) -> None:
        data, into = bytearray(pattern(store, 1)), bytearray(store.block_bytes)
        written = bytes(data)
        store.write(1, [memoryview(data)])
        store.read(1, memoryview(into))
        data[:] = bytes(len(data))
        assert read(store, 1, 1) == written
        store.write(1, [memoryview(data)])
        store.flush()
        assert into == written

    def test_zeroes_are_read_where_they_were_written_and_neighbours_stay(self, store: Store) -> None:
        data, size = pattern(store, 64), store.block_bytes
        store.write(3, [memoryview(data)])
        store.write_zeroes(5, 41)
        assert read(store, 3, 64) == data[: 2 * size] + bytes(41 * size) + data[43 * size :]
        store.write_zeroes(0, store.block_count if store.block_count <= 1 << 20 else MIN_BLOCKS)
        assert read(store, 0, 70) == bytes(70 * size)

    @pytest.mark.parametrize("is_flushed", [False, True])
    def test_deallocated_blocks_read_as_the_store_says_and_neighbours_stay(
        self, store: Store, is_flushed: bool
    ) -> None:
        data, size = pattern(store, 64), store.block_bytes
        store.write(3, [memoryview(data)])
        if is_flushed:
            store.flush()
        store.deallocate(5, 41)
        assert read(store, 3, 2) + read(store, 46, 21) == data[: 2 * size] + data[43 * size :]
        if store.is_zero_after_deallocate:
            assert read(store, 5, 41) == bytes(41 * size)
        store.write(20, [memoryview(data)[:size]])
        assert read(store, 20, 1) == data[:size]

    @pytest.mark.parametrize("seed", range(4))
    def test_random_operations_do_what_they_do_to_an_array(self, store: Store, seed: int) -> None:
        rng, size = random.Random(seed), store.block_bytes
        start = 0 if seed % 2 else store.block_count - MIN_BLOCKS
        model = bytearray(read(store, start, MIN_BLOCKS))
        for number in range(OPERATIONS):
            block = int(rng.random() * MIN_BLOCKS)
            blocks = 1 + int(rng.random() * min(24, MIN_BLOCKS - block - 1))
            chosen, where = rng.random(), slice(block * size, (block + blocks) * size)
            if chosen < 0.5:
                data = pattern(store, blocks, number)
                store.write(start + block, cut(data, rng))
                model[where] = data
            elif chosen < 0.6:
                store.write_zeroes(start + block, blocks)
                model[where] = bytes(blocks * size)
            elif chosen < 0.7:
                store.deallocate(start + block, blocks)
                is_zero = store.is_zero_after_deallocate
                model[where] = bytes(blocks * size) if is_zero else read(store, start + block, blocks)
            elif chosen < 0.75:
                store.flush()
            else:
                assert read(store, start + block, blocks) == model[where], (seed, number)
        assert read(store, start, MIN_BLOCKS) == model
        view = store.view(start + 1, 7)
        assert view is None or view == model[size : 8 * size]

    def test_every_verb_of_a_request_succeeds(self, store: Store) -> None:
        for verb in (WRITE, READ, FLUSH, WRITE_ZEROES, DEALLOCATE):
            for is_fua in (False, True):
                request = request_of(store, verb)
                request.is_fua = is_fua
                run(request)
                assert (request.status, request.failure) == (0, "")

    def test_a_smaller_size_is_refused_unless_it_is_asked_for(self, store: Store) -> None:
        before = store.block_count
        with pytest.raises(LocalError):
            store.resize((before - 1) * store.block_bytes)
        assert store.block_count == before

    def test_it_grows_with_zeroes_and_shrinks_or_says_that_it_cannot(self, store: Store) -> None:
        size, before = store.block_bytes, store.block_count
        data = pattern(store, 4)
        store.write(before - 4, [memoryview(data)])
        try:
            store.resize((before + 8) * size)
        except LocalError:
            assert store.block_count == before
            assert read(store, before - 4, 4) == data
            return
        assert store.block_count == before + 8
        assert read(store, before - 4, 12) == data + bytes(8 * size)
        store.write(before + 7, [memoryview(data)[:size]])
        store.resize((before - 2) * size, may_shrink=True)
        assert store.block_count == before - 2
        assert read(store, before - 4, 2) == data[: 2 * size]
        store.resize((before + 8) * size)
        assert read(store, before - 4, 12) == data[: 2 * size] + bytes(10 * size)


class ReadOnlyContract(Base):
    """Tests of a store that cannot be written."""

    def test_it_says_so(self, store: Store) -> None:
        assert store.is_read_only

    @pytest.mark.parametrize(
        "change",
        [
            lambda store: store.write(1, [memoryview(bytes(store.block_bytes))]),
            lambda store: store.write_zeroes(0, 8),
        ],
        ids=["write", "write_zeroes"],
    )
    def test_every_change_is_refused(self, store: Store, change: Callable[[Store], None]) -> None:
        before = read(store, 0, 16)
        with pytest.raises(OSError, match=".") as caught:
            change(store)
        assert caught.value.errno == errno.EROFS
        assert read(store, 0, 16) == before

    def test_deallocation_is_refused_or_ignored(self, store: Store) -> None:
        before = read(store, 0, 16)
        with contextlib.suppress(OSError):
            store.deallocate(0, 8)
        assert read(store, 0, 16) == before

    def test_it_keeps_its_size(self, store: Store) -> None:
        before = store.block_count
        for blocks in (before + 1, before, before - 1):
            with pytest.raises(LocalError):
                store.resize(blocks * store.block_bytes, may_shrink=True)
        assert store.block_count == before


def request_of(store: Store, verb: int) -> StoreRequest:
    """A request of four blocks from block 2 on."""
    request = StoreRequest()
    request.store, request.verb, request.block, request.blocks = store, verb, 2, 4
    request.ranges = [(2, 4)] if verb == DEALLOCATE else []
    if verb in (READ, WRITE):
        request.view = memoryview(bytearray(4 * store.block_bytes))
    return request
