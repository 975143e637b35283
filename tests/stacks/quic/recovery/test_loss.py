"""What is acknowledged, what is lost and when (RFC 9002 5, 6.1)."""

from __future__ import annotations

import random

import pytest

from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.levels import SPACE_APPLICATION, SPACE_HANDSHAKE, SPACE_INITIAL
from stacks.quic.recovery import PathCongestion
from tests.stacks.quic.recovery.rig import MS, SIZE, Rig


def test_a_packet_is_lost_when_one_three_later_is_acknowledged() -> None:
    rig = Rig()
    rig.send(0, 10)
    rig.ack(50 * MS, 2)
    assert rig.lost() == []
    rig.ack(50 * MS, (2, 3))
    assert rig.lost() == [0]
    rig.ack(51 * MS, (2, 5))
    assert rig.lost() == [0, 1]
    assert rig.acked() == [2, 3, 4, 5]


def test_a_packet_is_lost_nine_eighths_of_a_round_trip_after_it_left() -> None:
    rig = Rig()
    rig.send(0, 2)
    rig.ack(80 * MS, 1)
    assert rig.recovery.poll_deadline() == 90 * MS
    rig.recovery.handle_timeout(90 * MS - 1)
    assert rig.lost() == []
    assert rig.recovery.handle_timeout(90 * MS) is None
    assert rig.lost() == [0]
    assert rig.controller.hear() == ["ack", "loss", "lost packet"]


def test_the_time_threshold_is_a_millisecond_at_least() -> None:
    rig = Rig()
    rig.send(0, 2)
    rig.ack(100_000, 1)
    assert rig.recovery.poll_deadline() == MS


def test_of_two_packets_that_are_waited_for_each_has_a_deadline_of_its_own() -> None:
    rig = Rig()
    rig.send(0)
    rig.send(5 * MS)
    rig.send(6 * MS)
    rig.ack(86 * MS, 2)
    assert rig.recovery.poll_deadline() == 90 * MS
    rig.recovery.handle_timeout(90 * MS)
    assert rig.lost() == [0]
    assert rig.recovery.poll_deadline() == 95 * MS


def test_what_was_sent_after_the_largest_acknowledged_is_not_lost() -> None:
    rig = Rig()
    rig.send(0, 20)
    rig.ack(50 * MS, (0, 9))
    rig.recovery.handle_timeout(200 * MS)
    # It is the probe timeout that comes: nothing counts as lost by it (6.2).
    assert rig.recovery.lost_packets == 0
    assert rig.path.delivery.inflight_bytes == 10 * SIZE


def test_spaces_are_apart() -> None:
    rig = Rig()
    rig.send(0, 5, space=SPACE_INITIAL)
    rig.send(0, 5, space=SPACE_HANDSHAKE)
    rig.send(0, 5)
    rig.ack(50 * MS, 4, space=SPACE_HANDSHAKE)
    assert rig.lost(SPACE_HANDSHAKE) == [0, 1]
    assert rig.lost(SPACE_INITIAL) == rig.lost() == []
    assert [rig.recovery.largest_acked(space) for space in range(3)] == [-1, 4, -1]


@pytest.mark.parametrize("space", [SPACE_INITIAL, SPACE_HANDSHAKE, SPACE_APPLICATION])
def test_who_acknowledges_what_was_never_sent_is_wrong(space: int) -> None:
    rig = Rig()
    rig.send(0, 3, space=space)
    with pytest.raises(QuicError, match="packet 3 was never sent") as told:
        rig.ack(MS, (0, 3), space=space)
    assert told.value.code == TransportErrorCode.PROTOCOL_VIOLATION


def test_an_ack_says_what_it_says_once() -> None:
    rig = Rig()
    rig.send(0, 4)
    assert rig.ack(50 * MS, (0, 3)) == 4
    assert rig.ack(60 * MS, (0, 3)) == 0
    assert rig.ack(61 * MS, 2) == 0
    assert all(frame.fates == ["acked"] for frame in rig.frames.values())
    assert rig.controller.hear() == ["ack"]
    assert rig.path.delivery.inflight_bytes == 0


def test_an_older_ack_that_comes_later_changes_nothing_of_the_largest() -> None:
    rig = Rig()
    rig.send(0, 8)
    rig.ack(50 * MS, 7, (0, 5))
    rig.ack(51 * MS, (0, 3))
    assert rig.recovery.largest_acked(SPACE_APPLICATION) == 7
    rig.ack(52 * MS, (0, 7))
    assert rig.acked() == list(range(8))


