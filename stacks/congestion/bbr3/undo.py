"""What is saved when a loss recovery begins, and restored when nothing had been lost (5.5.11, 5.6.4.4)."""

from __future__ import annotations

from stacks.congestion.bbr3.full_pipe import reset_full_bw
from stacks.congestion.bbr3.machine import Event, State
from stacks.congestion.bbr3.variables import Variables


def save_cwnd(bbr: Variables) -> None:
    """SaveCwnd: the last window that neither recovery nor ProbeRTT had changed."""
    if not bbr.is_in_recovery and bbr.phase is not State.PROBE_RTT:
        bbr.prior_cwnd = bbr.window_bytes
    else:
        bbr.prior_cwnd = max(bbr.prior_cwnd, bbr.window_bytes)


def restore_cwnd(bbr: Variables) -> None:
    """RestoreCwnd."""
    bbr.window_bytes = max(bbr.window_bytes, bbr.prior_cwnd)


def save_state_upon_loss(bbr: Variables) -> None:
    """SaveStateUponLoss."""
    save_cwnd(bbr)
    bbr.undo_state = None
    bbr.undo_bw_shortterm = bbr.bw_shortterm
    bbr.undo_inflight_shortterm = bbr.inflight_shortterm
    bbr.undo_inflight_longterm = bbr.inflight_longterm


def handle_spurious_loss_detection(bbr: Variables) -> Event | None:
    """HandleSpuriousLossDetection, up to the state that it leads to."""
    restore_cwnd(bbr)
    bbr.is_loss_in_round = False
    reset_full_bw(bbr)
    bbr.bw_shortterm = max(bbr.bw_shortterm, bbr.undo_bw_shortterm)
    bbr.inflight_shortterm = max(bbr.inflight_shortterm, bbr.undo_inflight_shortterm)
    bbr.inflight_longterm = max(bbr.inflight_longterm, bbr.undo_inflight_longterm)
    bbr.is_stale = True
    undo_state, bbr.undo_state = bbr.undo_state, None
    if undo_state is State.STARTUP and bbr.phase is not State.STARTUP:
        bbr.full_bw_reached = False
        return Event.UNDO_STARTUP
    return Event.UNDO_PROBE_UP if undo_state is State.UP else None
