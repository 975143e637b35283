"""Packet numbers: RFC 9000 A.2 and A.3, and the laws that their pseudocode is made for."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wire.quic.packet import decode_number, number_bytes

LAST = (1 << 62) - 1
numbers = st.integers(0, LAST) | st.integers(0, 1 << 34)


@pytest.mark.parametrize(("number", "acked", "length"), [(0xAC5C02, 0xABE8B3, 2), (0xACE8FE, 0xABE8B3, 3)])
def test_appendix_a_2_of_rfc_9000(number: int, acked: int, length: int) -> None:
    assert number_bytes(number, acked) == length


def test_appendix_a_3_of_rfc_9000() -> None:
    assert decode_number(0x9B32, 2, 0xA82F30EA + 1) == 0xA82F9B32


@given(acked=numbers | st.just(-1), unacked=st.integers(1, 1 << 31) | st.integers(0, 31).map(lambda bits: 1 << bits))
@example(acked=-1, unacked=0x80)
@example(acked=-1, unacked=0x81)
@example(acked=7, unacked=0x8000)
@example(acked=7, unacked=0x8001)
@example(acked=7, unacked=0x80_0000)
@example(acked=7, unacked=0x80_0001)
def test_a_number_takes_the_fewest_bytes_that_hold_twice_the_unacknowledged_range(acked: int, unacked: int) -> None:
    fewest = next(length for length in range(1, 5) if 1 << 8 * length >= 2 * unacked)
    assert number_bytes(acked + unacked, acked) == fewest


@given(acked=st.integers(-1, LAST - (1 << 31)), unacked=st.integers(1, 1 << 31), received=st.floats(0, 1))
def test_whatever_the_peer_has_received_since_it_reads_the_number_that_was_sent(
    acked: int, unacked: int, received: float
) -> None:
    number = acked + unacked
    length = number_bytes(number, acked)
    expected = acked + 1 + int((unacked - 1) * received)
    assert decode_number(number & (1 << 8 * length) - 1, length, expected) == number


@given(length=st.integers(1, 4), bits=st.integers(0, (1 << 32) - 1), expected=st.integers(0, LAST - (1 << 33)))
@example(length=1, bits=0x80, expected=0x100)
@example(length=1, bits=0x81, expected=0x100)
@example(length=1, bits=0xFF, expected=0)
def test_the_number_is_the_one_within_half_a_window_of_what_is_expected(length: int, bits: int, expected: int) -> None:
    window = 1 << 8 * length
    truncated, half = bits % window, window // 2
    found = decode_number(truncated, length, expected)
    assert found % window == truncated
    if found - expected > half:
        # Half a window lower there is no number: it would be below 0.
        assert found == truncated
        assert found - window < 0
    else:
        assert -half < found - expected
