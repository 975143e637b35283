"""Path MTU discovery on paths that carry so much and no more (RFC 8899 5; RFC 9000 14.3, 14.4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.quic.paths.mtu import LADDER, RAISE_NS, MtuDiscovery


def search(mtu: MtuDiscovery, carried: int, now: int = 0) -> list[int]:
    """Probe until there is nothing left to try; the sizes that were sent."""
    sizes = []
    while mtu.is_searching(now):
        size = mtu.begin_probe()
        sizes.append(size)
        record = mtu.record(size)
        if size <= carried:
            record.acked(now)
        else:
            record.lost(now)
    return sizes


@pytest.mark.parametrize("largest", [1452, 1472, 8900, 65_507])
def test_the_most_is_found_in_one_round_trip_where_it_is_carried(largest: int) -> None:
    mtu = MtuDiscovery(1200, largest)
    assert search(mtu, 65_507) == [largest]
    assert mtu.datagram_bytes == largest


@given(carried=st.integers(1200, 70_000), largest=st.integers(1200, 65_507))
def test_the_largest_known_size_that_is_carried_is_found(carried: int, largest: int) -> None:
    mtu = MtuDiscovery(1200, largest)
    sizes = search(mtu, carried)
    assert mtu.datagram_bytes == max(size for size in (1200, largest, *LADDER) if size <= min(carried, largest))
    assert len(sizes) <= 3 * 6
    for size in sizes:
        assert 1200 < size <= largest


def test_a_size_has_three_chances() -> None:
    mtu = MtuDiscovery(1200, 1452)
    for _ in range(2):
        mtu.record(mtu.begin_probe()).lost(0)
    assert mtu.begin_probe() == 1452
    mtu.record(1452).acked(0)
    assert mtu.datagram_bytes == 1452


def test_one_probe_at_a_time() -> None:
    mtu = MtuDiscovery(1200, 1452)
    assert mtu.is_searching(0)
    mtu.begin_probe()
    assert not mtu.is_searching(0)


def test_nothing_is_tried_where_the_base_is_all() -> None:
    assert not MtuDiscovery(1200, 1200).is_searching(0)
    assert not MtuDiscovery(1200, 1000).is_searching(0)


def test_the_peers_limit_counts_also_for_a_probe_on_its_way() -> None:
    mtu = MtuDiscovery(1200, 1452)
    size = mtu.begin_probe()
    mtu.limit(1300)
    mtu.record(size).acked(0)
    assert mtu.datagram_bytes == 1200
    assert search(mtu, 65_507) == [1300]
    assert mtu.datagram_bytes == 1300


def test_the_search_begins_again_after_ten_minutes_and_not_before() -> None:
    mtu = MtuDiscovery(1200, 1452)
    search(mtu, 1400, now=7)
    assert mtu.datagram_bytes == 1400
    assert not mtu.is_searching(RAISE_NS + 6)
    assert search(mtu, 1452, now=RAISE_NS + 7) == [1452]
    assert not mtu.is_searching(10 * RAISE_NS)


def test_a_change_is_told_once() -> None:
    mtu = MtuDiscovery(1200, 1452)
    assert not mtu.has_changed
    search(mtu, 65_507)
    assert mtu.has_changed


def test_a_black_hole_falls_to_the_base_and_searches_anew() -> None:
    mtu = MtuDiscovery(1200, 1452)
    search(mtu, 65_507)
    mtu.has_changed = False
    assert not mtu.suspect(2)
    assert mtu.datagram_bytes == 1452
    assert mtu.suspect(3)
    assert (mtu.datagram_bytes, mtu.has_changed) == (1200, True)
    search(mtu, 1400)
    assert mtu.datagram_bytes == 1400


def test_the_base_itself_is_never_suspected() -> None:
    assert not MtuDiscovery(1200, 1452).suspect(100)


def test_the_loss_of_a_probe_of_another_time_is_not_held_against_the_present_size() -> None:
    mtu = MtuDiscovery(1200, 8900)
    search(mtu, 8900)
    mtu.suspect(3)
    mtu.limit(1452)
    for _ in range(3):
        mtu.lost(8900, 0)
    assert search(mtu, 65_507) == [1452]
