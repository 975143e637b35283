"""Wrapping sequence numbers against signed arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.seqnum import PSN_MASK, SEQ_MASK, psn_add, psn_diff, seq_add, seq_diff

WIDTHS = [(24, psn_add, psn_diff, PSN_MASK), (32, seq_add, seq_diff, SEQ_MASK)]
each_width = pytest.mark.parametrize(("bits", "add", "diff", "mask"), WIDTHS, ids=["PSN", "TCP"])


@each_width
@given(data=st.data())
def test_difference_undoes_addition_over_the_wrap(bits, add, diff, mask, data: st.DataObject) -> None:  # type: ignore[no-untyped-def]
    start = data.draw(st.integers(0, mask))
    step = data.draw(st.integers(-(1 << bits - 1), (1 << bits - 1) - 1))
    moved = add(start, step)
    assert 0 <= moved <= mask
    assert diff(moved, start) == step


@each_width
@given(data=st.data())
def test_difference_has_the_sign_of_the_shifted_register(bits, add, diff, mask, data: st.DataObject) -> None:  # type: ignore[no-untyped-def]
    a, b = data.draw(st.integers(0, mask)), data.draw(st.integers(0, mask))
    register = (a - b << 64 - bits) & (1 << 64) - 1
    assert (diff(a, b) > 0) == (0 < register < 1 << 63)
    assert (diff(a, b) == 0) == (a == b)


def test_half_the_space_apart_counts_as_older() -> None:
    assert psn_diff(0x800000, 0) == psn_diff(0, 0x800000) == -0x800000
    assert seq_diff(0x80000000, 0) == seq_diff(0, 0x80000000) == -0x80000000
