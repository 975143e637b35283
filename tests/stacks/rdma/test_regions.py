"""Regions: their keys, and pieces of them."""

from __future__ import annotations

import random

import pytest

from stacks.rdma import Device, Sge
from stacks.runtime import LocalError


def test_the_key_of_one_region_tells_nothing_of_the_next() -> None:
    pd = Device("192.0.2.1", rng=random.Random(1)).alloc_pd()
    keys = [pd.reg_mr(bytearray(8)).rkey for _ in range(200)]
    assert len(set(keys)) == 200
    for shift in range(0, 32, 8):
        assert len({key >> shift & 0xFF for key in keys}) > 100


class Listed(random.Random):
    """Draws given numbers."""

    def __init__(self, *draws: float) -> None:
        super().__init__(1)
        self._draws = list(draws)

    def random(self) -> float:
        return self._draws.pop(0)


def test_a_key_in_use_is_not_given_again() -> None:
    device = Device("192.0.2.1", rng=random.Random(1))
    device.memory = type(device.memory)(device.memory.dma, Listed(0.0, 0.5, 0.5, 0.5, 0.25))
    pd = device.alloc_pd()
    assert [pd.reg_mr(bytearray(8)).rkey for _ in range(2)] == [0x80000000, 0x40000000]


def parts(sge: Sge) -> tuple[int, int, int]:
    return sge.address, sge.length, sge.lkey


def test_a_piece_of_a_region_is_an_sge() -> None:
    mr = Device("192.0.2.1", rng=random.Random(1)).alloc_pd().reg_mr(bytearray(100))
    assert parts(mr.sge()) == (mr.address, 100, mr.lkey)
    assert parts(mr.sge(40)) == (mr.address + 40, 60, mr.lkey)
    assert parts(mr.sge(40, 5)) == (mr.address + 40, 5, mr.lkey)
    assert parts(mr.sge(100)) == (mr.address + 100, 0, mr.lkey)


@pytest.mark.parametrize(("offset", "length"), [(-1, 5), (0, 101), (101, None), (99, 2), (5, -1)])
def test_a_piece_outside_of_its_region_is_a_local_error(offset: int, length: int | None) -> None:
    mr = Device("192.0.2.1", rng=random.Random(1)).alloc_pd().reg_mr(bytearray(100))
    with pytest.raises(LocalError, match="not inside a region of 100"):
        mr.sge(offset, length)
