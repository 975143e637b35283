"""Packet numbers are left out, so that who acknowledges what it has not seen is found out (RFC 9000 21.4)."""

from __future__ import annotations

import itertools

import pytest

from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.levels import SPACE_APPLICATION
from tests.stacks.quic.recovery.rig import MS, Rig, spans


def numbers(rig: Rig, count: int) -> list[int]:
    return [rig.send(0) for _ in range(count)]


def test_numbers_are_left_out_soon_and_then_rarely() -> None:
    sent = numbers(Rig(skips=True), 10_000)
    skipped = [first + 1 for first, second in itertools.pairwise(sent) if second - first > 1]
    assert all(second - first <= 2 for first, second in itertools.pairwise(sent))
    assert 32 <= skipped[0] <= 64
    gaps = [second - first for first, second in itertools.pairwise(skipped)]
    assert min(gaps[4:]) > 512
    assert max(gaps) <= 1024 + 2


def test_who_acknowledges_more_than_it_got_is_found_out() -> None:
    rig = Rig(skips=True)
    newest = numbers(rig, 200)[-1]
    with pytest.raises(QuicError, match="was never sent") as told:
        rig.ack(50 * MS, (0, newest))
    assert told.value.code == TransportErrorCode.PROTOCOL_VIOLATION


def test_each_left_out_number_is_watched_until_everything_before_it_is_settled() -> None:
    rig = Rig(skips=True)
    sent = numbers(rig, 2_000)
    skipped = sorted(set(range(sent[-1])) - set(sent))
    assert len(skipped) > 3
    for number in skipped:
        with pytest.raises(QuicError, match=f"packet {number} was never sent"):
            rig.ack(50 * MS, number + 1, (number - 1, number))


def test_an_honest_peer_is_never_blamed() -> None:
    rig = Rig(skips=True)
    arrived: list[int] = []
    for step in range(300):
        arrived += [rig.send(step * MS) for _ in range(10)]
        rig.ack(step * MS + MS // 2, *spans(arrived[-200:]))
    assert rig.recovery.lost_packets == 0
    assert rig.path.delivery.inflight_bytes == 0
    assert rig.recovery.largest_acked(SPACE_APPLICATION) == arrived[-1]


def test_a_run_ends_before_a_number_that_is_left_out() -> None:
    rig = Rig(skips=True)
    room = rig.recovery.run_room()
    sent = numbers(rig, room + 2)
    assert sent[:-1] == list(range(room + 1))
    assert sent[-1] == room + 2
