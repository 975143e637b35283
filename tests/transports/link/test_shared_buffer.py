"""A shared buffer never holds more than there is, gives back what it took, and shares as the law has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.errors import TransportError
from transports.link.shared_buffer import Account, BufferConfig, SharedBuffer


def shared(accounts: list[Account], reserve_bytes: int) -> int:
    return sum(max(0, account.used_bytes - reserve_bytes) for account in accounts)


@given(
    st.sampled_from([0, 8000]),
    st.sampled_from([0, 1, 2500]),
    st.lists(st.tuples(st.sampled_from([0, 500, 3000]), st.integers(0, 4)), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([64, 700, 1500]), st.booleans()), max_size=150),
)
def test_parts_are_never_exceeded_and_everything_is_given_back(
    pool_bytes: int, reserve_bytes: int, ports: list[tuple[int, int]], steps: list[tuple[int, int, bool]]
) -> None:
    total = sum(reserve_bytes + headroom for headroom, _ in ports) + pool_bytes
    buffer = SharedBuffer(BufferConfig(buffer_bytes=total, reserve_bytes=reserve_bytes, resume_offset_bytes=500))
    accounts = [Account(headroom, shift) for headroom, shift in ports]
    for account in accounts:
        buffer.add(account)
    held: list[list[int]] = [[] for _ in accounts]
    for index, size_bytes, is_in in steps:
        index %= len(accounts)
        account = accounts[index]
        if is_in:
            threshold = buffer.threshold_bytes(account)
            fits = account.used_bytes + size_bytes - reserve_bytes <= max(0, threshold)
            has_headroom = account.headroom_used_bytes + size_bytes <= account.headroom_bytes
            assert buffer.admit(account, size_bytes) is (fits or has_headroom)
            if fits or has_headroom:
                held[index].append(size_bytes)
        elif held[index]:
            buffer.release(account, held[index].pop(0))
        # Whatever is in the buffer is in exactly one of its parts, and none is fuller than it may be.
        assert buffer.threshold_bytes(account) == (pool_bytes - shared(accounts, reserve_bytes)) >> account.alpha_shift
        assert 0 <= shared(accounts, reserve_bytes) <= pool_bytes
        for each, sizes in zip(accounts, held, strict=True):
            assert each.used_bytes + each.headroom_used_bytes == sum(sizes)
            assert 0 <= each.headroom_used_bytes <= each.headroom_bytes
            # It may want a pause or a resume, never both at a time; and none that would not end is ever begun.
            each.is_pausing = False
            wants_pause = buffer.wants_pause(each)
            each.is_pausing = True
            assert not (wants_pause and (buffer.wants_resume(each) or not sizes))
            assert sizes or buffer.wants_resume(each)
        assert buffer.used_bytes == sum(map(sum, held)) <= buffer.peak_bytes <= total
    for account, sizes in zip(accounts, held, strict=True):
        for size_bytes in sizes:
            buffer.release(account, size_bytes)
        assert account.used_bytes == account.headroom_used_bytes == 0
    assert buffer.used_bytes == 0


@pytest.mark.parametrize("ports", [1, 2, 5])
@pytest.mark.parametrize("alpha_shift", [0, 1, 3])
def test_greedy_ports_share_as_choudhury_and_hahne_have_it(ports: int, alpha_shift: int) -> None:
    # Each of n greedy ports gets alpha B / (1 + n alpha), here B / (2^shift + n), to a packet.
    buffer = SharedBuffer(BufferConfig(buffer_bytes=1_000_000, reserve_bytes=0))
    accounts = [Account(0, alpha_shift) for _ in range(ports)]
    for account in accounts:
        buffer.add(account)
    for number in range(20_000):
        buffer.admit(accounts[number % ports], 100)
    for account in accounts:
        assert account.used_bytes == pytest.approx(1_000_000 / (2**alpha_shift + ports), abs=100 * ports)


def test_a_pause_is_asked_for_at_the_threshold_and_a_resume_below_it() -> None:
    buffer = SharedBuffer(BufferConfig(buffer_bytes=100_000, reserve_bytes=1000, resume_offset_bytes=3000))
    account = Account(9000, 1)
    buffer.add(account)
    # A pool of 90,000; threshold (90,000 - x) / 2 = x at x = 30,000, on top of the reserve.
    for number in range(1, 31):
        assert buffer.admit(account, 1000)
        assert not buffer.wants_pause(account), number
    assert buffer.admit(account, 1000)
    assert (account.used_bytes, buffer.wants_pause(account)) == (31_000, True)
    account.is_pausing = True
    assert buffer.admit(account, 1000)
    assert account.headroom_used_bytes == 1000
    assert not buffer.wants_pause(account)
    # Goes on when x + 3000 <= (90,000 - x) / 2: at x = 28,000, with an empty headroom.
    for over in (30_000, 29_000):
        buffer.release(account, 1000)
        assert (account.used_bytes - 1000, buffer.wants_resume(account)) == (over, False)
    buffer.release(account, 1000)
    assert (account.used_bytes - 1000, buffer.wants_resume(account)) == (28_000, True)


def test_a_buffer_too_small_for_its_ports_is_refused() -> None:
    buffer = SharedBuffer(BufferConfig(buffer_bytes=10_000, reserve_bytes=4096))
    with pytest.raises(TransportError, match="a buffer of 10000 bytes is 3096 short of"):
        buffer.add(Account(9000, 3))
    with pytest.raises(TransportError, match="a switch's reserve_bytes is not negative: -1"):
        BufferConfig(reserve_bytes=-1)
