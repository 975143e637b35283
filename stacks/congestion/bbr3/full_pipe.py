"""The full pipe estimator that ends Startup and ProbeBW_UP: three rounds without a quarter more (5.3.1.2)."""

from __future__ import annotations

from stacks.congestion.bbr3.constants import FULL_BW_GROWTH, FULL_BW_ROUNDS
from stacks.congestion.bbr3.variables import Variables
from stacks.congestion.controller import Ack


def reset_full_bw(bbr: Variables, baseline: int = 0) -> None:
    """ResetFullBW. baseline: the rate above which growth counts."""
    bbr.full_bw = baseline
    bbr.full_bw_count = 0
    bbr.full_bw_now = False


def check_full_bw_reached(bbr: Variables, ack: Ack) -> None:
    """CheckFullBWReached, of an acknowledgement that begins a round and is not application-limited."""
    rate = ack.delivery_rate_bps
    if 100 * rate >= FULL_BW_GROWTH * bbr.full_bw:
        reset_full_bw(bbr, rate)
        return
    bbr.full_bw_count += 1
    if bbr.full_bw_count >= FULL_BW_ROUNDS:
        bbr.full_bw_now = True
        bbr.full_bw_reached = True
