"""BBRv3 driven by hand: rules of the draft that no path shows by itself. Expected values are the draft's formulas."""

from __future__ import annotations

import random

import pytest

from stacks.congestion import Ack, Delivery, Flow, Loss, controller_factory
from stacks.congestion.bbr3 import Bbr3, State
from stacks.runtime import LocalError
from tests.stacks.congestion.bbr3.rig import POINTS, Rig

MS = 1_000_000
SMSS = 1000
RATE = 80_000_000


class Lost:
    """A record of a packet that was lost."""

    def __init__(self, number: int, tx_in_flight_bytes: int, lost_bytes: int, *, is_app_limited: bool = False) -> None:
        self.number = number
        self.size_bytes = SMSS
        self.sent_ns = self.first_send_ns = self.delivered_ns = self.delivered_bytes = 0
        self.lost_bytes = self.lost_after_bytes = lost_bytes
        self.tx_in_flight_bytes = tx_in_flight_bytes
        self.is_app_limited = is_app_limited


class Told:
    """A BBR that is told of acknowledgements 1 ms apart; each is a round of its own unless `is_round` is false."""

    def __init__(self, *, srtt_ns: int = 0, offload_quanta: int = 1, has_selective_acks: bool = True) -> None:
        self.delivery = Delivery(10 * SMSS)
        self.delivery.srtt_ns = srtt_ns
        flow = Flow(line_rate_bps=10**9, packet_bytes=SMSS, delivery=self.delivery, rng=random.Random(0))
        self.bbr = Bbr3(flow, offload_quanta=offload_quanta, has_selective_acks=has_selective_acks)
        self.now = 0

    def ack(
        self,
        rate_bps: int = RATE,
        *,
        packets: int = 2,
        rtt_ns: int | None = 10 * MS,
        inflight_bytes: int = 50 * SMSS,
        is_app_limited: bool = False,
        is_round: bool = True,
        lost_bytes: int = 0,
        after_ns: int = MS,
    ) -> None:
        self.now += after_ns
        delivery = self.delivery
        prior = delivery.delivered_bytes
        delivery.delivered_bytes += packets * SMSS
        delivery.inflight_bytes = inflight_bytes
        if rtt_ns is not None:
            delivery.srtt_ns = delivery.min_rtt_ns = rtt_ns
        ack = Ack(packets * SMSS, inflight_bytes, rtt_ns=rtt_ns)
        ack.prior_delivered_ns = 0
        ack.prior_delivered_bytes = prior if is_round else -1
        ack.delivered_bytes = packets * SMSS
        ack.delivery_rate_bps = rate_bps
        ack.is_app_limited = is_app_limited
        ack.tx_in_flight_bytes = inflight_bytes
        ack.sample_lost_bytes = lost_bytes
        self.bbr.handle_ack(ack, self.now)

    def lose(self, packet: Lost) -> None:
        self.delivery.lost_bytes += SMSS
        packet.lost_after_bytes = self.delivery.lost_bytes
        self.bbr.handle_lost_packet(packet, self.now)

    def reach(self, state: State, rate_bps: int = RATE) -> None:
        """By a plateau, an empty queue, and time."""
        for _ in range(200):
            if self.bbr.phase is state:
                return
            low = self.bbr.phase in (State.DRAIN, State.DOWN)
            self.ack(rate_bps, inflight_bytes=10 * SMSS if low else 100 * SMSS, packets=20)
        raise AssertionError(self.bbr.state)


def test_the_catalogue_has_it_and_a_flow_without_totals_is_refused() -> None:
    assert controller_factory("bbr3") is Bbr3
    with pytest.raises(LocalError, match="Delivery"):
        Bbr3(Flow(line_rate_bps=1, packet_bytes=1, rng=random.Random(0)))
    with pytest.raises(LocalError, match="rng"):
        Bbr3(Flow(line_rate_bps=1, packet_bytes=1, delivery=Delivery(1)))


