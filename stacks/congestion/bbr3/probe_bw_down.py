"""ProbeBW_DOWN: a tenth less than arrives, until the queue is drained and others have room (5.3.3.1, 5.3.3.6)."""

from __future__ import annotations

from stacks.congestion.bbr3.constants import INFINITY, PROBE_WAIT_NS, PROBE_WAIT_RANDOM_NS
from stacks.congestion.bbr3.machine import AckPhase, Event
from stacks.congestion.bbr3.outputs import inflight_of, inflight_with_headroom
from stacks.congestion.bbr3.probe_bw_cruise import is_time_to_probe_bw
from stacks.congestion.bbr3.rounds import reset_congestion_signals, start_round
from stacks.congestion.bbr3.variables import Variables
from stacks.congestion.controller import Ack


def enter(bbr: Variables, now: int) -> None:
    """StartProbeBW_DOWN, with PickProbeWait."""
    reset_congestion_signals(bbr)
    bbr.probe_up_acked_per_inc = INFINITY
    bbr.rounds_since_probe_up = int(2 * bbr.rng.random())
    bbr.bw_probe_wait = PROBE_WAIT_NS + int(PROBE_WAIT_RANDOM_NS * bbr.rng.random())
    bbr.cycle_stamp = now
    bbr.ack_phase = AckPhase.PROBE_STOPPING
    start_round(bbr)


def check(bbr: Variables, ack: Ack, now: int) -> Event | None:
    """Time to probe, or to cruise (IsTimeToCruise)."""
    if is_time_to_probe_bw(bbr, now):
        return Event.TIME_TO_PROBE_BW
    inflight_bytes = ack.inflight_bytes
    if inflight_bytes > inflight_with_headroom(bbr) or inflight_bytes > inflight_of(bbr, bbr.max_bw, 100):
        return None
    return Event.TIME_TO_CRUISE
