"""ProbeBW_UP: a quarter more than arrives, until more does not arrive or is lost (5.3.3.4, 5.3.3.6)."""

from __future__ import annotations

from stacks.congestion.bbr3.full_pipe import reset_full_bw
from stacks.congestion.bbr3.longterm import raise_inflight_longterm_slope
from stacks.congestion.bbr3.machine import AckPhase, Event
from stacks.congestion.bbr3.rounds import start_round
from stacks.congestion.bbr3.variables import Variables
from stacks.congestion.controller import Ack


def enter(bbr: Variables, now: int) -> None:  # noqa: ARG001
    """StartProbeBW_UP."""
    bbr.ack_phase = AckPhase.PROBE_STARTING
    start_round(bbr)
    reset_full_bw(bbr, bbr.rs.delivery_rate_bps)
    raise_inflight_longterm_slope(bbr)


def check(bbr: Variables, ack: Ack, now: int) -> Event | None:  # noqa: ARG001
    """IsTimeToGoDown."""
    if bbr.prev_probe_too_high and _has_reached_longterm(bbr, ack):
        bbr.prev_probe_precautionary = True
    elif bbr.window_bytes >= bbr.inflight_longterm and bbr.delivery.is_cwnd_limited:
        # inflight_longterm is what limits the rate.
        reset_full_bw(bbr, ack.delivery_rate_bps)
        return None
    elif not bbr.full_bw_now:
        return None
    bbr.prev_probe_too_high = False
    return Event.TIME_TO_GO_DOWN


def _has_reached_longterm(bbr: Variables, ack: Ack) -> bool:
    # What was in flight until this acknowledgement: after it, it is always below a window that the bound limits. No
    # further packet fits: volumes are bytes here, and packets seldom add up to the bound.
    inflight_bytes = ack.inflight_bytes + ack.acked_bytes + ack.lost_bytes
    return inflight_bytes + bbr.smss > bbr.inflight_longterm
