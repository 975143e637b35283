"""The probe timeout over three spaces (RFC 9002 6.2)."""

from __future__ import annotations

from stacks.quic.levels import SPACE_APPLICATION, SPACE_HANDSHAKE, SPACE_INITIAL
from stacks.quic.recovery import Probe
from tests.stacks.quic.recovery.rig import MS, SECOND, Rig


def handshaking(*, is_client: bool) -> Rig:
    return Rig(is_client=is_client, is_confirmed=False)


def test_before_any_sample_a_probe_comes_after_three_times_333_ms() -> None:
    """6.2.2: smoothed 333 ms and a variation of half of it; no peer's delay for Initial packets."""
    rig = handshaking(is_client=True)
    rig.send(0, space=SPACE_INITIAL)
    assert rig.recovery.poll_deadline() == 999 * MS


def test_a_probe_is_due_a_probe_timeout_after_the_last_packet_that_asks() -> None:
    rig = Rig()
    rig.send(0)
    rig.ack(100 * MS, 0)
    rig.send(200 * MS)
    rig.send(300 * MS)
    rig.send(310 * MS, is_ack_eliciting=False, is_in_flight=False)
    # 100 + max(4 * 50, 1) + the peer's 25.
    assert rig.recovery.pto_ns() == 325 * MS
    assert rig.recovery.poll_deadline() == 625 * MS
    assert rig.recovery.handle_timeout(625 * MS) == Probe(SPACE_APPLICATION, 2)


def test_each_timeout_doubles_the_next_and_an_acknowledgement_ends_that() -> None:
    rig = Rig()
    rig.send(0)
    rig.ack(100 * MS, 0)
    rig.send(200 * MS)
    waits = []
    now = 200 * MS
    for _ in range(4):
        due_ns = rig.recovery.poll_deadline()
        assert due_ns is not None
        waits.append(due_ns - now)
        now = due_ns
        assert rig.recovery.handle_timeout(now) == Probe(SPACE_APPLICATION, 2)
        rig.send(now)
    assert waits == [325 * MS << power for power in range(4)]
    rig.ack(now + 100 * MS, 5)
    rig.send(now + 100 * MS)
    due_ns = rig.recovery.poll_deadline()
    assert due_ns == now + 100 * MS + rig.recovery.pto_ns()


def test_a_timeout_marks_nothing_as_lost_and_asks_for_the_oldest_again() -> None:
    rig = Rig()
    rig.send(0, 6)
    rig.recovery.handle_timeout(2 * SECOND)
    assert rig.recovery.lost_packets == 0
    assert rig.controller.hear() == []
    assert rig.lost() == [0, 1]  # their frames are to be sent again
    rig.recovery.handle_timeout(9 * SECOND)
    assert rig.lost() == [0, 1, 2, 3]
    # And who was asked for again is not told of the loss once more.
    rig.ack(9_500 * MS, 5)
    assert rig.frames[SPACE_APPLICATION, 0].fates == ["lost"]


def test_one_rtt_packets_are_not_probed_for_before_the_handshake_is_confirmed() -> None:
    rig = handshaking(is_client=False)
    rig.send(0)
    assert rig.recovery.poll_deadline() is None
    rig.recovery.handshake_confirmed(5 * MS)
    assert rig.recovery.poll_deadline() == 999 * MS + 25 * MS


def test_no_probe_while_a_loss_by_time_is_pending() -> None:
    rig = Rig()
    rig.send(0, 2)
    rig.ack(100 * MS, 1)
    rig.send(101 * MS)
    assert rig.recovery.poll_deadline() == 112_500_000
    assert rig.recovery.handle_timeout(112_500_000) is None
    assert rig.recovery.poll_deadline() == 101 * MS + rig.recovery.pto_ns()


def test_the_earliest_of_the_spaces_is_probed_and_the_other_goes_along() -> None:
    """6.2.1, 6.2.4: of Initial and Handshake the one that was sent to first; data of both is sent again."""
    rig = handshaking(is_client=False)
    rig.send(0, space=SPACE_INITIAL)
    rig.send(3 * MS, space=SPACE_HANDSHAKE)
    assert rig.recovery.poll_deadline() == 999 * MS
    assert rig.recovery.handle_timeout(999 * MS) == Probe(SPACE_INITIAL, 2)
    assert (rig.lost(SPACE_INITIAL), rig.lost(SPACE_HANDSHAKE)) == ([0], [0])


