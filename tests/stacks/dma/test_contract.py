"""The contract suite: what every `Dma` does, whichever memory is behind it."""

import mmap
import random
from collections.abc import Callable
from multiprocessing.shared_memory import SharedMemory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.dma import PAGE_BYTES, Direction, Dma, Fault, FaultingDma, FlatDma, Mapping, PersistentDma, ScatteredDma
from stacks.runtime import LocalError

MEMORIES: dict[str, Callable[[], Dma]] = {
    "flat": FlatDma,
    "scattered": ScatteredDma,
    "faulting over flat": lambda: FaultingDma(FlatDma(), is_resident=True),
    "faulting over scattered": lambda: FaultingDma(ScatteredDma(), is_resident=True),
    "persistent over flat": lambda: PersistentDma(FlatDma()),
    "persistent over scattered": lambda: PersistentDma(ScatteredDma()),
}
READ, WRITE = Direction.READ_MEMORY, Direction.WRITE_MEMORY


@pytest.fixture(params=MEMORIES)
def dma(request: pytest.FixtureRequest) -> Dma:
    return MEMORIES[request.param]()


def mapped(dma: Dma, address: int, length: int, direction: Direction) -> Mapping:
    mapping = dma.map(address, length, direction)
    assert not isinstance(mapping, Fault)
    return mapping


def read(dma: Dma, address: int, length: int) -> bytes:
    return b"".join(mapped(dma, address, length, READ).views)


def write(dma: Dma, address: int, data: bytes) -> None:
    mapping = mapped(dma, address, len(data), WRITE)
    rest = data
    for view in mapping.views:
        view[:] = rest[: len(view)]
        rest = rest[len(view) :]
    mapping.wrote(len(data))


def test_an_attached_buffer_is_read_at_its_page_aligned_address(dma: Dma) -> None:
    content = random.Random(1).randbytes(3 * PAGE_BYTES + 17)
    address = dma.attach(bytearray(content))
    assert address % PAGE_BYTES == 0
    assert address > 0
    assert read(dma, address, len(content)) == content


def test_views_are_flat_bytes(dma: Dma) -> None:
    address = dma.attach(np.zeros((4, 5), dtype=np.uint32))
    views = mapped(dma, address, 80, WRITE).views
    assert all(view.format == "B" and view.ndim == 1 and view.itemsize == 1 for view in views)
    assert sum(len(view) for view in views) == 80


@pytest.mark.parametrize("memory", MEMORIES)
@given(st.data())
def test_what_is_written_is_read_back_at_any_offset_and_length(memory: str, data: st.DataObject) -> None:
    dma = MEMORIES[memory]()
    size = 3 * PAGE_BYTES
    expected = bytearray(size)
    address = dma.attach(bytearray(size))
    for seed in range(4):
        offset = data.draw(st.integers(0, size))
        length = data.draw(st.integers(0, size - offset))
        piece = random.Random(seed).randbytes(length)
        write(dma, address + offset, piece)
        expected[offset : offset + length] = piece
        assert read(dma, address + offset, length) == piece
    assert read(dma, address, size) == expected


def test_direct_memory_is_one_view_that_may_be_kept(dma: Dma) -> None:
    address = dma.attach(bytearray(3 * PAGE_BYTES))
    views = mapped(dma, address, 3 * PAGE_BYTES, WRITE).views
    if dma.is_direct:
        assert len(views) == 1
        views[0][5000:5004] = b"kept"
        assert read(dma, address + 5000, 4) == b"kept"


def test_an_empty_range_maps_anywhere_to_no_view(dma: Dma) -> None:
    assert mapped(dma, 0x1234, 0, READ).views == ()


@pytest.mark.parametrize(("before", "after"), [(-1, 0), (0, 1), (-PAGE_BYTES, 0), (100, 101), (2**62, 2**62)])
def test_a_range_that_is_not_all_attached_is_an_unrecoverable_fault(dma: Dma, before: int, after: int) -> None:
    address = dma.attach(bytearray(100))
    start = address + before
    fault = dma.map(start, 100 + after - before, WRITE)
    assert isinstance(fault, Fault)
    assert not fault.is_recoverable
    assert (fault.address, fault.direction) == (start, WRITE)