def test_the_first_rate_is_of_a_nominal_millisecond_and_then_of_the_first_round_trip() -> None:
    told = Told()
    assert told.bbr.rate_bps == 277 * 10 * SMSS * 8 * 1000 // 100
    told.ack(1_000_000, rtt_ns=50 * MS)
    assert told.bbr.rate_bps == 277 * 10 * SMSS * 8 * 20 // 100
    told.ack(1_000_000, rtt_ns=20 * MS)
    # Once only, and lower rates do not count before the pipe was full.
    assert told.bbr.rate_bps == 277 * 10 * SMSS * 8 * 20 // 100
    told.ack(20_000_000, rtt_ns=20 * MS)
    assert told.bbr.rate_bps == 20_000_000 * 277 * 99 // 10_000


def test_a_known_round_trip_is_used_from_the_start() -> None:
    told = Told(srtt_ns=40 * MS)
    assert told.bbr.rate_bps == 277 * 10 * SMSS * 8 * 25 // 100
    assert told.bbr.min_rtt == 40 * MS


def test_the_quantum_is_a_millisecond_between_two_packets_and_64_kilobytes() -> None:
    told = Told(srtt_ns=100 * MS)
    told.ack(1_000_000)
    assert told.bbr.rate_bps < 2 * SMSS * 8 * 1000
    assert told.bbr.send_quantum_bytes == 2 * SMSS
    told.ack(100_000_000)
    assert told.bbr.send_quantum_bytes == 100_000_000 * 277 * 99 // 10_000 // 8000
    told.ack(1_000_000_000)
    assert told.bbr.send_quantum_bytes == 65_536


def test_the_offload_budget_of_tcp_is_three_quanta() -> None:
    for quanta in (1, 3):
        told = Told(srtt_ns=MS, offload_quanta=quanta)
        told.ack(1_000_000, rtt_ns=MS)
        assert told.bbr.offload_budget == quanta * told.bbr.send_quantum_bytes
        assert told.bbr.max_inflight == max(told.bbr.offload_budget, 4 * SMSS)


