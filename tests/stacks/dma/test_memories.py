"""What each memory does beyond the contract."""

import random
from dataclasses import dataclass

import pytest

from stacks.dma import PAGE_BYTES, Direction, Fault, FaultingDma, FlatDma, ScatteredDma
from stacks.dma.address_space import AddressSpace
from stacks.runtime import LocalError


@dataclass(frozen=True)
class Extent:
    """A region without memory."""

    start: int
    end: int


READ, WRITE = Direction.READ_MEMORY, Direction.WRITE_MEMORY


def faulting(pages: int, *, is_resident: bool = False) -> tuple[FaultingDma, int]:
    dma = FaultingDma(FlatDma(), is_resident=is_resident)
    return dma, dma.attach(bytearray(pages * PAGE_BYTES))


def fault_of(dma: FaultingDma, address: int, length: int) -> Fault:
    fault = dma.map(address, length, WRITE)
    assert isinstance(fault, Fault)
    return fault


def token_of(dma: FaultingDma, address: int, length: int) -> int:
    token = fault_of(dma, address, length).token
    assert token is not None
    return token


def test_flat_memory_is_the_callers_own_buffer() -> None:
    buffer = bytearray(100)
    dma = FlatDma()
    mapping = dma.map(dma.attach(buffer) + 10, 3, WRITE)
    assert not isinstance(mapping, Fault)
    assert len(mapping.views) == 1
    mapping.views[0][:] = b"now"
    assert buffer[10:13] == b"now"


def test_a_detached_flat_buffer_can_be_resized_at_once() -> None:
    buffer = bytearray(100)
    dma = FlatDma()
    address = dma.attach(buffer)
    with pytest.raises(BufferError):
        buffer.append(0)
    dma.detach(address)
    buffer.append(0)


def test_a_buffer_larger_than_a_slot_of_addresses_is_one_range() -> None:
    space: AddressSpace[Extent] = AddressSpace()
    large = Extent(space.next_address, space.next_address + (200 << 30))
    space.add(large)
    assert space.next_address >= large.end
    assert space.find(large.start + (199 << 30), 1 << 30) is large
    assert space.find(large.start + (199 << 30), (1 << 30) + 1) is None
    assert space.remove(large.start) is large
    assert space.find(large.start + (199 << 30), 1) is None


def test_the_64_bit_space_ends_with_a_local_error() -> None:
    space: AddressSpace[Extent] = AddressSpace()
    with pytest.raises(LocalError, match="used up"):
        space.add(Extent(space.next_address, (1 << 64) + 1))


def test_scattered_memory_gives_a_view_for_each_page_it_touches() -> None:
    dma = ScatteredDma()
    address = dma.attach(bytearray(3 * PAGE_BYTES))
    mapping = dma.map(address + 4000, PAGE_BYTES + 200, READ)
    assert not isinstance(mapping, Fault)
    assert [len(view) for view in mapping.views] == [96, PAGE_BYTES, 104]


def test_scattered_memory_is_a_copy_that_its_owner_reads_and_writes() -> None:
    buffer = bytearray(2 * PAGE_BYTES)
    dma = ScatteredDma()
    address = dma.attach(buffer)
    data = random.Random(2).randbytes(5000)
    dma.write(address + 100, data)
    assert dma.read(address + 100, 5000) == data
    assert not any(buffer)
    with pytest.raises(LocalError):
        dma.read(address, 2 * PAGE_BYTES + 1)
    with pytest.raises(LocalError):
        dma.write(address - 1, b"x")


def test_an_absent_page_faults_until_it_is_ready() -> None:
    dma, address = faulting(3)
    token = token_of(dma, address + PAGE_BYTES + 5, 10)
    taken = dma.poll_fault()
    assert taken is not None
    assert (taken.token, taken.address) == (token, address + PAGE_BYTES + 5)
    dma.handle_page_ready(token)
    assert not isinstance(dma.map(address + PAGE_BYTES + 5, 10, WRITE), Fault)


def test_a_fault_names_the_first_absent_address_of_the_range() -> None:
    dma, address = faulting(3)
    dma.handle_page_ready(token_of(dma, address, 1))
    assert fault_of(dma, address + 100, 2 * PAGE_BYTES).address == address + PAGE_BYTES


def test_a_page_that_faults_twice_is_reported_once_under_one_token() -> None:
    dma, address = faulting(1)
    assert token_of(dma, address, 8) == token_of(dma, address + 16, 8)
    assert dma.poll_fault() is not None
    assert dma.poll_fault() is None


def test_an_answered_fault_is_not_reported_and_its_token_is_used_up() -> None:
    dma, address = faulting(1)
    token = token_of(dma, address, 8)
    dma.handle_page_ready(token)
    assert dma.poll_fault() is None
    with pytest.raises(LocalError, match="no page fault"):
        dma.handle_page_ready(token)


def test_a_lost_page_is_an_unrecoverable_fault() -> None:
    dma, address = faulting(1)
    dma.handle_page_lost(token_of(dma, address, 8))
    assert not fault_of(dma, address, 8).is_recoverable


def test_an_evicted_page_faults_again_and_raises_the_epoch() -> None:
    dma, address = faulting(2, is_resident=True)
    epoch = dma.epoch
    dma.evict(address, 1)
    assert dma.epoch > epoch
    assert fault_of(dma, address, 1).is_recoverable
    assert not isinstance(dma.map(address + PAGE_BYTES, 1, READ), Fault)


def test_detaching_withdraws_open_faults() -> None:
    dma, address = faulting(1)
    token = token_of(dma, address, 8)
    dma.detach(address)
    assert dma.poll_fault() is None
    with pytest.raises(LocalError):
        dma.handle_page_ready(token)


def test_the_dirty_log_names_written_pages_once() -> None:
    dma, address = faulting(4, is_resident=True)
    for offset, length in ((PAGE_BYTES - 1, 2), (0, 1), (3 * PAGE_BYTES, 10)):
        mapping = dma.map(address + offset, length, WRITE)
        assert not isinstance(mapping, Fault)
        mapping.wrote(length)
    assert dma.take_dirty_pages() == (address, address + PAGE_BYTES, address + 3 * PAGE_BYTES)
    assert dma.take_dirty_pages() == ()


def test_only_what_was_written_of_a_mapping_gets_dirty() -> None:
    dma, address = faulting(2, is_resident=True)
    mapping = dma.map(address, 2 * PAGE_BYTES, WRITE)
    assert not isinstance(mapping, Fault)
    mapping.wrote(0)
    assert dma.take_dirty_pages() == ()
    mapping.wrote(PAGE_BYTES)
    assert dma.take_dirty_pages() == (address,)