def test_running_off_one_buffer_never_lands_in_the_next(dma: Dma) -> None:
    first = dma.attach(bytearray(PAGE_BYTES))
    second = dma.attach(bytearray(PAGE_BYTES))
    assert isinstance(dma.map(first, second - first + 1, READ), Fault)
    assert isinstance(dma.map(first + PAGE_BYTES, 1, READ), Fault)


def test_a_negative_length_is_a_fault(dma: Dma) -> None:
    assert isinstance(dma.map(dma.attach(bytearray(8)), -1, READ), Fault)


def test_read_only_memory_is_read_but_not_written(dma: Dma) -> None:
    address = dma.attach(b"constant", writable=False)
    assert read(dma, address, 8) == b"constant"
    assert isinstance(dma.map(address, 8, WRITE), Fault)


def test_a_writable_buffer_attached_for_reading_is_not_written(dma: Dma) -> None:
    address = dma.attach(bytearray(8), writable=False)
    assert isinstance(dma.map(address, 8, WRITE), Fault)


def test_detached_memory_faults_and_the_epoch_has_risen(dma: Dma) -> None:
    address = dma.attach(bytearray(8))
    epoch = dma.epoch
    dma.detach(address)
    assert dma.epoch > epoch
    assert isinstance(dma.map(address, 8, READ), Fault)


def test_an_address_is_never_given_again(dma: Dma) -> None:
    address = dma.attach(bytearray(8))
    dma.detach(address)
    assert dma.attach(bytearray(8)) != address


def test_attaching_leaves_the_epoch_and_old_mappings_alone(dma: Dma) -> None:
    address = dma.attach(bytearray(b"old data"))
    mapping, epoch = mapped(dma, address, 8, READ), dma.epoch
    dma.attach(bytearray(8))
    assert dma.epoch == epoch
    assert b"".join(mapping.views) == b"old data"


@pytest.mark.parametrize("offset", [1, PAGE_BYTES, 2**40])
def test_detaching_what_is_not_attached_is_a_local_error_and_changes_nothing(dma: Dma, offset: int) -> None:
    address = dma.attach(bytearray(2 * PAGE_BYTES))
    epoch = dma.epoch
    with pytest.raises(LocalError, match="nothing is attached"):
        dma.detach(address + offset)
    assert dma.epoch == epoch
    assert len(read(dma, address, 2 * PAGE_BYTES)) == 2 * PAGE_BYTES


@pytest.mark.parametrize("buffer", [b"bytes", memoryview(b"view"), "text", 17, bytearray(8).__iter__()])
def test_what_cannot_be_written_is_refused(dma: Dma, buffer: object) -> None:
    with pytest.raises(LocalError):
        dma.attach(buffer)


def test_a_strided_array_is_refused(dma: Dma) -> None:
    with pytest.raises(LocalError, match="contiguous"):
        dma.attach(np.zeros(16, dtype=np.uint8)[::2])


def test_an_array_of_records_is_attached_as_its_bytes(dma: Dma) -> None:
    records = np.array([(1, 2), (3, 4)], dtype=[("a", "<u4"), ("b", ">u2")])
    address = dma.attach(records)
    assert read(dma, address, 12) == records.tobytes()


def test_an_empty_buffer_has_an_address_and_no_bytes(dma: Dma) -> None:
    address = dma.attach(bytearray())
    assert isinstance(dma.map(address, 1, READ), Fault)
    dma.detach(address)


def test_every_kind_of_buffer_can_be_attached(dma: Dma) -> None:
    for buffer in (bytearray(64), memoryview(bytearray(64)), np.zeros(8, dtype=np.float64), mmap.mmap(-1, 64)):
        address = dma.attach(buffer)
        write(dma, address + 3, b"here")
        assert read(dma, address, 8) == b"\0\0\0here\0"
        dma.detach(address)


def test_shared_memory_can_be_attached_and_closed_after_detaching(dma: Dma) -> None:
    shared = SharedMemory(create=True, size=PAGE_BYTES)
    try:
        address = dma.attach(shared.buf)
        write(dma, address, b"shared")
        assert read(dma, address, 6) == b"shared"
        dma.detach(address)
    finally:
        shared.close()
        shared.unlink()
