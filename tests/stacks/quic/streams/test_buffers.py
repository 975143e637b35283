"""Both buffers against plain bytes: whatever the pieces, overlaps and order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.streams.receive_buffer import GapBudget, ReceiveBuffer
from stacks.quic.streams.send_buffer import SendBuffer

STREAM = bytes(index * 7 + (index >> 8) & 0xFF for index in range(30_000))
PIECE = st.tuples(st.integers(0, 9_000), st.one_of(st.integers(0, 40), st.integers(0, 6_000)))


@given(st.lists(st.tuples(PIECE, st.integers(0, 9_000)), max_size=30))
def test_pieces_in_any_order_give_the_stream_as_far_as_it_is_complete(
    steps: list[tuple[tuple[int, int], int]],
) -> None:
    budget = GapBudget(100)
    buffer, have, read = ReceiveBuffer(budget), set[int](), bytearray()
    for (offset, length), limit in steps:
        buffer.add(offset, memoryview(STREAM)[offset : offset + length])
        have |= set(range(offset, offset + length))
        complete = next(byte for byte in range(len(STREAM)) if byte not in have)
        assert buffer.end == complete
        behind = [byte for byte in have if byte > complete]
        assert buffer.gaps == sum(byte - 1 not in have for byte in behind) == budget.count
        part = buffer.read(limit)
        assert len(part) == min(limit, complete - len(read))
        read += part
        assert buffer.start == len(read)
    assert read == STREAM[: len(read)]


def test_gaps_are_bounded_over_all_buffers_of_a_budget() -> None:
    budget = GapBudget(5)
    one, other = ReceiveBuffer(budget), ReceiveBuffer(budget)
    for offset in (2, 4, 6):
        one.add(offset, memoryview(b"x"))
    for offset in (2, 4):
        other.add(offset, memoryview(b"x"))
    with pytest.raises(QuicError) as error:
        other.add(6, memoryview(b"x"))
    assert error.value.code == TransportErrorCode.INTERNAL_ERROR
    one.discard()
    assert budget.count == 2
    other.add(6, memoryview(b"x"))
    assert budget.count == 3


def test_filling_a_gap_is_free_even_where_the_budget_is_used_up() -> None:
    budget = GapBudget(1)
    buffer = ReceiveBuffer(budget)
    buffer.add(5, memoryview(STREAM)[5:10])
    buffer.add(10, memoryview(STREAM)[10:20])
    buffer.add(0, memoryview(STREAM)[0:5])
    assert buffer.read(100) == STREAM[:20]
    assert budget.count == 0


def test_a_flood_of_tiny_pieces_costs_little_more_than_its_bytes() -> None:
    buffer = ReceiveBuffer(GapBudget(10))
    for offset in range(20_000):
        buffer.add(offset, memoryview(STREAM)[offset : offset + 1])
    assert len(buffer.chunks) <= 5
    assert buffer.read(30_000) == STREAM[:20_000]


WRITE = st.one_of(st.integers(0, 50), st.integers(1900, 2200), st.integers(5_000, 7_000))


@given(st.lists(WRITE, min_size=1, max_size=12), st.data())
def test_every_part_of_what_was_written_can_be_copied_until_it_is_released(
    sizes: list[int], data: st.DataObject
) -> None:
    buffer, end, start = SendBuffer(), 0, 0
    for index, size in enumerate(sizes):
        piece = memoryview(bytearray(STREAM[end : end + size])) if index % 3 else STREAM[end : end + size]
        buffer.append(piece)
        end = min(end + size, len(STREAM))
        assert buffer.end == end
        if end > start:
            first = data.draw(st.integers(start, end - 1))
            last = data.draw(st.integers(first + 1, end))
            into = bytearray(last - first + 4)
            buffer.copy(first, last, memoryview(into), 2)
            assert into == b"\0\0" + STREAM[first:last] + b"\0\0"
        start = data.draw(st.integers(start, end))
        buffer.release(start)


def test_large_writes_of_bytes_are_not_copied() -> None:
    buffer, data = SendBuffer(), bytes(5000)
    view = memoryview(data).cast("I")
    buffer.append(data)
    buffer.append(view)
    assert buffer.end == 10_000
    into = bytearray(10_000)
    buffer.copy(0, 10_000, memoryview(into), 0)
    assert into == bytes(10_000)
    assert any(chunk is data for chunk in buffer.chunks)
    assert any(isinstance(chunk, memoryview) and chunk.obj is data for chunk in buffer.chunks)