def test_a_client_probes_without_anything_in_flight_until_the_server_knows_its_address() -> None:
    """6.2.2.1: or both wait, the server for bytes that let it send."""
    rig = handshaking(is_client=True)
    rig.send(0, space=SPACE_INITIAL)
    rig.ack(100 * MS, 0, space=SPACE_INITIAL)
    # 100 + 4 * 50: since then nothing is out.
    assert rig.recovery.poll_deadline() == 400 * MS
    assert rig.recovery.handle_timeout(400 * MS) == Probe(SPACE_INITIAL, 1)
    rig.recovery.timer.has_handshake_keys = True
    assert rig.recovery.poll_deadline() == 1_000 * MS
    assert rig.recovery.handle_timeout(1_000 * MS) == Probe(SPACE_HANDSHAKE, 1)
    rig.send(1_000 * MS, space=SPACE_HANDSHAKE)
    rig.ack(1_100 * MS, 0, space=SPACE_HANDSHAKE)
    assert rig.recovery.poll_deadline() is None


def test_a_confirmed_client_does_not_probe_without_anything_in_flight() -> None:
    rig = handshaking(is_client=True)
    rig.recovery.handshake_confirmed(MS)
    assert rig.recovery.poll_deadline() is None


def test_a_server_does_not_probe_for_what_it_may_not_send() -> None:
    rig = handshaking(is_client=False)
    rig.send(0, 3, space=SPACE_HANDSHAKE)
    rig.recovery.timer.is_blocked = True
    assert rig.recovery.poll_deadline() is None
    assert rig.recovery.handle_timeout(5 * SECOND) is None
    # A.6: when it may send again, a timeout that would have come is due at once.
    rig.recovery.timer.is_blocked = False
    assert rig.recovery.poll_deadline() == 999 * MS
    assert rig.recovery.handle_timeout(5 * SECOND) == Probe(SPACE_HANDSHAKE, 2)


def test_initial_acknowledgements_do_not_reset_the_backoff_of_a_client() -> None:
    """6.2.1: the server may acknowledge and still be unable to send more."""
    rig = handshaking(is_client=True)
    rig.send(0, space=SPACE_INITIAL)
    rig.recovery.handle_timeout(999 * MS)
    rig.send(999 * MS, space=SPACE_INITIAL)
    rig.ack(1_100 * MS, 1, space=SPACE_INITIAL)
    assert rig.recovery.timer.backoff == 1
    rig.send(1_100 * MS, space=SPACE_HANDSHAKE)
    rig.ack(1_200 * MS, 0, space=SPACE_HANDSHAKE)
    assert rig.recovery.timer.backoff == 0


def test_discarded_keys_take_their_packets_and_the_backoff_along() -> None:
    """6.2.2, 6.4."""
    rig = handshaking(is_client=False)
    rig.send(0, 3, space=SPACE_INITIAL)
    rig.send(0, 2, space=SPACE_HANDSHAKE)
    rig.recovery.handle_timeout(999 * MS)
    assert rig.recovery.timer.backoff == 1
    rig.recovery.discard(SPACE_INITIAL, 1_000 * MS)
    assert rig.recovery.timer.backoff == 0
    assert rig.path.delivery.inflight_bytes == 2 * 1200
    assert rig.recovery.poll_deadline() == 999 * MS
    rig.recovery.discard(SPACE_HANDSHAKE, 1_000 * MS)
    assert rig.path.delivery.inflight_bytes == 0
    assert rig.recovery.poll_deadline() is None
    assert rig.controller.hear() == []  # it is no loss


def test_a_retry_asks_for_everything_again_in_packets_with_new_numbers() -> None:
    """6.3, and RFC 9000 17.2.5.3."""
    rig = handshaking(is_client=True)
    rig.send(0, space=SPACE_INITIAL)
    rig.send(0, 2)  # 0-RTT
    rig.recovery.retry_received(50 * MS)
    assert (rig.lost(SPACE_INITIAL), rig.lost()) == ([0], [0, 1])
    assert rig.path.delivery.inflight_bytes == 0
    assert rig.controller.hear() == []
    assert rig.recovery.next_number(SPACE_INITIAL) == 1
    assert rig.recovery.next_number(SPACE_APPLICATION) == 2
    assert rig.recovery.poll_deadline() == 50 * MS + 999 * MS


def test_rejected_early_data_is_no_loss_and_goes_out_again() -> None:
    rig = handshaking(is_client=True)
    rig.send(0, 2)
    rig.recovery.early_data_rejected(50 * MS)
    assert rig.lost() == [0, 1]
    assert rig.controller.hear() == []
    assert rig.send(60 * MS) == 2


def test_a_new_path_begins_with_the_first_timeout() -> None:
    rig = Rig()
    rig.send(0)
    rig.recovery.handle_timeout(2 * SECOND)
    assert rig.recovery.timer.backoff == 1
    rig.recovery.change_path(rig.path)
    assert rig.recovery.timer.backoff == 0
