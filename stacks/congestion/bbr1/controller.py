"""The variables of BBR and the order in which each acknowledgement goes through its parts (bbr_main)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stacks.congestion.bbr1 import aggregation, bandwidth, min_rtt, policer, probe_bw, startup, window
from stacks.congestion.bbr1.constants import (
    BBR_UNIT,
    BW_ROUNDS,
    BW_SCALE,
    CWND_GAIN,
    DRAIN,
    DRAIN_GAIN,
    HIGH_GAIN,
    LOSS,
    NO_RTT_US,
    OPEN,
    PACING_GAINS,
    PROBE_BW,
    PROBE_RTT,
    RECOVERY,
    STARTUP,
)
from stacks.congestion.bbr1.minmax import WindowedMax
from stacks.congestion.controller import Ack, Controller, Flow, Loss
from stacks.runtime import LocalError

if TYPE_CHECKING:
    from stacks.congestion.delivery import SentPacket


class Bbr1(Controller):
    """One flow. The attributes are those of `struct bbr`; LocalError for a flow without delivery totals.

    state: STARTUP, DRAIN, PROBE_BW or PROBE_RTT. cwnd, prior_cwnd: packets. max_bw: the bandwidth filter; lt_bw: the
    policer's rate, which counts instead while lt_use_bw. min_rtt_us: NO_RTT_US before the first. pacing_gain,
    cwnd_gain: in units of 1/256. pacing_rate: bytes per second, as sk_pacing_rate. tso_segs_goal: packets that leave
    together. losses: packets found lost since the last acknowledgement; lost_ns: when the last was; timeout_ns: when
    the retransmission timer last ran out. ca_state, prev_ca_state: OPEN, RECOVERY or LOSS, now and at the last
    acknowledgement.
    """

    rate_bps: int
    window_bytes: int

    def __init__(self, flow: Flow) -> None:
        if flow.delivery is None:
            raise LocalError("bbr1 works from delivery-rate samples: its flow needs a Delivery")
        if flow.rng is None:
            raise LocalError("bbr1 begins its cycle at a random phase: its flow needs an rng of its own")
        self.delivery = flow.delivery
        self.packet_bytes = flow.packet_bytes
        self.rng = flow.rng
        self.state = STARTUP
        self.cwnd = max(self.delivery.initial_window_bytes // flow.packet_bytes, 1)
        self.window_bytes = self.cwnd * flow.packet_bytes
        self.prior_cwnd = 0
        self.losses = 0
        self.lost_ns = self.timeout_ns = -1
        self.ca_state = self.prev_ca_state = OPEN
        self.packet_conservation = False
        self.pacing_gain = self.cwnd_gain = HIGH_GAIN
        self.max_bw = WindowedMax(BW_ROUNDS)
        self.rtt_cnt = 0
        self.next_rtt_delivered = 0
        self.round_start = False
        self.full_bw = self.full_bw_cnt = 0
        self.full_bw_reached = False
        self.min_rtt_us = NO_RTT_US
        self.min_rtt_stamp_ns = flow.start_ns
        self.probe_rtt_done_ns = 0
        self.probe_rtt_round_done = False
        self.idle_restart = False
        self.cycle_idx = 0
        self.cycle_ns = flow.start_ns
        self.lt_use_bw = self.lt_is_sampling = False
        self.lt_bw = self.lt_rtt_cnt = self.lt_last_stamp_ms = self.lt_last_delivered = self.lt_last_lost = 0
        self.extra_acked = [0, 0]
        self.extra_acked_win_rtts = self.extra_acked_win_idx = 0
        self.ack_epoch_ns = flow.start_ns
        self.ack_epoch_acked = 0
        self.has_seen_rtt = False
        self.pacing_rate = self.tso_segs_goal = 0
        self.paced_bw = self.paced_gain = 0
        window.init_pacing_rate(self)

    def handle_ack(self, ack: Ack, now: int) -> None:
        """Update the model, then what follows from it."""
        if self.ca_state == RECOVERY and not self.losses and ack.newest_sent_ns > self.lost_ns:
            self.ca_state = OPEN
        bandwidth.update(self, ack)
        aggregation.update(self, ack)
        if self.state == PROBE_BW:
            probe_bw.update(self, ack, now)
        if not self.full_bw_reached:
            startup.check_full_bw(self, ack)
        if self.state in (STARTUP, DRAIN):
            startup.check_drain(self, ack, now)
        min_rtt.update(self, ack, now)
        self._update_gains()
        bw = self.lt_bw if self.lt_use_bw else self.max_bw.best
        if bw != self.paced_bw or self.pacing_gain != self.paced_gain or not self.full_bw_reached:
            window.set_pacing_rate(self, bw, self.pacing_gain)
        window.set_cwnd(self, ack, bw, aggregation.extra_cwnd(self, bw) if self.full_bw_reached else 0)
        self.losses = 0

    def handle_sent(self, length_bytes: int, now: int) -> None:  # noqa: ARG002
        """The first packet after silence that the application made: pace at the bandwidth, without a burst."""
        delivery = self.delivery
        if delivery.inflight_bytes or not delivery.app_limited:
            return
        self.idle_restart = True
        self.ack_epoch_ns = now
        self.ack_epoch_acked = 0
        if self.state == PROBE_BW:
            window.set_pacing_rate(self, self.lt_bw if self.lt_use_bw else self.max_bw.best, BBR_UNIT)
        elif self.state == PROBE_RTT:
            min_rtt.check_done(self, now)
            self.window_bytes = self.cwnd * self.packet_bytes

    def handle_lost_packet(self, packet: SentPacket, now: int) -> None:  # noqa: ARG002
        """Count it for the next acknowledgement; what a timeout gives up is no part of that one's."""
        if now != self.timeout_ns:
            self.losses += 1
        self.lost_ns = now

    def handle_loss(self, loss: Loss, now: int) -> None:
        """Recovery begins; a timeout leaves one packet of cwnd, and ends a round and a policer interval."""
        min_rtt.save_cwnd(self)
        if not loss.is_timeout:
            self.ca_state = RECOVERY
            return
        self.ca_state = self.prev_ca_state = LOSS
        self.cwnd = -(-self.delivery.inflight_bytes // self.packet_bytes) + 1
        self.window_bytes = self.cwnd * self.packet_bytes
        self.full_bw = 0
        self.round_start = True
        self.losses = 0
        self.timeout_ns = now
        policer.sample(self, 1, is_app_limited=False)

    def handle_recovered(self, now: int) -> None:  # noqa: ARG002
        """After a timeout, the next acknowledgement restores cwnd; another recovery ends with a round without loss."""
        if self.ca_state == LOSS:
            self.ca_state = OPEN

    def handle_spurious_loss(self, now: int) -> None:  # noqa: ARG002
        """Look for the full pipe anew, and forget the policer (bbr_undo_cwnd)."""
        self.ca_state = OPEN
        self.full_bw = self.full_bw_cnt = 0
        policer.reset(self)

    def variables(self) -> dict[str, int]:
        """What TCP_CC_INFO shows (bytes per second, microseconds, gains of 256), and more of `struct bbr`."""
        bw = self.lt_bw if self.lt_use_bw else self.max_bw.best
        return {
            "bw": bw * self.packet_bytes * 1_000_000 >> BW_SCALE,
            "min_rtt": self.min_rtt_us,
            "pacing_gain": self.pacing_gain,
            "cwnd_gain": self.cwnd_gain,
            "cycle_idx": self.cycle_idx,
            "rtt_cnt": self.rtt_cnt,
            "full_bw_reached": int(self.full_bw_reached),
            "full_bw_cnt": self.full_bw_cnt,
            "extra_acked": max(self.extra_acked),
            "lt_use_bw": int(self.lt_use_bw),
            "idle_restart": int(self.idle_restart),
            "packet_conservation": int(self.packet_conservation),
            "prior_cwnd": self.prior_cwnd,
        }

    def _update_gains(self) -> None:
        state = self.state
        if state == PROBE_BW:
            self.pacing_gain = BBR_UNIT if self.lt_use_bw else PACING_GAINS[self.cycle_idx]
            self.cwnd_gain = CWND_GAIN
        elif state == STARTUP:
            self.pacing_gain = self.cwnd_gain = HIGH_GAIN
        elif state == DRAIN:
            self.pacing_gain = DRAIN_GAIN
            self.cwnd_gain = HIGH_GAIN  # the window stays
        else:
            self.pacing_gain = self.cwnd_gain = BBR_UNIT
