"""extra_acked: how much more is acknowledged at once than the bandwidth explains (5.5.9)."""

from __future__ import annotations

from stacks.congestion.bbr3.constants import BIT_NS_PER_BYTE_S, EXTRA_ACKED_FILTER_LEN
from stacks.congestion.bbr3.variables import Variables
from stacks.congestion.controller import Ack


def update_ack_aggregation(bbr: Variables, ack: Ack, now: int) -> None:
    """UpdateACKAggregation: a sample for the maximum over this round (Startup) or ten with this one."""
    if bbr.round_start:
        _advance_filter(bbr)
    expected = bbr.bw * (now - bbr.extra_acked_interval_start) // BIT_NS_PER_BYTE_S
    delivered = bbr.extra_acked_delivered
    if delivered <= expected:
        bbr.extra_acked_interval_start = now
        delivered = expected = 0
    delivered += ack.acked_bytes
    bbr.extra_acked_delivered = delivered
    extra = delivered - expected
    if extra > bbr.extra_acked_round:
        if extra > bbr.window_bytes:
            extra = max(bbr.window_bytes, bbr.extra_acked_round)
        bbr.extra_acked_round = extra
        if extra > bbr.extra_acked:
            bbr.extra_acked = extra
            bbr.is_stale = True


def _advance_filter(bbr: Variables) -> None:
    rounds = bbr.extra_acked_rounds
    if bbr.full_bw_reached:
        rounds.append(bbr.extra_acked_round)
        if len(rounds) >= EXTRA_ACKED_FILTER_LEN:
            del rounds[0]
        bbr.extra_acked = max(rounds)
    else:
        rounds.clear()
        bbr.extra_acked = 0
    bbr.extra_acked_round = 0
    bbr.is_stale = True
