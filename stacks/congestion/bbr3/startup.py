"""Startup: twice the rate each round, until the pipe is full or loses too much (5.3.1)."""

from __future__ import annotations

from stacks.congestion.bbr3.constants import INFINITY, STARTUP_FULL_LOSS_COUNT
from stacks.congestion.bbr3.longterm import is_inflight_too_high
from stacks.congestion.bbr3.machine import Event, State
from stacks.congestion.bbr3.variables import Variables
from stacks.congestion.controller import Ack


def enter(bbr: Variables, now: int) -> None:  # noqa: ARG001
    """EnterStartup: its gains are all there is to it."""
    bbr.lost_ranges = 0


def check(bbr: Variables, ack: Ack) -> Event | None:
    """CheckStartupDone."""
    if bbr.recovery_delivered < INFINITY:
        _check_high_loss(bbr, ack)
    return Event.FULL_PIPE if bbr.full_bw_reached else None


def _check_high_loss(bbr: Variables, ack: Ack) -> None:
    # CheckStartupHighLoss (5.3.1.3), at the end of a round of which all was a fast recovery. A transport that ends
    # recoveries as RFC 9002 does has just ended this one: `recovery_delivered` outlives it until here.
    if bbr.has_selective_acks:
        if not bbr.loss_round_start:
            return
        is_full_round = ack.prior_delivered_bytes >= bbr.recovery_delivered
        is_high = bbr.lost_ranges >= STARTUP_FULL_LOSS_COUNT and is_inflight_too_high(
            bbr, ack.sample_lost_bytes, ack.tx_in_flight_bytes
        )
        bbr.lost_ranges = 0
        if not bbr.is_in_recovery:
            bbr.recovery_delivered = INFINITY
        if not (is_full_round and is_high):
            return
    bbr.undo_state = State.STARTUP
    bbr.full_bw_now = bbr.full_bw_reached = True
    bbr.inflight_longterm = max(bbr.bdp, bbr.inflight_latest)
