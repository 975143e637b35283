"""Reno: RFC 5681, 3465, 6582, 9002 7 and 3168, told acknowledgement by acknowledgement."""

from __future__ import annotations

import pytest

from stacks.congestion import Reno, controller_factory
from stacks.runtime import LocalError
from tests.stacks.congestion.told import MS, PACKET, SECOND, ack, flow, lose, lose_and_recover, rounds
from tests.stacks.model.rig import Rig
from transports.link.bounded import Limits
from transports.link.step_marking import StepMarking


def test_slow_start_grows_by_what_is_acknowledged_but_two_packets_at_most() -> None:
    reno = Reno(flow())
    assert (reno.window_bytes, reno.state) == (10 * PACKET, "slow start")
    ack(reno, 1, 1)
    assert reno.window_bytes == 11 * PACKET
    ack(reno, 2, 2)
    assert reno.window_bytes == 13 * PACKET
    ack(reno, 7, 3)  # RFC 3465 2.2: L = 2
    assert reno.window_bytes == 15 * PACKET


def test_congestion_avoidance_adds_a_packet_a_window() -> None:
    reno = Reno(flow())
    lose_and_recover(reno, 1)
    assert (reno.window_bytes, reno.state) == (5 * PACKET, "congestion avoidance")
    for number in range(4):
        ack(reno, 1, 2 + number)
    assert reno.window_bytes == 5 * PACKET
    ack(reno, 1, 6)
    assert reno.window_bytes == 6 * PACKET
    # However many packets an acknowledgement is for.
    ack(reno, 6, 7)
    assert reno.window_bytes == 7 * PACKET


def test_a_loss_halves_and_two_packets_are_the_least() -> None:
    reno = Reno(flow(initial_packets=10))
    lose(reno, 1)
    assert (reno.window_bytes, reno.ssthresh_bytes, reno.state) == (5 * PACKET, 5 * PACKET, "recovery")
    ack(reno, 5, 2)
    assert reno.window_bytes == 5 * PACKET
    for now in range(3, 9):
        reno.handle_recovered(now)
        lose(reno, now)
    assert reno.window_bytes == 2 * PACKET


def test_a_timeout_leaves_one_packet_and_slow_start_to_half() -> None:
    reno = Reno(flow(initial_packets=20))
    reno.window_bytes = 20 * PACKET
    lose(reno, 1, is_timeout=True)
    assert (reno.window_bytes, reno.ssthresh_bytes, reno.state) == (PACKET, 10 * PACKET, "slow start")
    ack(reno, 2, 2)  # RFC 3465 2.3: L = 1 after a timeout
    assert reno.window_bytes == 2 * PACKET
    for now in range(3, 20):
        ack(reno, 1, now)
    assert reno.state == "congestion avoidance"
    assert reno.window_bytes == 10 * PACKET


def test_timeouts_in_a_row_reduce_ssthresh_once() -> None:
    """RFC 5681 3.1, equation 4: not for a segment that the timer has sent again already."""
    reno = Reno(flow())
    reno.window_bytes = 40 * PACKET
    for now in range(1, 5):
        lose(reno, now, is_timeout=True)
    assert reno.ssthresh_bytes == 20 * PACKET
    ack(reno, 1, 6)
    reno.window_bytes = 16 * PACKET
    lose(reno, 7, is_timeout=True)
    assert reno.ssthresh_bytes == 8 * PACKET


def test_a_timeout_in_recovery_is_a_second_sign_of_congestion() -> None:
    """RFC 5681 4.3: the loss of a retransmission."""
    reno = Reno(flow())
    reno.window_bytes = 40 * PACKET
    lose(reno, 1)
    lose(reno, 2, is_timeout=True)
    assert reno.ssthresh_bytes == 10 * PACKET


def test_persistent_congestion_leaves_two_packets() -> None:
    reno = Reno(flow())
    reno.window_bytes = 40 * PACKET
    lose(reno, 1, is_persistent=True)
    assert (reno.window_bytes, reno.ssthresh_bytes, reno.state) == (2 * PACKET, 20 * PACKET, "slow start")


@pytest.mark.parametrize("is_timeout", [False, True])
def test_a_spurious_loss_is_undone(is_timeout: bool) -> None:
    reno = Reno(flow())
    rounds(reno, 3, 0, 10 * MS)
    window_bytes, ssthresh_bytes = reno.window_bytes, reno.ssthresh_bytes
    lose(reno, SECOND, is_timeout=is_timeout)
    ack(reno, 2, SECOND + 1)
    reno.handle_spurious_loss(SECOND + 2)
    assert (reno.window_bytes, reno.ssthresh_bytes, reno.state) == (window_bytes, ssthresh_bytes, "slow start")
    # Only once: what comes after is another matter.
    lose_and_recover(reno, SECOND + 3)
    reno.handle_spurious_loss(SECOND + 4)
    reno.window_bytes = 3 * PACKET
    reno.handle_spurious_loss(SECOND + 5)
    assert reno.window_bytes == 3 * PACKET


def test_an_undo_keeps_what_the_window_has_grown_since() -> None:
    reno = Reno(flow())
    reno.window_bytes = 20 * PACKET
    lose_and_recover(reno, 1)
    rounds(reno, 15, 2, 10 * MS)
    grown = reno.window_bytes
    assert grown > 20 * PACKET
    reno.handle_spurious_loss(SECOND)
    assert reno.window_bytes == grown


