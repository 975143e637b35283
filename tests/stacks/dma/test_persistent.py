"""Persistent memory: what was flushed survives a loss of power, the rest may not."""

from __future__ import annotations

import random

import pytest

from stacks.dma import Direction, Dma, DurableDma, Fault, FaultingDma, FlatDma, PersistentDma, ScatteredDma

MEMORIES = {"flat": FlatDma, "scattered": ScatteredDma}
SIZE = 3 * 4096


def make(memory: str) -> tuple[PersistentDma, int]:
    dma = PersistentDma(MEMORIES[memory]())
    return dma, dma.attach(bytearray(b"." * SIZE))


def read(dma: Dma, address: int, length: int) -> bytes:
    mapping = dma.map(address, length, Direction.READ_MEMORY)
    assert not isinstance(mapping, Fault)
    return b"".join(mapping.views)


def write(dma: Dma, address: int, data: bytes) -> None:
    mapping = dma.map(address, len(data), Direction.WRITE_MEMORY)
    assert not isinstance(mapping, Fault)
    at = 0
    for view in mapping.views:
        view[:] = data[at : at + len(view)]
        at += len(view)


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_cut_loses_what_was_not_flushed_and_keeps_what_was(memory: str) -> None:
    dma, address = make(memory)
    write(dma, address + 4090, b"0123456789ab")
    assert dma.flush(address + 4092, 6) is None
    assert dma.durable(address + 4090, 12) == b"..234567...."
    dma.power_cut()
    assert read(dma, address + 4090, 12) == b"..234567...."
    assert isinstance(dma, DurableDma)


def test_a_cut_may_spare_lines_that_were_not_flushed() -> None:
    dma, address = make("flat")
    write(dma, address, b"x" * SIZE)
    dma.power_cut(random.Random(1))
    left = read(dma, address, SIZE)
    lines = {left[at : at + 64] for at in range(0, SIZE, 64)}
    assert lines == {b"x" * 64, b"." * 64}
    dma.power_cut()
    assert read(dma, address, SIZE) == left


def test_what_is_not_there_is_not_flushed() -> None:
    dma, address = make("flat")
    fault = dma.flush(address + SIZE - 4, 8)
    assert fault is not None
    assert not fault.is_recoverable
    dma.detach(address)
    assert dma.durable(address, 4) == b""
    dma.power_cut()


def test_a_page_that_is_out_is_neither_flushed_nor_lost() -> None:
    paging = FaultingDma(FlatDma())
    dma = PersistentDma(paging)
    address = dma.attach(memory := bytearray(64))
    fault = dma.flush(address, 8)
    assert fault is not None
    assert fault.is_recoverable
    memory[:4] = b"swap"
    dma.power_cut()
    assert memory[:4] == b"swap"
