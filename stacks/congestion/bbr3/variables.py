"""BBR's variables (section 2) and their first values (5.2.1): what the phases, the model and the outputs work on."""

from __future__ import annotations

import random
from collections.abc import Callable

from stacks.congestion.bbr3.constants import (
    DEFAULT_CWND_GAIN,
    INFINITY,
    MAX_SEND_QUANTUM_BYTES,
    MIN_PIPE_PACKETS,
    STARTUP_PACING_GAIN,
)
from stacks.congestion.bbr3.machine import AckPhase, Event, State
from stacks.congestion.controller import Ack, Controller, Flow
from stacks.congestion.delivery import Delivery
from stacks.runtime import LocalError


class Variables(Controller):
    """BBR. in the draft, name for name; C. is `delivery`, RS. is `rs`.

    Rates are bits per second, volumes bytes, times nanoseconds, gains percentages; INFINITY stands for Infinity and for
    what is not set. `phase` is BBR.state, and `state` its name. `rate_bps`, `send_quantum_bytes` and `window_bytes` are
    C.pacing_rate, C.send_quantum and C.cwnd.

    Ours: smss, min_pipe_cwnd, initial_cwnd; offload_quanta and has_selective_acks, as configured; max_bw_filter as two
    slots, max_bw_previous and max_bw_current; extra_acked_filter as the maximum of this round and those of the rounds
    before, the oldest first; is_in_recovery, and recovery_delivered: C.delivered when a fast recovery began, INFINITY
    without one; lost_ranges and last_lost: discontiguous ranges lost in this round, and where the last one ended;
    is_stale: rates and budgets have to be computed again; has_seen_rtt: pacing no longer assumes 1 ms; on_transition:
    called with the old state, the new one, the event and the time, before the new one is entered.
    """

    # Slots, as there are more than CPython keeps fast in an instance's dictionary.
    __slots__ = (
        "ack_phase", "bdp", "bw", "bw_latest", "bw_probe_up_acked", "bw_probe_up_rounds", "bw_probe_wait",
        "bw_shortterm", "cwnd_gain", "cycle_count", "cycle_stamp", "delivery", "drain_start_round", "extra_acked",
        "extra_acked_delivered", "extra_acked_interval_start", "extra_acked_round", "extra_acked_rounds", "full_bw",
        "full_bw_count", "full_bw_now", "full_bw_reached", "has_seen_rtt", "has_selective_acks", "idle_restart",
        "inflight_latest", "inflight_longterm", "inflight_shortterm", "initial_cwnd", "is_bw_probe_sample",
        "is_in_recovery", "is_loss_in_round", "is_stale", "last_lost", "loss_round_delivered", "loss_round_start",
        "lost_ranges", "max_bw", "max_bw_current", "max_bw_previous", "max_inflight", "min_pipe_cwnd", "min_rtt",
        "min_rtt_stamp", "next_round_delivered", "offload_budget", "offload_quanta", "on_transition", "pacing_gain",
        "phase", "prev_probe_precautionary", "prev_probe_too_high", "prior_cwnd", "probe_rtt_done_stamp",
        "probe_rtt_expired", "probe_rtt_min_delay", "probe_rtt_min_stamp", "probe_rtt_round_done",
        "probe_up_acked_per_inc", "rate_bps", "recovery_delivered", "rng", "round_count", "round_start",
        "rounds_since_probe_up", "rs", "send_quantum_bytes", "smss", "state", "undo_bw_shortterm",
        "undo_inflight_longterm", "undo_inflight_shortterm", "undo_state", "window_bytes",
    )  # fmt: skip

    rate_bps: int
    window_bytes: int

    def __init__(self, flow: Flow, *, offload_quanta: int, has_selective_acks: bool) -> None:
        if flow.delivery is None:
            raise LocalError("BBR works from delivery-rate samples: give its flow a Delivery")
        if flow.rng is None:
            raise LocalError("BBR probes at random times: give its flow an rng of its own")
        self.delivery: Delivery = flow.delivery
        self.rng: random.Random = flow.rng
        self.smss = flow.packet_bytes
        self.min_pipe_cwnd = MIN_PIPE_PACKETS * flow.packet_bytes
        self.offload_quanta = offload_quanta
        self.has_selective_acks = has_selective_acks
        self.rs = Ack(0, 0)
        self.on_transition: Callable[[State, State, Event, int], object] | None = None
        self._init_path(flow.start_ns)
        self._init_probing(flow.start_ns)
        self._init_loss()
        self.phase: State = State.STARTUP
        self.state = State.STARTUP.value
        self.pacing_gain = STARTUP_PACING_GAIN
        self.cwnd_gain = DEFAULT_CWND_GAIN
        self.rate_bps = 1
        self.send_quantum_bytes = min(2 * self.smss, MAX_SEND_QUANTUM_BYTES)
        self.initial_cwnd = self.window_bytes = self.delivery.initial_window_bytes or 10 * self.smss
        self.is_stale = True
        self.has_seen_rtt = bool(self.delivery.srtt_ns)

    def _init_path(self, now: int) -> None:
        self.round_count = self.next_round_delivered = 0
        self.round_start = False
        self.max_bw = self.max_bw_previous = self.max_bw_current = self.cycle_count = 0
        self.bw = self.bdp = 0
        self.bw_latest = self.inflight_latest = 0
        self.bw_shortterm = self.inflight_shortterm = self.inflight_longterm = INFINITY
        self.min_rtt = self.delivery.srtt_ns or INFINITY
        self.min_rtt_stamp = now
        self.max_inflight = self.offload_budget = 0
        self.extra_acked = self.extra_acked_round = self.extra_acked_delivered = 0
        self.extra_acked_rounds: list[int] = []
        self.extra_acked_interval_start = now

    def _init_probing(self, now: int) -> None:
        self.idle_restart = False
        self.full_bw = self.full_bw_count = 0
        self.full_bw_now = self.full_bw_reached = False
        self.drain_start_round = 0
        self.ack_phase: AckPhase = AckPhase.INIT
        self.is_bw_probe_sample = False
        self.prev_probe_too_high = self.prev_probe_precautionary = False
        self.probe_up_acked_per_inc = INFINITY
        self.bw_probe_up_acked = self.bw_probe_up_rounds = self.rounds_since_probe_up = 0
        self.cycle_stamp = self.bw_probe_wait = 0
        self.probe_rtt_min_delay = INFINITY
        self.probe_rtt_min_stamp = now
        self.probe_rtt_done_stamp = 0
        self.probe_rtt_expired = self.probe_rtt_round_done = False

    def _init_loss(self) -> None:
        self.loss_round_delivered = 0
        self.is_loss_in_round = self.loss_round_start = False
        self.prior_cwnd = 0
        self.undo_state: State | None = None
        self.undo_bw_shortterm = self.undo_inflight_shortterm = self.undo_inflight_longterm = 0
        self.is_in_recovery = False
        self.recovery_delivered = INFINITY
        self.lost_ranges = 0
        self.last_lost = -2

    def variables(self) -> dict[str, int]:
        """The draft's variables by its names; -1 for Infinity and for a state that is not set."""
        shown = {name: int(getattr(self, name)) for name in SHOWN}
        return {name: -1 if value >= INFINITY else value for name, value in shown.items()}


SHOWN = (
    "max_bw", "bw", "bw_shortterm", "bw_latest", "min_rtt", "bdp", "extra_acked", "offload_budget", "max_inflight",
    "inflight_longterm", "inflight_shortterm", "inflight_latest", "pacing_gain", "cwnd_gain", "round_count",
    "cycle_count", "full_bw", "full_bw_count", "full_bw_now", "full_bw_reached", "is_loss_in_round",
    "is_bw_probe_sample", "rounds_since_probe_up", "bw_probe_wait", "bw_probe_up_rounds", "probe_up_acked_per_inc",
    "prev_probe_too_high", "prev_probe_precautionary", "probe_rtt_min_delay", "probe_rtt_expired", "idle_restart",
    "prior_cwnd", "undo_bw_shortterm", "undo_inflight_shortterm", "undo_inflight_longterm",
)  # fmt: skip