def test_marks_reduce_once_a_round_where_packets_carry_ect0() -> None:
    reno = controller_factory("reno-ecn")(flow())
    assert reno.ecn == 2
    reno.window_bytes = 40 * PACKET
    ack(reno, 2, 100, ce_packets=1, newest_sent_ns=50)
    assert (reno.window_bytes, reno.state) == (20 * PACKET, "reduction")
    ack(reno, 2, 110, ce_packets=2, newest_sent_ns=60)
    ack(reno, 2, 120, ce_packets=2, newest_sent_ns=100)
    assert (reno.window_bytes, reno.state) == (20 * PACKET, "reduction")
    # A packet that left after the reduction: the round is over, and a mark in it is a new one.
    ack(reno, 2, 160, newest_sent_ns=101)
    assert reno.state == "congestion avoidance"
    ack(reno, 2, 170, ce_packets=1, newest_sent_ns=110)
    assert reno.window_bytes == 10 * PACKET


def test_a_loss_and_marks_of_one_round_are_one_reduction() -> None:
    reno = Reno(flow(), ecn=2)
    reno.window_bytes = 40 * PACKET
    ack(reno, 2, 100, ce_packets=1, newest_sent_ns=50)
    lose(reno, 110)
    assert (reno.window_bytes, reno.state) == (20 * PACKET, "recovery")
    ack(reno, 2, 120, ce_packets=3, newest_sent_ns=70)
    reno.handle_recovered(160)
    assert reno.window_bytes == 20 * PACKET


def test_marks_mean_nothing_where_packets_carry_no_ect0() -> None:
    reno = Reno(flow())
    ack(reno, 1, 100, ce_packets=1)
    assert reno.window_bytes == 11 * PACKET


def test_the_window_grows_only_while_it_limits_the_sender() -> None:
    """RFC 9002 7.8."""
    made = flow(with_delivery=True)
    assert made.delivery is not None
    reno = Reno(made)
    made.delivery.delivered_bytes = 1000
    ack(reno, 1, 1)
    assert reno.window_bytes == 10 * PACKET
    made.delivery.cwnd_limited()
    ack(reno, 1, 2)
    assert reno.window_bytes == 11 * PACKET


def test_after_a_long_pause_the_window_is_the_initial_one() -> None:
    """RFC 5681 4.1; RFC 2861 for ssthresh."""
    made = flow(with_delivery=True)
    assert made.delivery is not None
    made.delivery.rto_ns = 200 * MS
    reno = Reno(made)
    lose_and_recover(reno, 1)
    reno.window_bytes, reno.ssthresh_bytes = 40 * PACKET, 20 * PACKET
    ack(reno, 1, SECOND)
    reno.handle_sent(PACKET, SECOND + 200 * MS)
    assert reno.window_bytes == 40 * PACKET
    ack(reno, 1, 2 * SECOND)
    reno.handle_sent(PACKET, 2 * SECOND + 201 * MS)
    assert (reno.window_bytes, reno.ssthresh_bytes, reno.state) == (10 * PACKET, 30 * PACKET, "slow start")


def test_a_paced_window_leaves_over_a_round_trip() -> None:
    """Two windows a round trip in slow start, 5/4 after (RFC 9002 7.7); a burst is bounded."""
    made = flow(with_delivery=True)
    assert made.delivery is not None
    made.delivery.srtt_ns = 100 * MS
    reno = Reno(made, is_paced=True)
    assert reno.rate_bps is None
    made.delivery.cwnd_limited()
    ack(reno, 10, 1)  # paced, an acknowledgement may be for many (RFC 9406 4.3)
    assert reno.window_bytes == 20 * PACKET
    assert reno.rate_bps == 2 * 20 * PACKET * 8 * 10
    lose_and_recover(reno, 2)
    ack(reno, 1, 3)
    assert reno.rate_bps == 10 * PACKET * 8 * 10 * 5 // 4
    assert reno.send_quantum_bytes == 2 * PACKET


def test_pacing_needs_the_round_trip_time() -> None:
    with pytest.raises(LocalError, match="Delivery"):
        Reno(flow(), is_paced=True)


@pytest.mark.parametrize("name", ["reno-ecn", "cubic-ecn"])
def test_marks_do_what_losses_do_without_losing_anything(name: str) -> None:
    """A queue that marks above a threshold holds the window of a flow with ECT(0): no drop, and the link stays full."""
    rig = Rig(name, rate_bps=20_000_000, limit_packets=10_000)
    rig.port.queue = StepMarking(Limits(packets=40))
    rig.flow.write(1 << 40)
    rig.run_ms(3000)
    worst = 0
    for _ in range(3000):
        rig.run_ms(1)
        worst = max(worst, rig.port.queue.backlog_packets)
    assert rig.port.queue.marked_packets > 0
    assert rig.sender.lost_packets == rig.sender.retransmitted_packets == 0
    # Half, or seven tenths, of BDP and threshold is the least window; a round's growth is the most above.
    assert worst < 60
    assert rig.port.busy_ns > 0.9 * rig.timeline.now
