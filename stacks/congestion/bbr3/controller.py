"""BBRv3 itself: the steps of section 5.2 in their order, and the one function that changes its state."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stacks.congestion.bbr3 import (
    drain,
    longterm,
    probe_bw_cruise,
    probe_bw_down,
    probe_bw_refill,
    probe_bw_up,
    probe_rtt,
    startup,
    undo,
)
from stacks.congestion.bbr3.aggregation import update_ack_aggregation
from stacks.congestion.bbr3.constants import (
    DEFAULT_CWND_GAIN,
    DRAIN_PACING_GAIN,
    INFINITY,
    MIN_PIPE_PACKETS,
    PROBE_DOWN_PACING_GAIN,
    PROBE_RTT_CWND_GAIN,
    PROBE_UP_CWND_GAIN,
    PROBE_UP_PACING_GAIN,
    STARTUP_PACING_GAIN,
)
from stacks.congestion.bbr3.full_pipe import check_full_bw_reached
from stacks.congestion.bbr3.machine import IGNORE, TABLE, Event, State
from stacks.congestion.bbr3.outputs import (
    init_pacing_rate,
    set_cwnd,
    set_pacing_rate_with_gain,
    set_rates_and_budgets,
)
from stacks.congestion.bbr3.rounds import update_signals
from stacks.congestion.bbr3.variables import Variables
from stacks.congestion.controller import Ack, Flow, Loss
from stacks.congestion.delivery import SentPacket


class Bbr3(Variables):
    """One flow's BBRv3; its variables are attributes under the draft's names, see `Variables`.

    offload_quanta: how many send quanta the offload budget is: 1 for QUIC and whoever sends a quantum as packets, 3 for
    TCP with its offloads (5.5.8). has_selective_acks: more than one loss a round trip can be detected.
    LocalError for a flow without `delivery`.
    """

    __slots__ = ()

    def __init__(self, flow: Flow, *, offload_quanta: int = 1, has_selective_acks: bool = True) -> None:
        super().__init__(flow, offload_quanta=offload_quanta, has_selective_acks=has_selective_acks)
        init_pacing_rate(self)

    def handle_sent(self, length_bytes: int, now: int) -> None:  # noqa: ARG002
        """OnTransmit: HandleRestartFromIdle (5.4.1)."""
        delivery = self.delivery
        if delivery.inflight_bytes or not delivery.app_limited:
            return
        self.idle_restart = True
        self.extra_acked_interval_start = now
        if self.phase in CHECKS:
            set_pacing_rate_with_gain(self, 100)
            self.is_stale = True
        elif self.phase is State.PROBE_RTT:
            self._apply(probe_rtt.check_done(self, now), now)

    def handle_ack(self, ack: Ack, now: int) -> None:
        """UpdateOnACK (5.2.3)."""
        if ack.prior_delivered_ns < 0:
            return  # nothing was newly acknowledged
        self.rs = ack
        update_signals(self, ack)
        update_ack_aggregation(self, ack, now)
        if self.round_start and not self.full_bw_now and not ack.is_app_limited:
            check_full_bw_reached(self, ack)
        if self.phase is State.STARTUP:
            self._apply(startup.check(self, ack), now)
        if self.phase is State.DRAIN:
            self._apply(drain.check(self, ack), now)
        if self.full_bw_reached:
            self._update_probe_bw_cycle_phase(ack, now)
        probe_rtt.update_min_rtt(self, ack, now)
        if self.probe_rtt_expired or self.idle_restart or self.phase is State.PROBE_RTT:
            self._check_probe_rtt(ack, now)
        if self.loss_round_start:
            self.bw_latest = ack.delivery_rate_bps
            self.inflight_latest = ack.delivered_bytes
        bw = min(self.max_bw, self.bw_shortterm)
        if bw != self.bw or self.is_stale:
            self.bw = bw
            set_rates_and_budgets(self)
        set_cwnd(self, ack)

    def handle_mtu(self, packet_bytes: int, now: int) -> None:  # noqa: ARG002
        """C.SMSS is another."""
        self.smss = packet_bytes
        self.min_pipe_cwnd = MIN_PIPE_PACKETS * packet_bytes
        self.is_stale = True

    def handle_lost_packet(self, packet: SentPacket, now: int) -> None:
        """HandleLostPacket, with NoteLoss (5.5.10.2)."""
        if not self.is_loss_in_round:
            self.loss_round_delivered = self.delivery.delivered_bytes
            self.is_loss_in_round = True
            self.lost_ranges = 0
            self.last_lost = -2
        if packet.number != self.last_lost + 1:
            self.lost_ranges += 1
        self.last_lost = packet.number
        self._apply(longterm.handle_lost_packet(self, packet), now)

    def handle_loss(self, loss: Loss, now: int) -> None:  # noqa: ARG002
        """OnEnterFastRecovery or OnEnterRTO (5.6.4.4)."""
        undo.save_state_upon_loss(self)
        self.is_in_recovery = True
        self.recovery_delivered = INFINITY if loss.is_timeout else self.delivery.delivered_bytes
        if loss.is_timeout:
            self.window_bytes = self.delivery.inflight_bytes + self.smss

    def handle_recovered(self, now: int) -> None:  # noqa: ARG002
        """The end of a recovery restores the window (5.6.4.4)."""
        self.is_in_recovery = False
        undo.restore_cwnd(self)

    def handle_spurious_loss(self, now: int) -> None:
        """HandleSpuriousLossDetection (5.5.11.2)."""
        self.is_in_recovery = False
        self.recovery_delivered = INFINITY
        self._apply(undo.handle_spurious_loss_detection(self), now)

    def _update_probe_bw_cycle_phase(self, ack: Ack, now: int) -> None:
        if self.round_start:
            event = longterm.adapt_ack_phase(self, ack)
            if event is not None:
                self._apply(event, now)
                return
        if self.inflight_longterm < INFINITY:
            longterm.raise_inflight_longterm(self, ack)
        check = CHECKS.get(self.phase)
        if check is not None:
            event = check(self, ack, now)
            if event is not None:
                self._apply(event, now)

    def _check_probe_rtt(self, ack: Ack, now: int) -> None:
        # CheckProbeRTT
        if self.probe_rtt_expired and self.phase is not State.PROBE_RTT and not self.idle_restart:
            self._apply(Event.PROBE_RTT_EXPIRED, now)
        if self.phase is State.PROBE_RTT:
            self._apply(probe_rtt.handle(self, ack, now), now)
        if ack.delivered_bytes > 0:
            self.idle_restart = False

    def _apply(self, event: Event | None, now: int) -> None:
        """What `event` does to the state: the only place where it changes."""
        if event is None:
            return
        state = TABLE[self.phase, event]
        if state is IGNORE:
            return
        if self.on_transition is not None:
            self.on_transition(self.phase, state, event, now)
        self.phase = state
        self.state = state.value
        self.pacing_gain, self.cwnd_gain = GAINS[state]
        self.is_stale = True
        ENTER[state](self, now)
        if event is Event.PROBE_RTT_DONE:
            # What is in flight is below the BDP already (5.3.4.4).
            self._apply(Event.TIME_TO_CRUISE, now)


ENTER: Mapping[State, Callable[[Variables, int], None]] = {
    State.STARTUP: startup.enter,
    State.DRAIN: drain.enter,
    State.DOWN: probe_bw_down.enter,
    State.CRUISE: probe_bw_cruise.enter,
    State.REFILL: probe_bw_refill.enter,
    State.UP: probe_bw_up.enter,
    State.PROBE_RTT: probe_rtt.enter,
}

CHECKS: Mapping[State, Callable[[Variables, Ack, int], Event | None]] = {
    State.DOWN: probe_bw_down.check,
    State.CRUISE: probe_bw_cruise.check,
    State.REFILL: probe_bw_refill.check,
    State.UP: probe_bw_up.check,
}

GAINS: Mapping[State, tuple[int, int]] = {
    State.STARTUP: (STARTUP_PACING_GAIN, DEFAULT_CWND_GAIN),
    State.DRAIN: (DRAIN_PACING_GAIN, DEFAULT_CWND_GAIN),
    State.DOWN: (PROBE_DOWN_PACING_GAIN, DEFAULT_CWND_GAIN),
    State.CRUISE: (100, DEFAULT_CWND_GAIN),
    State.REFILL: (100, DEFAULT_CWND_GAIN),
    State.UP: (PROBE_UP_PACING_GAIN, PROBE_UP_CWND_GAIN),
    State.PROBE_RTT: (100, PROBE_RTT_CWND_GAIN),
}
"""Pacing and cwnd gain of each state, in percent (5.6.1)."""
