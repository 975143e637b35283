"""ProbeRTT: half a BDP for a while, so that the queue drains and the smallest round trip shows (5.3.4)."""

from __future__ import annotations

from stacks.congestion.bbr3.constants import (
    MIN_RTT_FILTER_LEN_NS,
    PROBE_RTT_DURATION_NS,
    PROBE_RTT_INTERVAL_NS,
)
from stacks.congestion.bbr3.machine import AckPhase, Event
from stacks.congestion.bbr3.outputs import probe_rtt_cwnd
from stacks.congestion.bbr3.rounds import reset_short_term_model, start_round
from stacks.congestion.bbr3.undo import restore_cwnd, save_cwnd
from stacks.congestion.bbr3.variables import Variables
from stacks.congestion.controller import Ack


def update_min_rtt(bbr: Variables, ack: Ack, now: int) -> None:
    """UpdateMinRTT (5.3.4.3)."""
    bbr.probe_rtt_expired = is_expired = now > bbr.probe_rtt_min_stamp + PROBE_RTT_INTERVAL_NS
    rtt_ns = ack.rtt_ns
    if rtt_ns is not None and (rtt_ns < bbr.probe_rtt_min_delay or is_expired):
        bbr.probe_rtt_min_delay = rtt_ns
        bbr.probe_rtt_min_stamp = now
    if bbr.probe_rtt_min_delay < bbr.min_rtt or now > bbr.min_rtt_stamp + MIN_RTT_FILTER_LEN_NS:
        bbr.min_rtt = bbr.probe_rtt_min_delay
        bbr.min_rtt_stamp = bbr.probe_rtt_min_stamp
        bbr.is_stale = True


def enter(bbr: Variables, now: int) -> None:  # noqa: ARG001
    """EnterProbeRTT and what CheckProbeRTT does beside it."""
    save_cwnd(bbr)
    bbr.probe_rtt_done_stamp = 0
    bbr.ack_phase = AckPhase.PROBE_STOPPING
    start_round(bbr)


def handle(bbr: Variables, ack: Ack, now: int) -> Event | None:
    """HandleProbeRTT."""
    bbr.delivery.application_limited()
    if bbr.probe_rtt_done_stamp == 0:
        if ack.inflight_bytes <= probe_rtt_cwnd(bbr):
            bbr.probe_rtt_done_stamp = now + PROBE_RTT_DURATION_NS
            bbr.probe_rtt_round_done = False
            start_round(bbr)
        return None
    if bbr.round_start:
        bbr.probe_rtt_round_done = True
    return check_done(bbr, now) if bbr.probe_rtt_round_done else None


def check_done(bbr: Variables, now: int) -> Event | None:
    """CheckProbeRTTDone, up to the state that it leads to."""
    if bbr.probe_rtt_done_stamp == 0 or now <= bbr.probe_rtt_done_stamp:
        return None
    bbr.probe_rtt_min_stamp = now
    restore_cwnd(bbr)
    reset_short_term_model(bbr)
    return Event.PROBE_RTT_DONE if bbr.full_bw_reached else Event.PROBE_RTT_DONE_UNFILLED
