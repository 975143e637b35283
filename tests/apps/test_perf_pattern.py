"""What a workload does next, and the content it expects."""

from __future__ import annotations

import itertools

import pytest

from apps.perf.pattern import Content, Mode, Operations, Workload


def operations(mode: Mode, count: int, **options: int) -> list[tuple[bool, int]]:
    source = Operations(Workload(mode, 4096, 4096 * 10, **options))
    return [source.next() for _ in range(count)]


def test_sequential_blocks_wrap_around_at_the_end_of_the_span() -> None:
    assert operations(Mode.READ, 12) == [(True, block % 10) for block in range(12)]


def test_random_blocks_cover_the_span_and_repeat_for_a_seed() -> None:
    blocks = [block for _, block in operations(Mode.RANDWRITE, 200, seed=3)]
    assert set(blocks) == set(range(10))
    assert blocks == [block for _, block in operations(Mode.RANDWRITE, 200, seed=3)]
    assert blocks != [block for _, block in operations(Mode.RANDWRITE, 200, seed=4)]


@pytest.mark.parametrize("mode", [Mode.RW, Mode.RANDRW])
def test_a_mix_keeps_its_share_of_reads(mode: Mode) -> None:
    reads = sum(is_read for is_read, _ in operations(mode, 2000, read_percent=70))
    assert 1320 <= reads <= 1480


@pytest.mark.parametrize("percent", [0, 100])
def test_a_mix_of_one_kind_is_only_that_kind(percent: int) -> None:
    assert {is_read for is_read, _ in operations(Mode.RW, 50, read_percent=percent)} == {percent == 100}


@pytest.mark.parametrize("block_bytes", [4, 8, 512])
def test_content_tells_blocks_and_damage_apart(block_bytes: int) -> None:
    content = Content(block_bytes, seed=5)
    block = memoryview(bytearray(block_bytes))
    content.fill(7, block)
    assert content.matches(7, block)
    assert not content.matches(8, block)
    for index, bit in itertools.product(range(block_bytes), (1, 128)):
        block[index] ^= bit
        assert not content.matches(7, block)
        block[index] ^= bit