def test_max_bw_is_of_two_cycles_and_a_limited_sample_counts_only_above() -> None:
    told = Told()
    told.reach(State.CRUISE)
    bbr = told.bbr
    assert bbr.max_bw == RATE
    told.ack(RATE // 2, is_app_limited=True)
    told.ack(RATE // 2)
    assert bbr.max_bw == RATE
    told.ack(RATE + 1, is_app_limited=True)
    assert bbr.max_bw == RATE + 1
    for cycle in (1, 2):
        cycles = bbr.cycle_count
        told.reach(State.UP, RATE // 2)
        while bbr.cycle_count == cycles:
            told.ack(RATE // 2, inflight_bytes=100 * SMSS, packets=20)
        # The new cycle's first sample makes max_bw forget, unless the application was the limit.
        told.ack(RATE // 4, is_app_limited=True)
        assert bbr.max_bw == RATE + 1
        told.ack(RATE // 2)
        assert bbr.max_bw == (RATE + 1 if cycle == 1 else RATE // 2)


def test_loss_in_cruise_takes_the_short_term_bounds_down_to_beta_or_what_was_delivered() -> None:
    told = Told()
    told.reach(State.CRUISE)
    bbr = told.bbr
    told.ack(RATE // 10, packets=1)
    told.ack(RATE // 10, packets=1)
    told.lose(Lost(1, 50 * SMSS, 0))
    window = bbr.window_bytes
    told.ack(RATE // 10, packets=1)
    assert (bbr.bw_shortterm, bbr.inflight_shortterm) == (RATE * 70 // 100, window * 70 // 100)
    assert bbr.bw == RATE * 70 // 100
    told.lose(Lost(3, 50 * SMSS, 0))
    told.ack(RATE * 6 // 10, packets=1)
    assert bbr.bw_shortterm == RATE * 6 // 10
    assert bbr.window_bytes <= window * 49 // 100 + SMSS


def test_beta_bounds_what_one_loss_takes_from_the_long_term_model() -> None:
    told = Told()
    told.reach(State.UP)
    bbr = told.bbr
    target = min(bbr.bdp, bbr.window_bytes)
    # The lost packet had hardly anything in flight around it.
    told.lose(Lost(1, 2 * SMSS, told.delivery.lost_bytes))
    assert bbr.inflight_longterm == target * 70 // 100
    assert bbr.phase is State.DOWN
    assert bbr.undo_state is State.UP


def test_a_plateau_does_not_count_while_the_long_term_model_is_the_limit() -> None:
    told = Told()
    told.reach(State.UP)
    bbr = told.bbr
    bbr.inflight_longterm = 60 * SMSS
    told.ack()
    assert bbr.window_bytes == bbr.inflight_longterm
    for _ in range(3):
        told.delivery.cwnd_limited()
        told.ack()
        assert bbr.phase is State.UP
        assert (bbr.full_bw, bbr.full_bw_count) == (RATE, 0)


def test_inflight_at_loss_is_where_losses_reached_two_percent() -> None:
    told = Told()
    told.reach(State.UP)
    lost_before = told.delivery.lost_bytes
    told.lose(Lost(1, 100 * SMSS, lost_before))
    assert told.bbr.inflight_longterm > 1 << 61  # 1 %
    told.lose(Lost(3, 100 * SMSS, lost_before))
    assert told.bbr.inflight_longterm > 1 << 61  # 2 %, not above
    told.lose(Lost(5, 100 * SMSS, lost_before))
    # 99 in flight before it, of which 2 were lost: 0.02 x 99 - 2 = -0.02, by 0.98.
    assert told.bbr.inflight_longterm == 99 * SMSS - 21
    assert told.bbr.phase is State.DOWN


def test_one_probe_is_answered_once() -> None:
    told = Told()
    told.reach(State.UP)
    for number in range(10):
        told.lose(Lost(number, 100 * SMSS, told.delivery.lost_bytes - number * SMSS))
    longterm = told.bbr.inflight_longterm
    assert longterm < 100 * SMSS
    told.lose(Lost(11, 10 * SMSS, 0))
    assert told.bbr.inflight_longterm == longterm


def test_without_selective_acknowledgements_any_loss_in_recovery_ends_startup() -> None:
    for has_selective_acks in (True, False):
        told = Told(has_selective_acks=has_selective_acks)
        told.ack()
        told.ack()
        told.bbr.handle_loss(Loss(SMSS, is_timeout=False), told.now)
        told.lose(Lost(1, 10 * SMSS, 0))
        told.ack(lost_bytes=SMSS)
        assert (told.bbr.phase is State.STARTUP) is has_selective_acks
        assert told.bbr.full_bw_reached is not has_selective_acks


def test_a_timeout_leaves_a_packet_and_the_end_of_recovery_brings_the_window_back() -> None:
    told = Told()
    told.reach(State.CRUISE)
    bbr, window = told.bbr, told.bbr.window_bytes
    told.delivery.inflight_bytes = 3 * SMSS
    bbr.handle_loss(Loss(window, is_timeout=True), told.now)
    assert bbr.window_bytes == 4 * SMSS
    assert bbr.prior_cwnd == window
    told.ack(packets=1, inflight_bytes=SMSS)
    assert bbr.window_bytes == 5 * SMSS
    bbr.handle_recovered(told.now)
    assert bbr.window_bytes == window


def test_a_spurious_loss_that_ended_startup_leads_back_to_it() -> None:
    told = Told(has_selective_acks=False)
    told.ack()
    told.ack()
    window = told.bbr.window_bytes
    told.bbr.handle_loss(Loss(SMSS, is_timeout=False), told.now)
    told.lose(Lost(1, 100 * SMSS, 0))
    told.ack(lost_bytes=SMSS, inflight_bytes=150 * SMSS)
    assert told.bbr.phase is State.DRAIN
    assert told.bbr.undo_state is State.STARTUP
    told.bbr.handle_spurious_loss(told.now)
    assert told.bbr.phase is State.STARTUP
    assert not told.bbr.full_bw_reached
    assert told.bbr.window_bytes >= window
    assert told.bbr.inflight_longterm == 1 << 62
    assert (told.bbr.pacing_gain, told.bbr.cwnd_gain) == (277, 200)


def test_what_a_long_recovery_saved_is_the_state_before_it() -> None:
    told = Told()
    told.reach(State.CRUISE)
    bbr, window = told.bbr, told.bbr.window_bytes
    bbr.full_bw_count = 2
    bbr.handle_loss(Loss(SMSS, is_timeout=False), told.now)
    for number in range(1, 7):
        told.lose(Lost(2 * number, 50 * SMSS, 0))
        told.ack(RATE // 10, packets=1)
    assert bbr.bw_shortterm < RATE // 2
    bbr.handle_spurious_loss(told.now)
    assert (bbr.full_bw, bbr.full_bw_count, bbr.full_bw_now) == (0, 0, False)
    told.ack(RATE // 10, packets=1)
    assert bbr.bw_shortterm == bbr.inflight_shortterm == 1 << 62
    assert bbr.bw == RATE
    assert bbr.window_bytes >= window


def test_precaution_ends_the_probe_after_a_lossy_one_and_success_begins_the_next_at_once() -> None:
    told = Told()
    told.reach(State.UP)
    told.lose(Lost(1, 20 * SMSS, told.delivery.lost_bytes))
    assert told.bbr.prev_probe_too_high
    told.reach(State.UP)
    longterm = told.bbr.inflight_longterm
    told.ack(inflight_bytes=longterm - 4 * SMSS, is_round=False)
    assert told.bbr.phase is State.UP
    told.ack(inflight_bytes=longterm - 2 * SMSS, packets=2, is_round=False)
    assert told.bbr.phase is State.DOWN
    assert told.bbr.prev_probe_precautionary
    assert not told.bbr.prev_probe_too_high
    told.ack(inflight_bytes=longterm)
    assert told.bbr.phase is State.REFILL


def test_a_probe_rtt_that_was_over_during_a_pause_ends_before_the_next_packet() -> None:
    rig = Rig(POINTS[1])
    rig.bulk()
    rig.until_state(State.CRUISE)
    window = rig.bbr.window_bytes
    rig.wait_for_probe_rtt()
    rig.until(lambda: rig.bbr.probe_rtt_done_stamp != 0)
    rig.pause()
    rig.drain()
    assert rig.bbr.phase is State.PROBE_RTT
    rig.run(300 * MS)
    count = len(rig.transitions)
    rig.bulk()
    assert [step.new for step in rig.transitions[count:]] == [State.DOWN, State.CRUISE]
    assert rig.bbr.window_bytes >= window * 9 // 10


def test_aggregation_is_remembered_for_ten_rounds_and_in_startup_for_one() -> None:
    told = Told()
    told.ack(packets=1)
    told.ack(packets=9)
    assert told.bbr.extra_acked >= 9 * SMSS
    told.ack(packets=1)
    assert told.bbr.extra_acked < 9 * SMSS

    told.reach(State.CRUISE)
    for _ in range(10):
        told.ack(packets=1)
    told.ack(packets=40, after_ns=0)
    first_round = told.bbr.round_count
    # 40 packets in the time of none.
    assert told.bbr.extra_acked >= 40 * SMSS
    for _ in range(9):
        told.ack(packets=1)
    assert told.bbr.round_count == first_round + 9
    assert told.bbr.extra_acked >= 40 * SMSS
    told.ack(packets=1)
    assert told.bbr.extra_acked < 40 * SMSS


def test_infinity_is_shown_as_minus_one() -> None:
    shown = Told().bbr.variables()
    assert shown["inflight_longterm"] == shown["bw_shortterm"] == shown["min_rtt"] == -1
    assert shown["full_bw_reached"] == 0
    assert shown["pacing_gain"] == 277