def test_a_lost_packet_that_is_acknowledged_after_all_was_a_mistake() -> None:
    rig = Rig()
    rig.send(0, 10)
    rig.ack(50 * MS, (4, 9))
    assert rig.lost() == [0, 1, 2, 3]
    rig.controller.hear()
    rig.ack(51 * MS, (4, 9), (1, 2))
    assert rig.controller.hear() == ["ack"]
    rig.ack(52 * MS, (0, 9))
    assert rig.controller.hear() == ["spurious", "ack"]
    assert rig.recovery.spurious_losses == 4
    assert rig.frames[SPACE_APPLICATION, 3].fates == ["lost", "acked"]
    assert (rig.path.delivery.inflight_bytes, rig.path.delivery.delivered_bytes) == (0, 10 * SIZE)


def test_a_packet_that_was_lost_long_ago_is_forgotten() -> None:
    rig = Rig()
    rig.send(0, 10)
    rig.ack(50 * MS, (4, 9))
    newest = 9
    for now in range(50 * MS, 2_000 * MS, 50 * MS):
        newest = rig.send(now)
        rig.ack(now + 50 * MS, (4, newest))
    # Three probe timeouts of 75 ms or so are long over.
    rig.ack(2_001 * MS, (0, newest))
    assert rig.recovery.spurious_losses == 0


def test_a_round_trip_is_of_the_largest_that_is_new_and_of_something_that_asked() -> None:
    rig = Rig()
    rig.send(0, 3)
    rig.send(5 * MS, is_ack_eliciting=False, is_in_flight=False)
    rig.ack(20 * MS, 1)
    rig.ack(45 * MS, (0, 1))  # 0 is no largest
    assert rig.path.rtt.latest_ns == 20 * MS
    rig.ack(50 * MS, (0, 2))
    rig.send(60 * MS, is_ack_eliciting=False, is_in_flight=False)
    rig.ack(90 * MS, (0, 4))  # these two never asked
    assert rig.path.rtt.latest_ns == 50 * MS


def test_the_delay_of_a_peer_counts_in_one_rtt_packets_alone_and_up_to_its_promise() -> None:
    rig = Rig(is_confirmed=True, max_ack_delay_ms=10)
    rig.send(0, space=SPACE_HANDSHAKE)
    rig.ack(50 * MS, 0, space=SPACE_HANDSHAKE, delay_us=5_000)
    assert rig.path.rtt.smoothed_ns == 50 * MS
    rig.send(0)
    rig.ack(74 * MS, 0, delay_us=16_000)
    assert rig.path.rtt.latest_ns == 74 * MS
    assert rig.path.rtt.smoothed_ns == (7 * 50 + 64) * MS // 8


def test_what_was_sent_on_another_path_is_of_that_path() -> None:
    """RFC 9000 9.4: samples of the old path do not touch the new one."""
    rig = Rig()
    rig.send(0, 2)
    new = PathCongestion(rig.configuration, random.Random(2), now=0)
    rig.recovery.change_path(new)
    rig.send(10 * MS, 2, path=new)
    rig.ack(60 * MS, (0, 3))
    assert (rig.path.rtt.has_sample, new.rtt.latest_ns) == (False, 50 * MS)
    assert rig.path.delivery.delivered_bytes == new.delivery.delivered_bytes == 2 * SIZE
    assert rig.path.delivery.inflight_bytes == new.delivery.inflight_bytes == 0


def test_a_probe_of_the_path_mtu_is_lost_without_a_word_to_the_controller() -> None:
    """RFC 9000 14.4."""
    rig = Rig()
    rig.send(0, is_mtu_probe=True)
    rig.send(0, 3)
    rig.ack(50 * MS, (1, 3))
    assert rig.lost() == [0]
    assert rig.controller.hear() == ["ack"]
    assert rig.path.delivery.inflight_bytes == rig.path.delivery.lost_bytes == 0


def test_packets_that_nobody_will_acknowledge_are_not_kept_for_ever() -> None:
    """Who only receives sends ACKs, and its peer never acknowledges those."""
    rig = Rig()
    rig.send(0, 1000, is_ack_eliciting=False, is_in_flight=False)
    number = rig.send(0)
    rig.ack(50 * MS, number, (0, number - 1))
    assert len(rig.acked()) <= 1 + 64
    assert rig.recovery.poll_deadline() is None
